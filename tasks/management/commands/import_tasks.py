"""Reads tasks from JSON Lines or CSV: what export_tasks wrote, or a plain CSV with titles.

It is one transaction: the rows go into a temporary table, are held against one another and against
the tasks there are, and then written by one statement. So of a file with a bad row nothing is
written, memory stays flat, and PgBouncer in transaction mode makes no difference.

Ids and times that the file gives are kept; a time that it leaves out is that of the import. Of a
task that is there and that the file changes, `updated_at` never goes back: for whoever syncs by it,
the import is a change like any other. No task ever moves to another owner.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from authjwt.wording import count
from tasks import exchange
from tasks.management import reading
from tasks.management.arguments import user_id
from tasks.management.commands.export_tasks import add_format, format_of
from tasks.management.maintenance import MaintenanceCommand
from tasks.schemas import SENTENCES

Read = tuple[int, reading.Row | str]
MOST_FAULTS = 20
WHOLE = frozenset(exchange.FIELDS) - {"user_id"}
COLUMNS = ", ".join(exchange.FIELDS)

# The file says how long a statement takes, and an operator may think before typing.
LIMIT = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""
STAGE = f"""
    CREATE TEMPORARY TABLE read AS
    SELECT 0::bigint AS line, {COLUMNS} FROM tasks_task WITH NO DATA
"""  # noqa: S608  of constants
FILL = f"COPY pg_temp.read (line, {COLUMNS}) FROM STDIN"

REPEATED = """
    DELETE FROM pg_temp.read AS later USING (
        SELECT id, min(line) AS line FROM pg_temp.read
        WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1
    ) AS first
    WHERE later.id = first.id AND later.line > first.line
    RETURNING later.line, 'id: stands in line ' || first.line || ' already'
"""
TAKEN = """
    DELETE FROM pg_temp.read USING tasks_task AS task WHERE read.id = task.id
    RETURNING line, 'id: there is a task with this id'
"""
OF_ANOTHER = """
    DELETE FROM pg_temp.read USING tasks_task AS task
    WHERE read.id = task.id AND read.user_id <> task.user_id
    RETURNING line, 'id: there is a task of another user with this id'
"""
FOUND = f"""
    WITH bad (line, rule) AS ({{}})
    SELECT line, rule, count(*) OVER () FROM bad ORDER BY line LIMIT {MOST_FAULTS}
"""  # noqa: S608  of constants

# All but `updated_at`: it never goes back, so a file cannot always have its way with it.
COMPARED = [field for field in exchange.FIELDS if field != "updated_at"]
THERE, READ, EXCLUDED = (
    ", ".join(f"{table}.{field}" for field in COMPARED) for table in ("task", "read", "excluded")
)
EXPECTED = f"""
    SELECT count(*) FILTER (WHERE task.id IS NULL),
           count(*) FILTER (WHERE task.id IS NOT NULL AND ({THERE}) IS DISTINCT FROM ({READ})),
           count(*)
    FROM pg_temp.read LEFT JOIN tasks_task AS task ON read.id = task.id
"""  # noqa: S608  of constants

# The API goes on taking ids meanwhile, so the sequence must never be set back: a short way it is
# led id by id, and on a long one nobody gets ahead of it within a statement.
LEAD = """
    SELECT CASE WHEN way BETWEEN 1 AND 10000 THEN
                    (SELECT max(id) FROM (
                        SELECT nextval(name) AS id FROM generate_series(1, way)) AS step)
                WHEN way > 10000 THEN setval(name, largest) END
    FROM (
        SELECT name, largest, largest - coalesce(pg_sequence_last_value(name), 0) AS way
        FROM (SELECT max(id) AS largest FROM pg_temp.read) AS given,
             (SELECT pg_get_serial_sequence('tasks_task', 'id')::regclass AS name) AS sequence
    ) AS led
"""
DEFAULTS = {
    "id": "nextval(pg_get_serial_sequence('tasks_task', 'id'))",
    "created_at": "now()",
    "updated_at": "now()",
}
VALUES = ", ".join(
    f"coalesce({field}, {DEFAULTS[field]})" if field in DEFAULTS else field
    for field in exchange.FIELDS
)
WRITE = f"""
    WITH written AS (
        INSERT INTO tasks_task AS task ({COLUMNS})
        SELECT {VALUES} FROM pg_temp.read ORDER BY line
        ON CONFLICT (id) DO {{}}
        RETURNING task.xmax = 0 AS new
    )
    SELECT count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new) FROM written
"""  # noqa: S608  of constants
UPDATE = f"""
    UPDATE SET ({", ".join(COMPARED)}) = ({EXCLUDED}),
        updated_at = greatest(task.updated_at, excluded.updated_at)
    WHERE task.user_id = excluded.user_id AND ({THERE}) IS DISTINCT FROM ({EXCLUDED})
