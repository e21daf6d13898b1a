"""Reads tasks from JSON Lines or CSV: a file of export_tasks, or a plain CSV with titles.

The import is one transaction. The rows go into a temporary table, are compared with one another and
with the existing tasks, and are then written by one statement. So a file with a bad row changes
nothing, memory use does not grow with the file, and PgBouncer in transaction mode works too.

Ids and times of the file are kept. A missing time becomes the time of the import. If the file
changes an existing task, its `updated_at` never goes back: a client that syncs by it must see the
import as a change like any other. No task ever moves to another owner.
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
from tasks.management.commands.export_tasks import add_format, format_of
from tasks.management.maintenance import MaintenanceCommand
from tasks.management.users import add_user
from tasks.schemas import MESSAGES

Read = tuple[int, reading.Row | str]
MAX_SHOWN = 20
REQUIRED_TO_UPDATE = frozenset(exchange.FIELDS) - {"user_id"}
COLUMNS = ", ".join(exchange.COLUMNS)

# The size of the file decides how long a statement takes, and an operator may take long to confirm.
NO_TIMEOUTS = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""
CREATE_TABLE = f"""
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
    RETURNING later.line, 'id: already in line ' || first.line
"""
EXISTING = """
    DELETE FROM pg_temp.read USING tasks_task AS task WHERE read.id = task.id
    RETURNING line, 'id: a task with this id exists'
"""
ANOTHER_OWNER = """
    DELETE FROM pg_temp.read USING tasks_task AS task
    WHERE read.id = task.id AND read.user_id <> task.user_id
    RETURNING line, 'id: a task of another user has this id'
"""
REJECT = f"""
    WITH bad (line, problem) AS ({{}})
    SELECT line, problem, count(*) OVER () FROM bad ORDER BY line LIMIT {MAX_SHOWN}
"""  # noqa: S608  of constants

# All but `updated_at`, which may stay later than in the file, since it never goes back.
COMPARED = [column for column in exchange.COLUMNS if column != "updated_at"]
STORED, READ, EXCLUDED = (
    ", ".join(f"{table}.{column}" for column in COMPARED) for table in ("task", "read", "excluded")
)
COUNTS = f"""
    SELECT count(*) FILTER (WHERE task.id IS NULL),
           count(*) FILTER (WHERE task.id IS NOT NULL AND ({STORED}) IS DISTINCT FROM ({READ})),
           count(*)
    FROM pg_temp.read LEFT JOIN tasks_task AS task ON read.id = task.id
"""  # noqa: S608  of constants

# The API takes ids in the meantime, so the sequence must never be set back. It is advanced id by id
# over a short distance, and set over a long one: nobody takes 10,000 ids within one statement.
ADVANCE_SEQUENCE = """
    SELECT CASE WHEN distance BETWEEN 1 AND 10000 THEN
                    (SELECT max(id) FROM (
                        SELECT nextval(name) AS id FROM generate_series(1, distance)) AS step)
                WHEN distance > 10000 THEN setval(name, next_of_this_shard) END
    FROM (
        SELECT name, largest
                + mod(mod(seqstart - largest, seqincrement) + seqincrement, seqincrement)
                AS next_of_this_shard,
            largest - coalesce(pg_sequence_last_value(name), 0) AS distance
        FROM (SELECT max(id) AS largest FROM pg_temp.read) AS file,
             (SELECT pg_get_serial_sequence('tasks_task', 'id')::regclass AS name) AS sequence
             JOIN pg_sequence ON seqrelid = name
    ) AS missing
"""
DEFAULTS = {
    "id": "nextval(pg_get_serial_sequence('tasks_task', 'id'))",
    "created_at": "now()",
    "updated_at": "now()",
}
VALUES = ", ".join(
    f"coalesce({column}, {DEFAULTS[column]})" if column in DEFAULTS else column
    for column in exchange.COLUMNS
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
    WHERE task.user_id = excluded.user_id AND ({STORED}) IS DISTINCT FROM ({EXCLUDED})
"""


