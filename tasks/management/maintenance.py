"""What the commands that look after the data share, so that an operator can trust each of them.

A command writes `run`. Where it changes rows that are there, that is `self.carry_out(steps)`.
Otherwise it says, in this order: `with self.alone():` (one command at a time), `self.confirm(...)`
where nothing can be undone, `with self.progress(total):`, and within it `with self.batch():` around
each piece, with `self.add(what)` in it. In a dry run it sets `self.done[what]` and does no batch.
The rest is here:

* The summary goes to standard output, as a sentence or with --json as one object; questions, the
  bar and errors go to standard error. A bar is drawn on a terminal only.
* The exit status is 0 for a run that came to its end, also where no row matched; 1 where something
  forbade or ended it; 2 for wrong usage; 130 where Ctrl-C or SIGTERM ended it.
* A batch is a transaction. A signal lets the batch under way finish, so what was done is known; a
  second one rolls it back. What is committed stays, and running again does the rest.
* Commands wait for no one: rows that others keep locked end a run after 5 s, and a statement may
  take 5 minutes, whatever the timeouts of the database and its role are.
* If the connection of the lock (`lock.py`) ends, so does the run.
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
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Lookup, Q, QuerySet
from psycopg import errors
from tqdm import tqdm

from authjwt.wording import count
from tasks.management.lock import take

BATCH = 5000
LOCK = int.from_bytes(b"tasks")
LOCK_SECONDS = 5
STATEMENT_SECONDS = 300

LIMIT = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
FIRST = """
    SELECT application_name, now() - xact_start
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
INTERRUPTED = 130


@dataclass(frozen=True)
class Step:
    """A change of many rows, which go out of `rows` by it.

    what: a row, in a word or two. change: gets a batch of them, and says how many it changed.
    by: the column whose index serves them, with a minus for its descending order; each batch goes
    on there where the last one ended. Of one user these are the living and the trashed one after
    the other: what stands in two indexes, as `anywhere` does, would be sorted anew for each batch.
    """

    what: str
    rows: QuerySet[Any]
    change: Callable[[Any], int]
    by: str = "id"


