"""How requests are served, from the socket to the statement and back.

The master process (`master.py`) starts the workers, drains them and starts them again; what it
shares with them is in `process.py`. In a worker granian gives each request a thread, of which there
are hundreds, and the thread calls `config.wsgi`:

1. `bodies.py` reads the body, with a timeout and a bound on how many may be on their way.
2. Django and django-ninja verify the token, then parse, then call one operation.
3. `pool.py` lends a connection for the one statement of the operation. There are few of them, and
   the thread holds one only while PostgreSQL works. `connection.py` waits for the answer, with a
   deadline.
4. `config.http.middleware` writes one line into the log. `account.py` kept what it says, and
   `metrics.py` counts the same for the exporter (`exporter.py`), a process of its own.

Whatever a request may wait for (a body, the keys of the issuer, a connection) has a bound of its
own on how many wait at once, and together these bounds leave threads for the others.
"""
