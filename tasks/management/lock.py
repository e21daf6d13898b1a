"""An advisory lock on a separate connection, which also holds behind a pooler.

The lock belongs to a transaction, since PgBouncer in transaction mode keeps a connection with us
only for that long. The transaction does nothing else and keeps no snapshot, so neither VACUUM nor
CREATE INDEX CONCURRENTLY waits for it.
"""

import os
import socket

from django.db.backends.base.base import BaseDatabaseWrapper

MAX_NAME_LENGTH = 63
"""Length of an `application_name`. PostgreSQL cuts off the rest, with a warning."""

TAKE = "SELECT set_config('application_name', %s, true), pg_try_advisory_xact_lock(%s)"
KEEP = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""Must come last: PostgreSQL keeps the snapshot of a SELECT until the next statement."""


def take(connection: BaseDatabaseWrapper, key: int, command: str) -> bool:
    """Takes the lock if it is free, and returns whether it was.

    Use `connection` for nothing else. Closing it releases the lock. pg_stat_activity shows who
    has it: the command, the process and the host.
    """
    connection.set_autocommit(False)
    name = f"{command}, process {os.getpid()} on {socket.gethostname()}"
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [name[:MAX_NAME_LENGTH], key])
        is_taken = bool(cursor.fetchone()[-1])
        cursor.execute(KEEP)
    return is_taken