class Among(Lookup):
    """As IN, with one array to send where IN sends thousands of values: half the time of a run."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", (*params, self.rhs)


def delete(rows: QuerySet[Any]) -> int:
    return rows.delete()[0]


class MaintenanceCommand(BaseCommand):
    """verb: what it does to what it counts, as in `verb` "deleted": "Deleted: 3 tasks."

    irreversible: whether it asks before it begins, and so takes --yes.
    done: how many of what, as in `done["task"]`; the summary tells it, and in JSON `facts` too.
    """

    verb: str
    irreversible = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done, and do nothing"
        )
        parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
        if self.irreversible:
            parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def run(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError

    def handle(self, **options: Any) -> None:
        self.dry_run: bool = options["dry_run"]
        self.asks: bool = self.irreversible and not options["yes"] and not self.dry_run
        if self.asks and not sys.stdin.isatty():
            raise CommandError(
                "--yes is needed where there is no terminal to ask: it cannot be undone.",
                returncode=2,
            )
        self.as_json: bool = options["json"]
        self.facts: dict[str, Any] = {}
        self.done: Counter[str] = Counter()
        self.start = perf_counter()
        try:
            with self._signals():
                self.run(**options)
        except KeyboardInterrupt:
            self._summarise("interrupted")
            sys.exit(INTERRUPTED)
        except (OperationalError, InterfaceError, CommandError) as error:
            if self.done.total():
                self._summarise("failed")
            raise (
                error if isinstance(error, CommandError) else CommandError(reason(error))
            ) from error
        self._summarise("finished")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the lock of all commands that write; a dry run needs none."""
        if self.dry_run:
            yield
            return
        self.lock = connection.copy()
        try:
            if not take(self.lock, LOCK, self.name):
                with self.lock.cursor() as cursor:
                    cursor.execute(FIRST, divmod(LOCK, 2**32))
                    raise CommandError(first_told(cursor.fetchone()))
            yield
        finally:
            if self.lock.is_usable():
                # The next command may start now, and a server notices a closed connection later.
                self.lock.rollback()
            self.lock.close()

    def confirm(self, consequence: str, expected: str) -> None:
        """What cannot be undone wants `expected` typed, unless --yes was given."""
        if not self.asks:
            return
        self.stderr.write(f"{consequence}\nType {expected} to go on: ", str, ending="")
        self.stderr.flush()
        if sys.stdin.readline().removesuffix("\n") != expected:
            raise CommandError("Not confirmed: nothing was done.")

    @contextmanager
    def progress(self, total: int | None) -> Iterator[None]:
        with tqdm(total=total, unit=" rows", disable=None, leave=False) as self.bar:
            yield

    def count(self, rows: QuerySet[Any]) -> int:
        with self.transaction():
            return rows.count()

    def carry_out(self, steps: Sequence[Step], *, ask: str = "", passes: int = 1) -> None:
        """Counts, asks for what is to be typed (`ask`, or the number of rows), and does the steps.

        More passes do what comes while the first is at work.
        """
        with self.alone():
            counts = {step.what: self.count(step.rows) for step in steps}
            if self.dry_run:
                self.done.update(counts)
                return
            self.done.update(dict.fromkeys(counts, 0))
            total = sum(counts.values())
            if total:
                self.confirm(f"To be {self.verb}: {told(counts)}.", ask or str(total))
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
        """A transaction that a signal lets finish; what is added within counts once committed."""
        if not self.lock.is_usable():
            raise CommandError("The connection that holds the lock was lost. Run it again.")
        self.added: Counter[str] = Counter()
        self.within_a_batch = True
        try:
            with self.transaction():
                yield
            self.done.update(self.added)
            self.bar.update(self.added.total())
        finally:
            self.within_a_batch = False
        if self.stops:
            raise KeyboardInterrupt

    def add(self, what: str, number: int = 1) -> None:
        self.added[what] += number

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(LIMIT, [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"])
            yield

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        self.within_a_batch = self.stops = False

        def stop(*_: Any) -> None:
            if self.stops or not self.within_a_batch:
                raise KeyboardInterrupt
            self.stops = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _summarise(self, ended: str) -> None:
        if not self.as_json:
            verb = f"Would be {self.verb}" if self.dry_run else self.verb.capitalize()
            self.stdout.write(f"{verb}: {told(self.done)}.{REMARKS[ended]}")
            return
        summary = {"command": self.name, **self.facts, "dry_run": self.dry_run, "ended": ended}
        did = self.verb.replace(" ", "_")
        counts = {f"{what}s".replace(" ", "_"): number for what, number in self.done.items()}
        seconds = round(perf_counter() - self.start, 3)
        self.stdout.write(json.dumps({**summary, did: counts, "seconds": seconds}))


REMARKS = {
    "finished": "",
    "interrupted": " Interrupted: run it again for the rest.",
    "failed": " Then it ended: run it again for the rest.",
}


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(count(number, what) for what, number in counts.items()) or "nothing"


def first_told(first: tuple[str, timedelta] | None) -> str:
    if first is None:
        return "Another command was at work and ends just now. Run it again."
    name, since = first
    return (
        f"Another command is at work: {name}, for {int(since.total_seconds())} s. Nothing was done."
    )


def reason(error: Exception) -> str:
    """What ended it, without the words of libraries, which may quote what stands in tasks."""
    match error.__cause__:
        case errors.LockNotAvailable() | errors.DeadlockDetected():
            return f"Others keep rows locked: waited for {LOCK_SECONDS} s. Run it again."
        case errors.QueryCanceled():
            return f"PostgreSQL took more than {STATEMENT_SECONDS} s for one statement."
        case cause:
            name = type(cause).__name__
            return f"The database is away, or ended it ({name}). See: manage.py doctor"
