"""Django's `migrate`, one at a time, followed by the operations of the API and their role.

Servers of this release and of the one before may be running. What cannot be done (a role that the
user of DATABASE_URL may not create, a schema of somebody else) is reported last, with exit status
1. Everything else is done by then.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from psycopg.errors import LockNotAvailable

from tasks.management.lock import take
from tasks.operations.earlier_release import has_earlier_functions, remove_earlier_functions
from tasks.operations.installation import install
from tasks.operations.role import Refusal

LOCK_KEY = int.from_bytes(b"migrate")
PAUSE = 0.2
"""Seconds until it tries to take the lock again."""

LOCKED = (
    "Another transaction keeps a table locked. A migration that waits for it would make requests "
    "wait too. This migration was not applied; those before it were. Run migrate again."
)

EARLIER_FUNCTIONS = "PostgreSQL 15 cannot change the table of tasks before they are removed."


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] != DEFAULT_DB_ALIAS:
            raise CommandError("Only the database of DATABASE_URL can be migrated.")
        connection = connections[DEFAULT_DB_ALIAS]
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with self.alone(connection):
            actions = self.apply(connection, *args, **options)
            if all_applied(connection):
                actions += self.install(connection)
            for action in dict.fromkeys(actions):
                if self.verbosity:
                    self.stdout.write(action)

    def apply(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> list[str]:
        """Applies the migrations. Returns what else was done, as sentences."""
        actions = []
        if not (options["app_label"] or all_applied(connection)):
            actions = remove_earlier_functions(connection)
        try:
            super().handle(*args, **options)
        except NotSupportedError:
            if has_earlier_functions(connection):
                raise CommandError(" ".join([*actions, EARLIER_FUNCTIONS])) from None
            raise
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise CommandError(LOCKED) from None
        return actions

    def install(self, connection: BaseDatabaseWrapper) -> list[str]:
        try:
            return install(connection)
        except Refusal as refusal:
            raise CommandError(f"{refusal}\n\n{refusal.sql}".rstrip()) from None

    @contextmanager
    def alone(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Waits until no other `migrate` is running on this database.

        It tries again and again: a statement that waits for the lock would block the CREATE INDEX
        CONCURRENTLY of the `migrate` that is running.
        """
        with closing(connection.copy()) as lock:
            if not take(lock, LOCK_KEY, "migrate"):
                self.stderr.write("Another migrate is running. Waiting for it to end.", str)
                lock.rollback()
                while not take(lock, LOCK_KEY, "migrate"):
                    lock.rollback()
                    time.sleep(PAUSE)
            yield
            lock.rollback()


def all_applied(connection: BaseDatabaseWrapper) -> bool:
    """False after a migration backwards: then the functions stay as they are."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes("tasks"))