class Command(MaintenanceCommand):
    help = "Imports tasks from JSON Lines or CSV, from a file or from standard input."
    verb = "read"
    irreversible = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            default="-",
            help="the file to read; without it, or with -, standard input",
        )
        add_format(parser)
        add_user(parser, "--user", "the owner of all these tasks, whatever the file says")
        parser.add_argument(
            "--on-conflict",
            choices=("fail", "skip", "update"),
            default="fail",
            help="what to do if a task with the id of a row exists: count the row as bad (the "
            "default), leave the task as it is, or change it to what the row says",
        )
        parser.add_argument(
            "--skip-bad",
            action="store_true",
            help="import the good rows of a file that also has bad ones",
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
        user = user and self.resolve(user)
        self.bad = 0
        self.problems: list[tuple[int, str]] = []
        with (
            self.alone(),
            opened(file) as source,
            self.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.execute(NO_TIMEOUTS)
            cursor.execute(CREATE_TABLE)
            self._stage(cursor, reading.read(source, form), user, whole=on_conflict == "update")
            self._compare(cursor, on_conflict)
            self._report(skip_bad=skip_bad)
            done = self._write(cursor, on_conflict)
            cursor.execute("DROP TABLE pg_temp.read")
        self.done.update(done, **{"bad row": self.bad})

    def _stage(self, cursor: Any, rows: Iterable[Read], user: str | None, *, whole: bool) -> None:
        values = attrgetter(*exchange.COLUMNS)
        with self.progress(None), cursor.copy(FILL) as copy:
            for line, row in rows:
                self.bar.update()
                problem = row if isinstance(row, str) else missing_field(row, user, whole=whole)
                if isinstance(row, str) or problem:
                    self._bad([(line, problem)])
                else:
                    row.user_id = user or row.user_id
                    copy.write_row((line, *values(row)))

    def _compare(self, cursor: Any, on_conflict: str) -> None:
        conflicts = {"fail": [EXISTING], "skip": [], "update": [ANOTHER_OWNER]}[on_conflict]
        for statement in (REPEATED, *conflicts):
            cursor.execute(REJECT.format(statement))
            bad = cursor.fetchall()
            self._bad([(line, problem) for line, problem, _ in bad], bad[0][-1] if bad else 0)

    def _bad(self, problems: list[tuple[int, str]], number: int = 1) -> None:
        self.bad += number
        self.problems = sorted([*self.problems, *problems])[:MAX_SHOWN]

    def _report(self, *, skip_bad: bool) -> None:
        for line, problem in self.problems:
            self.stderr.write(f"line {line}: {problem}")
        if self.bad > len(self.problems):
            self.stderr.write(f"and {self.bad - len(self.problems)} more")
        if self.bad and not skip_bad:
            raise CommandError(
                f"{count(self.bad, 'bad row')}. Nothing was imported. "
                "Fix the file, or add --skip-bad to import only the good rows."
            )

    def _write(self, cursor: Any, on_conflict: str) -> dict[str, int]:
        cursor.execute(COUNTS)
        new, changed, total = cursor.fetchone()
        changed = changed if on_conflict == "update" else 0
        if changed:
            self.confirm(
                f"This overwrites {count(changed, 'task')}, which cannot be undone.", str(changed)
            )
        if not self.dry_run:
            cursor.execute(ADVANCE_SEQUENCE)
            cursor.execute(WRITE.format(UPDATE if on_conflict == "update" else "NOTHING"))
            new, changed = cursor.fetchone()
            if on_conflict == "fail" and new < total:
                raise CommandError(
                    "A task with an id of the file was created in the meantime. "
                    "Nothing was imported. Run the command again."
                )
        return {"new task": new, "changed task": changed, "unchanged task": total - new - changed}


def missing_field(row: reading.Row, user: str | None, *, whole: bool) -> str:
    """What the row must say and does not; empty if nothing is missing."""
    required = set(REQUIRED_TO_UPDATE) if whole and row.id else set()
    required |= set() if user else {"user_id"}
    if missing := required - row.model_fields_set:
        return f"{min(missing)}: {MESSAGES['missing']}"
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
