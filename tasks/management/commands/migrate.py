"""Django's `migrate`, one at a time, and behind it the operations of the API with their role.

Servers of this release and of the one before may be busy meanwhile. What cannot be done (a role
that the user of DATABASE_URL may not make, a schema of somebody else) is said last, in a sentence,
and the exit status is 1; everything else is done by then.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from psycopg.errors import LockNotAvailable

from tasks.management.lock import take
from tasks.operations.installation import install
from tasks.operations.role import Refusal

LOCK = int.from_bytes(b"migrate")
PAUSE = 0.2
"""Seconds until it asks for the lock again."""

LOCKED = (
    "Another transaction keeps a table locked, and requests would have to wait behind a migration "
    "that waits for it. This migration was not applied; those before it were. Run migrate again."
)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with self.alone(connection):
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                raise CommandError(LOCKED) from None
            if connection.alias == DEFAULT_DB_ALIAS and all_applied(connection):
                self.install(connection)

    def install(self, connection: BaseDatabaseWrapper) -> None:
        try:
            did = install(connection)
        except Refusal as refusal:
            raise CommandError(f"{refusal}\n\n{refusal.sql}".rstrip()) from None
        for sentence in did:
            if self.verbosity:
                self.stdout.write(sentence)

    @contextmanager
    def alone(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Waits until no other `migrate` is at work on this database.

        It asks for the lock again and again: a statement that waits would hold up the CREATE INDEX
        CONCURRENTLY of the one that is at work.
        """
        with closing(connection.copy()) as lock:
            if not take(lock, LOCK, "migrate"):
                self.stderr.write("Another migrate is at work: waiting for it.", str)
                lock.rollback()
                while not take(lock, LOCK, "migrate"):
                    lock.rollback()
                    time.sleep(PAUSE)
            yield
            lock.rollback()


def all_applied(connection: BaseDatabaseWrapper) -> bool:
    """Not so where an operator goes back to an earlier migration: then the functions stay."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes("tasks"))
