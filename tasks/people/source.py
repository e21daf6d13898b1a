"""Reads from the database of Better Auth, which is mostly the database of the tasks too.

Each read is a read-only transaction with timeouts, which is rolled back. In the database of the
tasks it is a savepoint, so that a page continues after an error, and needs no other connection.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    OperationalError,
    ProgrammingError,
    connections,
    transaction,
)
from psycopg import errors

from tasks.people.table import OWN_DATABASE, NoPeople, Table, find, has_own_database

TIMEOUT = 1.0
"""Seconds for a statement, so that staff never keep Better Auth's database busy."""
COMMAND_TIMEOUT = 30.0
RECHECK_SECONDS = 60.0
"""How long a process remembers the table that it found, or that there is none."""
RETRY_SECONDS = 30.0
"""How long a process leaves a database alone that it could not reach, so that no page waits."""

SET_LIMITS = """
    SELECT set_config('transaction_read_only', 'on', true),
           set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)
"""


class _Known:
    """What this process knows about the table: what it found, or why it found none."""

    answer: Table | NoPeople | None = None
    until = 0.0


def remember(answer: Table | NoPeople, seconds: float = RECHECK_SECONDS) -> None:
    _Known.answer, _Known.until = answer, monotonic() + seconds


def forget() -> None:
    _Known.answer = None


def table() -> Table:
    answer = _Known.answer
    if answer is None or monotonic() > _Known.until:
        try:
            with reading() as cursor:
                answer = find(cursor)
        except NoPeople as problem:
            if _Known.answer is not problem:  # `reading` has remembered it, if it must be retried
                remember(problem)
            raise
        remember(answer)
    if isinstance(answer, NoPeople):
        raise answer
    return answer


def rows(
    statement: str, params: Sequence[Any] | Mapping[str, Any], timeout: float = TIMEOUT
) -> list[tuple[Any, ...]]:
    with reading(timeout) as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


@contextmanager
def reading(timeout: float = TIMEOUT) -> Iterator[Any]:
    """A cursor in a read-only transaction. An error of the database becomes NoPeople."""
    using = OWN_DATABASE if has_own_database() else DEFAULT_DB_ALIAS
    milliseconds = f"{timeout * 1000:.0f}"
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute(SET_LIMITS, [milliseconds, milliseconds])
            yield cursor
            transaction.set_rollback(True, using=using)  # also ends these settings
    except Error as error:
        if using == DEFAULT_DB_ALIAS and _is_lost(error):
            raise  # then the page cannot continue either
        problem = NoPeople(_sentence(error, using))
        if _is_lost(error):
            remember(problem, RETRY_SECONDS)
        elif isinstance(error, ProgrammingError):
            forget()  # the table or its columns have changed
        raise problem from None  # the error may quote a user
    finally:
        if using == OWN_DATABASE:
            connections[using].close()  # to the pool: an export would keep it for minutes


def _is_lost(error: Error) -> bool:
    """Whether there is no connection, or none any more (SQLSTATE 08… and 57P…)."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    if sqlstate:
        return str(sqlstate).startswith(("08", "57P"))
    return not isinstance(error, ProgrammingError)


def _sentence(error: Error, using: str) -> str:
    """Without the message of the database, which may quote a user."""
    match error.__cause__:
        case errors.QueryCanceled() | errors.LockNotAvailable():
            return "Better Auth's users could not be read in time."
        case cause if using == OWN_DATABASE and isinstance(error, OperationalError):
            name = type(cause or error).__name__
            return f"The database of BETTER_AUTH_DATABASE_URL cannot be reached ({name})."
        case cause:
            code = getattr(cause, "sqlstate", None) or type(error).__name__
            return f"Better Auth's users cannot be read ({code})."
