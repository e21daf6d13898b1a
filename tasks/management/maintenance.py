"""What the commands that maintain the data share.

A command writes `run`. If it changes existing rows, that is `self.carry_out(steps)`. Otherwise it
uses, in this order: `with self.alone():` (one command at a time), `self.confirm(...)` before what
cannot be undone, `with self.progress(total):`, and inside it `with self.batch():` around each piece
of work, with `self.add(what)`. In a dry run it sets `self.done[what]` and uses no batch.
This module does the rest:

* The summary goes to standard output, as a sentence or with --json as one object. Questions, the
  progress bar and errors go to standard error. The bar appears on a terminal only.
* The exit status is 0 for a run that finished, even if no row matched; 1 if something refused or
  ended it; 2 for wrong usage; 130 after Ctrl-C or SIGTERM.
* A batch is a transaction. After a signal the current batch is finished, so that the counts are
  exact; a second signal rolls it back. Committed batches stay, and another run does the rest.
* Commands do not wait for others: a locked row ends the run after 5 s. A statement may take 5
  minutes. Both hold whatever timeouts the database and its role have.
* If the connection of the lock (`lock.py`) is lost, the run ends.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Lookup, Q, QuerySet
from psycopg import errors
from tqdm import tqdm

from authjwt.wording import count
from tasks.management import users
from tasks.management.lock import take
from tasks.operations.shards import CONSTRAINT, Shard

BATCH = 5000
LOCK_KEY = int.from_bytes(b"tasks")
LOCK_SECONDS = 5
STATEMENT_SECONDS = 300

SET_TIMEOUTS = (
    "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
)
LOCK_HOLDER = """
    SELECT application_name, now() - xact_start
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
INTERRUPTED = 130
OF_ANOTHER_SHARD = "This is {}, and a task is of a user of another one. Give --user."


@dataclass(frozen=True)
class Step:
    """A change of many rows, after which they are no longer among `rows`.

    what: the name of a row. change: changes a batch of rows, and returns how many it changed.
    by: an indexed column, with a minus for descending order. Each batch continues where the one
    before ended. The living and the trashed tasks of a user are two steps, since they are in two
    indexes: PostgreSQL would sort all of them again for each batch.
    """

    what: str
    rows: QuerySet[Any]
    change: Callable[[Any], int]
    by: str = "id"


