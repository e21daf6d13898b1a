"""Log lines: in JSON, or readable for development, and without the contents of rows."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import orjson
import structlog
from django.db import DatabaseError, InterfaceError, OperationalError

from config.server.connection import ConnectionFailed, cause_of


def configure(*, readable: bool) -> None:
    structlog.configure(
        processors=[*_processors(readable=readable), _renderer(readable=readable)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=StandardOutput,
        cache_logger_on_first_use=True,
    )


class StandardOutput:
    """Writes lines to `sys.stdout`, even if that has been replaced in the meantime."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        # With a full disk or a closed pipe, the line is lost, but the request must not fail.
        with suppress(OSError, ValueError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = msg


def formatter(*, readable: bool) -> logging.Formatter:
    """For the lines of libraries, which use `logging`."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_processors(readable=readable),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _renderer(readable=readable),
        ],
    )


def _processors(*, readable: bool) -> list[structlog.typing.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_database_texts,
        *([] if readable else [structlog.processors.format_exc_info]),
    ]


def _renderer(*, readable: bool) -> structlog.typing.Processor:
    if not readable:
        return structlog.processors.JSONRenderer(lambda line, **_: orjson.dumps(line).decode())
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        pad_event_to=0,
        # The default shows local variables, which include tokens and titles.
        exception_formatter=structlog.dev.plain_traceback,
    )


class HasTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def without_database_texts(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor that keeps the contents of rows out of the log.

    PostgreSQL quotes the row in the message of some errors, and with it the text of a task.
    The SQLSTATE and the names of table and constraint are logged instead.
    """
    info = line.get("exc_info")
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, DatabaseError):
        del line["exc_info"]
        line["error"] = summary(error)
    return line


def summary(error: DatabaseError | InterfaceError) -> str:
    """For example `IntegrityError 23514 tasks_task.task_priority`, `ConnectionFailed too_many`."""
    cause = error.__cause__
    if isinstance(error, ConnectionFailed):
        return f"ConnectionFailed {error.cause}"
    if isinstance(error, OperationalError) and cause and not getattr(cause, "sqlstate", None):
        return f"{type(error).__name__} {cause_of(str(cause))}"
    diag = getattr(cause, "diag", None)
    place = ".".join(
        name
        for name in (getattr(diag, "table_name", ""), getattr(diag, "constraint_name", ""))
        if name
    )
    parts = (type(error).__name__, getattr(cause, "sqlstate", None), place)
    return " ".join(part for part in parts if part)
