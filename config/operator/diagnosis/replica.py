"""The check of the replica: whether it is one, lets the role of the API in, and keeps up."""

from collections.abc import Iterator
from contextlib import closing
from time import perf_counter, sleep
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from config.operator.diagnosis.check import Check, milliseconds
from tasks.operations.role import first_line

NAME = "replica"
MAX_SECONDS = 1.0
"""How long the replica has for what the primary has written already."""

PRIMARY = "SELECT system_identifier, pg_current_wal_insert_lsn() FROM pg_control_system()"
REPLICA = "SELECT system_identifier, pg_is_in_recovery() FROM pg_control_system()"
BEHIND = "SELECT greatest(%s::pg_lsn - pg_last_wal_replay_lsn(), 0)"
OPERATION = "SELECT tasks_api.read_task('nobody', 0)"

UNTIL_THEN = "Until then, the primary answers all reads."


def checks() -> Iterator[Check]:
    """Nothing without DATABASE_REPLICA_URL."""
    if NAME not in connections.settings:
        return
    primary, replica = connections["default"].copy(), connections[NAME].copy()
    with closing(primary), closing(replica):
        yield diagnose_replica(primary, replica)


def diagnose_replica(primary: BaseDatabaseWrapper, replica: BaseDatabaseWrapper) -> Check:
    try:
        identifier, position = _row(primary, PRIMARY)
    except Error:  # the lines of the database say why
        return Check(NAME, "not reached", "")
    try:
        return _check(replica, identifier, position)
    except Error as error:
        detail = f"does not answer: {first_line(error)}"
        advice = f"Start it, or correct DATABASE_REPLICA_URL. {UNTIL_THEN}"
        return Check(NAME, "wrong", detail, advice)


def _check(replica: BaseDatabaseWrapper, identifier: int, position: str) -> Check:
    theirs, is_replica = _row(replica, REPLICA)
    if theirs != identifier or not is_replica:
        detail = "is not a streaming replica of the server of DATABASE_URL"
        advice = f"Set DATABASE_REPLICA_URL to the address of one. {UNTIL_THEN}"
        return Check(NAME, "wrong", detail, advice)
    start = perf_counter()
    while behind := int(_row(replica, BEHIND, position)[0]):
        if perf_counter() - start > MAX_SECONDS:
            detail = f"is {behind} bytes of the log behind, after {MAX_SECONDS:g} s"
            advice = "The primary answers what it does not have yet. Is it overloaded, or paused?"
            return Check(NAME, "warning", detail, advice)
        sleep(0.01)
    caught_up = milliseconds(perf_counter() - start)
    _row(replica, OPERATION)
    return Check(NAME, "ok", f"has everything, after {caught_up}")


def _row(connection: BaseDatabaseWrapper, statement: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return cursor.fetchone()