class Among(Lookup):
    """Like IN, but sends one array instead of thousands of values, in half the time."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", (*params, self.rhs)


def delete(rows: QuerySet[Any]) -> int:
    return rows.delete()[0]


class MaintenanceCommand(BaseCommand):
    """verb: what happens to the rows, as "deleted" in "Deleted: 3 tasks."

    json_key: its name in the JSON summary, if that is another one.
    irreversible: whether it asks before it begins, and so accepts --yes. consequence: why it asks.
    done: the numbers of the summary, as in `done["task"]`. facts: more members of the JSON summary.
    """

    verb: str
    json_key = ""
    irreversible = False
    consequence = "This cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="report what would be done, and change nothing"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the summary as one JSON object"
        )
        if self.irreversible:
            parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def run(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError

    def handle(self, **options: Any) -> None:
        self.dry_run: bool = options["dry_run"]
        self.asks: bool = self.irreversible and not options["yes"] and not self.dry_run
        if self.asks and not sys.stdin.isatty():
            raise CommandError(
                f"{self.consequence} There is no terminal to ask for confirmation. "
                "Add --yes to confirm.",
                returncode=2,
            )
        self.as_json: bool = options["json"]
        self.facts: dict[str, Any] = {}
        self.done: Counter[str] = Counter()
        self.start = perf_counter()
        try:
            self.shard = self._shard()
            with self._signals():
                self.run(**options)
        except KeyboardInterrupt:
            self._summarise("interrupted")
            sys.exit(INTERRUPTED)
        except IntegrityError as violation:
            if CONSTRAINT not in str(violation):
                raise
            raise CommandError(OF_ANOTHER_SHARD.format(self.shard)) from None
        except (OperationalError, InterfaceError, CommandError) as error:
            if self.done.total():
                self._summarise("failed")
            raise (
                error if isinstance(error, CommandError) else CommandError(reason(error))
            ) from error
        self._summarise("finished")

    def _shard(self) -> Shard | None:
        """Says on which one of several databases the command works."""
        if shard := Shard.of(connection):
            self.facts["shard"] = str(shard)
            self.stderr.write(f"This is {shard}.", str)
        return shard

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock that all writing commands share. A dry run needs none."""
        if self.dry_run:
            yield
            return
        self.lock = connection.copy()
        try:
            if not take(self.lock, LOCK_KEY, self.name):
                with self.lock.cursor() as cursor:
                    cursor.execute(LOCK_HOLDER, divmod(LOCK_KEY, 2**32))
                    raise CommandError(lock_holder_message(cursor.fetchone()))
            yield
        finally:
            if self.lock.is_usable():
                # Releases the lock now. The server notices only later that a connection is closed.
                self.lock.rollback()
            self.lock.close()

    def confirm(self, consequence: str, expected: str) -> None:
        """Asks for `expected` to be typed, unless --yes was given."""
        if not self.asks:
            return
        self.stderr.write(f"{consequence}\nType {expected} to continue: ", str, ending="")
        self.stderr.flush()
        if sys.stdin.readline().removesuffix("\n") != expected:
            raise CommandError("Not confirmed. Nothing was done.")

    @contextmanager
    def progress(self, total: int | None) -> Iterator[None]:
        with tqdm(total=total, unit=" rows", disable=None, leave=False) as self.bar:
            yield

    def resolve(self, user: str, fact: str = "user") -> str:
        """The id of a user. The receipt names it, and the operator sees who it is."""
        self.facts[fact] = user_id = users.resolve(user, self.stderr)
        if self.shard and self.shard != (theirs := self.shard.of_user(connection, user_id)):
            raise CommandError(
                f"The tasks of {user_id} are on {theirs}. Set DATABASE_URL to that one."
            )
        return user_id

    def count(self, rows: QuerySet[Any]) -> int:
        with self.transaction():
            return rows.count()

    def carry_out(self, steps: Sequence[Step], *, ask: str = "", passes: int = 1) -> None:
        """Counts the rows, asks for confirmation, and does the steps.

        ask: what must be typed; by default the number of rows. passes: more than one for rows that
        arrive in the meantime.
        """
        with self.alone():
            counts: Counter[str] = Counter()
            for step in steps:
                counts[step.what] += self.count(step.rows)
            if self.dry_run:
                self.done.update(counts)
                return
            self.done.update(dict.fromkeys(counts, 0))
            total = sum(counts.values())
            if total:
                self.confirm(
                    f"Will be {self.verb}: {listed(counts)}. {self.consequence}",
                    ask or str(total),
                )
            with self.progress(total):
                for _ in range(passes):
                    for step in steps:
                        self._in_batches(step)

    def _in_batches(self, step: Step) -> None:
        column, bound = step.by.removeprefix("-"), Q()
        comparison = f"{column}__{'lte' if step.by.startswith('-') else 'gte'}"
        found: list[tuple[int, Any]] = []
        while bound == Q() or len(found) == BATCH:
            rows = step.rows.filter(bound).order_by(step.by).values_list("pk", column)
            with self.batch():
                found = list(rows[:BATCH])
                if not found:
                    return
                change = step.change(step.rows.filter(Among(F("pk"), [pk for pk, _ in found])))
                self.add(step.what, change)
            bound = Q(**{comparison: found[-1][1]})

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A transaction that a signal does not end. What is added counts once it is committed."""
        if not self.lock.is_usable():
            raise CommandError("The connection that held the lock was lost. Run the command again.")
        self.added: Counter[str] = Counter()
        self.in_batch = True
        try:
            with self.transaction():
                yield
            self.done.update(self.added)
            self.bar.update(self.added.total())
        finally:
            self.in_batch = False
        if self.stopping:
            raise KeyboardInterrupt

    def add(self, what: str, number: int = 1) -> None:
        self.added[what] += number

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(SET_TIMEOUTS, [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"])
            yield

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        self.in_batch = self.stopping = False

        def stop(*_: Any) -> None:
            if self.stopping or not self.in_batch:
                raise KeyboardInterrupt
            self.stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _summarise(self, ended: str) -> None:
        if not self.as_json:
            verb = f"Would be {self.verb}" if self.dry_run else self.verb.capitalize()
            self.stdout.write(f"{verb}: {listed(self.done)}.{REMARKS[ended]}")
            return
        summary = {"command": self.name, **self.facts, "dry_run": self.dry_run, "ended": ended}
        key = self.json_key or self.verb
        counts = {f"{what}s".replace(" ", "_"): number for what, number in self.done.items()}
        seconds = round(perf_counter() - self.start, 3)
        self.stdout.write(json.dumps({**summary, key: counts, "seconds": seconds}))


REMARKS = {
    "finished": "",
    "interrupted": " Interrupted. Run the command again to do the rest.",
    "failed": " The run then failed. Run the command again to do the rest.",
}


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(count(number, what) for what, number in counts.items()) or "nothing"


def lock_holder_message(holder: tuple[str, timedelta] | None) -> str:
    if holder is None:
        return "Another command has just ended. Nothing was done. Run this command again."
    name, since = holder
    return (
        f"Another command has been running for {int(since.total_seconds())} s: {name}. "
        "Nothing was done. Run this command again when the other one has ended."
    )


def reason(error: Exception) -> str:
    """Why the run ended, without the messages of libraries, which may quote tasks."""
    match error.__cause__:
        case errors.LockNotAvailable() | errors.DeadlockDetected():
            return (
                f"Other transactions kept rows locked for {LOCK_SECONDS} s. Run the command again."
            )
        case errors.QueryCanceled():
            return f"PostgreSQL took more than {STATEMENT_SECONDS} s for one statement."
        case cause:
            name = type(cause).__name__
            return f"The connection to the database failed ({name}). Run manage.py doctor."
