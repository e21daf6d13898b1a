"""An advisory lock that holds on a connection of its own, whatever is between it and PostgreSQL.

It is one of a transaction, since behind PgBouncer in transaction mode nothing else stays with us.
That transaction does nothing more and keeps no snapshot, so it holds up neither VACUUM nor CREATE
INDEX CONCURRENTLY.
"""

import os
import socket

from django.db.backends.base.base import BaseDatabaseWrapper

MAX_NAME_LENGTH = 63
"""Of an `application_name`; PostgreSQL warns of more."""

TAKE = "SELECT set_config('application_name', %s, true), pg_try_advisory_xact_lock(%s)"
KEEP = "SET LOCAL idle_in_transaction_session_timeout = 0"
"""The last statement: PostgreSQL keeps the snapshot of a SELECT until the next one comes."""


def take(connection: BaseDatabaseWrapper, key: int, command: str) -> bool:
    """Whether the lock was free. `connection` is for the lock alone, and ends it when it closes.

    pg_stat_activity tells others who has it.
    """
    connection.set_autocommit(False)
    name = f"{command}, process {os.getpid()} on {socket.gethostname()}"
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [name[:MAX_NAME_LENGTH], key])
        is_taken = bool(cursor.fetchone()[-1])
        cursor.execute(KEEP)
    return is_taken
