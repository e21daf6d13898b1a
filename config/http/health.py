"""Liveness and readiness."""

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Literal

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel, Field

from authjwt.bearer import verifier
from authjwt.exceptions import KeysUnavailable
from config.http import errors
from config.server.connection import ShardFailed
from config.server.process import is_draining
from config.server.replica import installed
from tasks import operations
from tasks.models import Task
from tasks.operations.installation import is_outdated

router = Router(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(Health):
    replica: Annotated[
        Literal["used", "not used"] | None,
        Field(description="Only with a replica: whether it gets reads. If not, the primary does."),
    ] = None


@router.get("", operation_id="checkHealth", response=Health)
def check_health(request: HttpRequest) -> HttpResponse:
    """Whether the process answers. Uses neither the database nor the network."""
    return _ok()


@router.get("/ready", operation_id="checkReadiness", response=Readiness)
def check_readiness(request: HttpRequest) -> HttpResponse:
    """Whether a request with a valid token would succeed."""
    missing = list(_missing())
    if not missing:
        return _ok(_replica())
    code: errors.ErrorCode = (
        "AUTH_UNAVAILABLE" if missing == ["verification keys"] else "DATABASE_ERROR"
    )
    detail = f"Not ready: {', '.join(missing)}."
    errors.explain(request, missing=missing)
    return errors.error(request, 503, code, detail, headers={"Retry-After": errors.RETRY_AFTER})


def _missing() -> Iterator[str]:
    if is_draining():
        yield "shutting down"
    if not _has_database():
        yield "database"
    # A database that does not answer is not asked about its migrations.
    elif not has_migrations():
        yield "migrations"
    if not _has_keys():
        yield "verification keys"


def _replica() -> bytes:
    if not (connections := installed.connections):
        return b""
    connections.watch()
    return b',"replica":"%b"' % (b"not used" if connections.problem else b"used")


def _ok(more: bytes = b"") -> HttpResponse:
    return HttpResponse(
        b'{"status":"ok"%b}' % more,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _has_database() -> bool:
    """Whether an operation can be called, in the same way as by a request."""
    try:
        operations.read("nobody", 0)
    except (Task.DoesNotExist, ShardFailed):  # the users of the other shards are served
        return True
    except Error:
        return False
    return False


def has_migrations() -> bool:
    """Whether all are applied, and the operations are not older than this release."""
    try:
        return _is_migrated()
    except (Error, Unmigrated):
        return False


class Unmigrated(Exception):
    """The database lacks migrations, or has the operations of an earlier release."""


@cache
def _is_migrated() -> bool:
    """Only True is cached. Later on, this release also works with adjacent releases' operations."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()) or is_outdated(connection):
        raise Unmigrated
    return True


def _has_keys() -> bool:
    keys = verifier().keys
    try:
        if keys:
            keys.load()
    except KeysUnavailable:
        return False
    return True
