"""Writes tasks as JSON Lines or CSV, in the order of their ids.

One statement reads them, so a file is a snapshot. The rows come through a cursor in a transaction,
which PgBouncer in transaction mode keeps on one connection too. A file gets its name once it is
complete. If the export fails, an earlier file of that name is unchanged.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection
from tqdm import tqdm

from tasks import exchange
from tasks.management.maintenance import MaintenanceCommand
from tasks.management.users import add_user
from tasks.models import Task, TaskQuerySet

ROWS_AT_ONCE = 1000
Write = Callable[[str], object]


class Command(MaintenanceCommand):
    help = "Writes tasks as JSON Lines or CSV, to a file or to standard output."
    verb = "exported"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            default="-",
            help="the file to write; without it, or with -, standard output",
        )
        add_format(parser)
        add_user(parser, "--user", "only the tasks of this user")
        parser.add_argument("--trash", action="store_true", help="include the tasks in the trash")
        super().add_arguments(parser)

    def run(self, *, file: str, form: Any, user: str | None, trash: bool, **_: Any) -> None:
        form = form or format_of(file)
        tasks = Task.objects.all() if user is None else Task.objects.owned_by(self.resolve(user))
        tasks = (tasks.anywhere() if trash else tasks.alive()).order_by("id")
        if self.dry_run:
            self.done["task"] = self.count(tasks)
            return
        try:
            self.done["task"] = self._export(tasks, form, file)
        except BrokenPipeError:
            # The reader has closed the pipe, as `head` does. Discard what is still buffered.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error

    def _export(self, tasks: TaskQuerySet, form: exchange.Format, file: str) -> int:
        with self._target(file) as write, self._bar(file, tasks):
            lines = exchange.lines(self._rows(tasks), form)
            while piece := "".join(islice(lines, ROWS_AT_ONCE)):
                write(piece)
        return self.read

    def _rows(self, tasks: TaskQuerySet) -> Iterator[tuple[Any, ...]]:
        """Not with `iterator()`: behind a pooler Django would keep every row in memory."""
        self.read = 0
        select = tasks.values_list(*exchange.COLUMNS).query.sql_with_params()
        with self.transaction(), connection.chunked_cursor() as cursor:
            cursor.execute(*select)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from rows
                self.read += len(rows)
                self.bar.update(len(rows))

    def _bar(self, file: str, tasks: TaskQuerySet) -> AbstractContextManager[Any]:
        """No bar if the data goes to the terminal too."""
        if file == "-" and sys.stdout.isatty():
            self.bar = tqdm(disable=True)
            return self.bar
        return self.progress(self.count(tasks) if sys.stderr.isatty() else None)

    def _target(self, file: str) -> AbstractContextManager[Write]:
        if file == "-":
            return self._standard_output()
        path = Path(file)
        # A device or a pipe cannot be replaced, and must not be.
        return _opened(path) if path.exists() and not path.is_file() else _replaced(path.resolve())

    @contextmanager
    def _standard_output(self) -> Iterator[Write]:
        """The data has standard output for itself, so the summary goes to standard error."""
        data, self.stdout = self.stdout, self.stderr
        self.stderr.style_func = None
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        yield lambda piece: data.write(piece, ending="")
        data.flush()


def add_format(parser: CommandParser) -> None:
    parser.add_argument(
        "--format",
        dest="form",
        choices=exchange.FORMATS,
        help="format of the file; without it, the ending of its name decides",
    )


def format_of(file: str) -> exchange.Format:
    for form in exchange.FORMATS:
        if file.lower().endswith(f".{form}"):
            return form
    raise CommandError(
        "Add --format jsonl or --format csv: no file name ends in .jsonl or .csv.",
        returncode=2,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file.write


@contextmanager
def _replaced(path: Path) -> Iterator[Write]:
    """Only the owner of the file may read it, since it holds personal data."""
    with NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
