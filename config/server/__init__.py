"""How requests are served, from the socket to the statement and back.

The master process (`master.py`) starts, drains and restarts the workers; `process.py` has the state
that it shares with them. In a worker, granian gives each request one of several hundred threads,
and the thread calls `config.wsgi`:

1. `bodies.py` reads the body, with a timeout and a limit on the number of bodies that are arriving.
2. Django and django-ninja verify the token, parse the request and call one operation.
3. `pool.py` provides a connection for the one statement of the operation. There are few
   connections, and the thread holds one only while PostgreSQL works. `connection.py` waits for the
   answer, with a deadline.
4. `config.http.middleware` writes one line into the log, from the statistics in `stats.py`.
   `metrics.py` counts the same in shared memory (`memory.py`) for the exporter (`exporter.py`), a
   separate process.

A request may wait for a body, for the keys of the issuer, or for a connection. Each of these has a
separate limit on the number of requests that wait, and together the limits leave threads free for
other requests.
"""