"""


class Command(MaintenanceCommand):
    help = "Reads tasks from JSON Lines or CSV, from a file or from standard input."
    verb = "read"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", nargs="?", default="-", help="where from; without it, or -, standard input"
        )
        add_format(parser)
        parser.add_argument(
            "--user", metavar="ID", type=user_id, help="whose the tasks are, whatever the file says"
        )
        parser.add_argument(
            "--on-conflict",
            choices=("fail", "skip", "update"),
            default="fail",
            help="what to do where there is a task with the id of a row: call the row bad (this is "
            "the default), leave the task as it is, or make it as the row says",
        )
        parser.add_argument(
            "--skip-bad", action="store_true", help="write the good rows of a file with bad ones"
        )
        super().add_arguments(parser)

    def handle(self, **options: Any) -> None:
        self.irreversible = options["on_conflict"] == "update"
        super().handle(**options)

    def run(
        self,
        *,
        file: str,
        form: exchange.Format | None,
        user: str | None,
        on_conflict: str,
        skip_bad: bool,
        **_: Any,
    ) -> None:
        form = form or format_of(file)
        self.bad = 0
        self.faults: list[tuple[int, str]] = []
        with (
            self.alone(),
            opened(file) as source,
            self.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.execute(LIMIT)
            cursor.execute(STAGE)
            self._stage(cursor, reading.read(source, form), user, whole=on_conflict == "update")
            self._compare(cursor, on_conflict)
            self._report(skip_bad=skip_bad)
            done = self._write(cursor, on_conflict)
            cursor.execute("DROP TABLE pg_temp.read")
        self.done.update(done, **{"bad row": self.bad})

    def _stage(self, cursor: Any, rows: Iterable[Read], user: str | None, *, whole: bool) -> None:
        values = attrgetter(*exchange.FIELDS)
        with self.progress(None), cursor.copy(FILL) as copy:
            for line, row in rows:
                self.bar.update()
                rule = row if isinstance(row, str) else broken(row, user, whole=whole)
                if isinstance(row, str) or rule:
                    self._bad([(line, rule)])
                else:
                    row.user_id = user or row.user_id
                    copy.write_row((line, *values(row)))

    def _compare(self, cursor: Any, on_conflict: str) -> None:
        conflicts = {"fail": [TAKEN], "skip": [], "update": [OF_ANOTHER]}[on_conflict]
        for bad in (REPEATED, *conflicts):
            cursor.execute(FOUND.format(bad))
            found = cursor.fetchall()
            self._bad([(line, rule) for line, rule, _ in found], found[0][-1] if found else 0)

    def _bad(self, faults: list[tuple[int, str]], number: int = 1) -> None:
        self.bad += number
        self.faults = sorted([*self.faults, *faults])[:MOST_FAULTS]

    def _report(self, *, skip_bad: bool) -> None:
        for line, rule in self.faults:
            self.stderr.write(f"line {line}: {rule}")
        if self.bad > len(self.faults):
            self.stderr.write(f"and {self.bad - len(self.faults)} more")
        if self.bad and not skip_bad:
            raise CommandError(
                f"{count(self.bad, 'bad row')}: nothing was imported. "
                "Mend the file, or leave them out with --skip-bad."
            )

    def _write(self, cursor: Any, on_conflict: str) -> dict[str, int]:
        cursor.execute(EXPECTED)
        new, changed, total = cursor.fetchone()
        changed = changed if on_conflict == "update" else 0
        if changed:
            self.confirm(
                f"This overwrites {count(changed, 'task')}, which cannot be undone.", str(changed)
            )
        if not self.dry_run:
            cursor.execute(LEAD)
            cursor.execute(WRITE.format(UPDATE if on_conflict == "update" else "NOTHING"))
            new, changed = cursor.fetchone()
            if on_conflict == "fail" and new < total:
                raise CommandError("Somebody took an id of the file meanwhile. Run it again.")
        return {"new task": new, "changed task": changed, "unchanged task": total - new - changed}


def broken(row: reading.Row, user: str | None, *, whole: bool) -> str:
    """The rule that a row breaks by what it leaves out."""
    required = set(WHOLE) if whole and row.id else set()
    required |= set() if user else {"user_id"}
    if missing := required - row.model_fields_set:
        return f"{min(missing)}: {SENTENCES['missing']}"
    return ""


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    try:
        if file == "-":
            yield sys.stdin.buffer
        else:
            with Path(file).open("rb") as source:
                yield source
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except reading.UnreadableHeader as error:
        raise CommandError(f"line 1: {error}. Nothing was imported.") from error
