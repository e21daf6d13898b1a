"""`import_tasks`: exported tasks come back unchanged, and a bad file changes nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authjwt.user_ids import RULE
from tasks import dates
from tasks.exchange import COLUMNS, FIELDS, FORMATS
from tasks.models import Priority, Task
from tests.commands import PIPED, Run, Terminal, ended, execute, run, start
from tests.people import Person
from tests.server import database_url
from tests.tasks.commands.strategies import DUE_DATES, TAGS

pytestmark = pytest.mark.django_db
by_process = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
REFUSED = "Nothing was imported. Fix the file, or add --skip-bad to import only the good rows."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tasks.jsonl"


def summary(new: int = 0, changed: int = 0, unchanged: int = 0, bad: int = 0) -> str:
    numbers = ((new, "new task"), (changed, "changed task"), (unchanged, "unchanged task"))
    counts = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in (*numbers, (bad, "bad row"))]
    return f"Read: {', '.join(counts)}.\n"


def create(title: str = "Buy milk", user_id: str = "alice", **fields: Any) -> Task:
    return Task.objects.create(user_id=user_id, title=title, **fields)


def rows() -> list[tuple[Any, ...]]:
    return list(Task.objects.order_by("id").values_list(*COLUMNS))


def write(file: Path, *tasks: dict[str, Any]) -> str:
    file.write_bytes(b"\n".join(orjson.dumps({"user_id": "alice"} | task) for task in tasks))
    return str(file)


def whole(task: Task, **fields: Any) -> dict[str, Any]:
    """Every field, as an update requires."""
    return {name: getattr(task, name) for name in FIELDS} | fields


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
users = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=255).filter(str.strip)
moments = st.timedeltas(datetime(1970, 1, 1, tzinfo=UTC) - NOON, timedelta()).map(
    lambda since: NOON + since
)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    complete = draw(st.booleans())
    task = Task(
        user_id=draw(users),
        title=draw(text.map(lambda title: title.strip()[:200].strip()).filter(bool)),
        # An empty description is read as none: it has a test of its own.
        description=draw(st.none() | text.map(lambda description: description[:1000] or None)),
        complete=complete,
        priority=draw(st.sampled_from(Priority.values)),
        tags=draw(TAGS),
        completed_at=draw(moments) if complete else None,
        created_at=draw(moments),
        updated_at=draw(moments),
        deleted_at=draw(st.none() | moments),
    )
    task.due_date = draw(DUE_DATES)
    return task


@pytest.mark.parametrize("form", FORMATS)
@given(made=st.lists(tasks(), max_size=4))
def test_export_erase_import_gives_the_same_tasks_back(form: str, made: list[Task]) -> None:
    Task.objects.all().delete()
    Task.objects.bulk_create(made)
    before = rows()
    with TemporaryDirectory() as folder:
        file = f"{folder}/tasks.{form}"
        assert run("export_tasks", file, "--trash").status == 0
        Task.objects.all().delete()
        assert run("import_tasks", file) == Run(0, summary(new=len(made)))

    assert rows() == before


def test_an_apostrophe_alone_is_an_empty_text_of_an_earlier_release(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text("title,description\n'','\n")

    assert run("import_tasks", str(path), "--user", "alice") == Run(0, summary(new=1))

    assert Task.objects.values_list("title", "description").get() == ("'", "")


def test_a_csv_of_titles_is_enough(tmp_path: Path, alice: Person) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("title\n Buy milk \nBuy bread\n")

    assert run("import_tasks", str(path), "--user", "alice") == Run(0, summary(new=2))

    bread, milk = alice.get(alice.tasks).json()["tasks"]
    assert (milk["title"], bread["title"]) == ("Buy milk", "Buy bread")
    now = milk["created_at"]
    assert milk == {
        "id": milk["id"],
        "user_id": "alice",
        "title": "Buy milk",
        "description": None,
        "complete": False,
        "priority": "medium",
        "due_date": None,
        "tags": [],
        "completed_at": None,
        "created_at": now,
        "updated_at": now,
    }
    assert datetime.now(UTC) - datetime.fromisoformat(now) < timedelta(minutes=1)


def test_a_complete_task_gets_a_missing_completed_at(file: Path) -> None:
    run("import_tasks", write(file, {"title": "x", "complete": True, "created_at": NOON}))

    task = Task.objects.get()
    assert task.created_at == NOON
    assert task.completed_at is not None
    assert task.completed_at == task.updated_at > NOON


def test_the_user_of_the_flag_owns_all_tasks(file: Path) -> None:
    run("import_tasks", write(file, {"title": "x"}, {"title": "y"}), "--user", "bob")

    assert Task.objects.owned_by("bob").count() == 2


@pytest.fixture
def _ids_as_before() -> Iterator[None]:
    """Sets the sequence back, which a rollback does not do."""
    last = create().pk
    yield
    execute("SELECT setval(pg_get_serial_sequence('tasks_task', 'id'), %s)", last)


@pytest.mark.usefixtures("_ids_as_before")
@pytest.mark.parametrize("largest", [1000, 2**40, 2**52 - 1])
def test_the_next_id_follows_the_largest_one(file: Path, alice: Person, largest: int) -> None:
    before = alice.create()["id"]
    path = write(file, {"title": "x", "id": max(before + 1000, largest)}, {"title": "y"})

    assert run("import_tasks", path).status == 0

    (given,) = Task.objects.filter(title="x").values_list("id", flat=True)
    (made,) = Task.objects.filter(title="y").values_list("id", flat=True)
    assert made == given + 1
    assert alice.create()["id"] == given + 2


def test_the_next_id_never_goes_back(file: Path, alice: Person) -> None:
    first, last = alice.create(), alice.create()
    Task.objects.all().delete()

    run("import_tasks", write(file, {"title": "x", "id": first["id"]}))

    assert alice.create()["id"] == last["id"] + 1


def test_a_file_with_a_bad_row_changes_nothing(file: Path) -> None:
    path = write(file, {"title": "good"}, {"title": " "}, {"title": "x", "priority": "urgent"})
    problems = (
        "line 2: title: must not be blank\n"
        "line 3: priority: must be one of 'low', 'medium' or 'high'\n"
    )

    assert run("import_tasks", path) == Run(1, "", f"{problems}2 bad rows. {REFUSED}")
    assert not Task.objects.exists()
    assert run("import_tasks", path, "--skip-bad") == Run(0, summary(new=1, bad=2), problems)
    assert [title for _, _, title, *_ in rows()] == ["good"]


def test_only_the_first_bad_rows_are_reported(file: Path) -> None:
    result = run("import_tasks", write(file, *[{"title": ""}] * 1000))

    lines = result.err.splitlines()
    assert lines[0] == "line 1: title: must not be blank"
    assert lines[19:] == [
        "line 20: title: must not be blank",
        "and 980 more",
        f"1000 bad rows. {REFUSED}",
    ]


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("id", 2**52, "must be at most 4503599627370495"),
        ("id", 2**63, "must be at most 4503599627370495"),
        ("updated_at", "9999-12-31T23:59:59.999999Z", "must not be more than a day in the future"),
        ("created_at", "0001-01-01T00:00:00Z", "must not be before 1970"),
        ("due_date", "31.01.2026", dates.RULE),
        ("due_date", "2026-01-31T12:00:00", dates.NO_OFFSET),
        ("tags", ["a", "A"], "must not name a tag twice, ignoring case: A"),
        *(("user_id", user, RULE) for user in ("", " ", "a\nb", "\x7f", "a\x85")),
    ],
)
def test_what_the_api_could_not_have_made_is_a_bad_row(
    file: Path, field: str, value: Any, rule: str
) -> None:
    path = write(file, {"title": "good"}, {"title": "x", field: value})

    assert run("import_tasks", path) == Run(1, "", f"line 2: {field}: {rule}\n1 bad row. {REFUSED}")
    assert not Task.objects.exists()


@pytest.mark.usefixtures("_ids_as_before")
def test_what_is_made_after_an_import_can_be_read_by_javascript(file: Path, alice: Person) -> None:
    largest: dict[str, Any] = {"title": "x", "id": 2**52 - 1}

    assert run("import_tasks", write(file, largest, *[{"title": "y"}] * 1000)).status == 0

    assert alice.create()["id"] < 2**53


def test_a_task_of_the_latest_time_can_still_be_changed(file: Path, alice: Person) -> None:
    latest = datetime.now(UTC) + timedelta(hours=23)
    run("import_tasks", write(file, {"title": "x", "created_at": latest, "updated_at": latest}))

    changed = alice.patch(alice.task(Task.objects.get().pk), {"title": "y"}).json()

    assert datetime.fromisoformat(changed["updated_at"]) == latest + timedelta(microseconds=1)


def test_a_row_without_an_owner_is_bad(file: Path) -> None:
    file.write_text('{"title": "x"}')

    assert run("import_tasks", str(file)).err.startswith("line 1: user_id: is required\n")


def test_a_repeated_id_is_bad(file: Path) -> None:
    path = write(file, *({"title": title, "id": 7} for title in "abc"))

    assert run("import_tasks", path, "--skip-bad") == Run(
        0,
        summary(new=1, bad=2),
        "line 2: id: already in line 1\nline 3: id: already in line 1\n",
    )
    assert Task.objects.get().title == "a"


def test_the_id_of_an_existing_task_is_bad(file: Path) -> None:
    there = create(deleted_at=NOON)
    path = write(file, {"title": "new"}, whole(there, title="other"))

    assert run("import_tasks", path) == Run(
        1, "", f"line 2: id: a task with this id exists\n1 bad row. {REFUSED}"
    )
    assert Task.objects.get() == there


def test_skip_leaves_an_existing_task(file: Path) -> None:
    there = create()
    path = write(file, {"title": "new"}, whole(there, title="other"))

    assert run("import_tasks", path, "--on-conflict=skip") == Run(0, summary(new=1, unchanged=1))
    assert [title for _, _, title, *_ in rows()] == ["Buy milk", "new"]


def test_update_changes_a_task_once(file: Path) -> None:
    there, same = create(), create("same")
    row = whole(there, title="other", deleted_at=NOON, updated_at=NOON)
    arguments = ("import_tasks", write(file, row, whole(same)), "--on-conflict=update", "--yes")

    assert run(*arguments, "--dry-run") == Run(
        0, "Would be r" + summary(changed=1, unchanged=1).removeprefix("R")
    )
    assert Task.objects.get(pk=there.pk).title == "Buy milk"
    assert run(*arguments) == Run(0, summary(changed=1, unchanged=1))
    changed = Task.objects.get(pk=there.pk)
    assert whole(changed) == row | {"updated_at": changed.updated_at}
    assert changed.updated_at > there.updated_at > NOON
    assert run(*arguments) == Run(0, summary(unchanged=2))
    assert Task.objects.get(pk=there.pk) == changed


def test_an_update_takes_a_later_time_from_the_file(file: Path) -> None:
    there = create()
    there.refresh_from_db()
    later = there.updated_at + timedelta(days=1)
    path = write(file, whole(there, title="other", updated_at=later))

    assert run("import_tasks", path, "--on-conflict=update", "--yes").status == 0

    assert Task.objects.get(pk=there.pk).updated_at == later


def test_update_requires_every_field(file: Path) -> None:
    there = create(description="2 l")
    row = whole(there)
    del row["description"]

    result = run("import_tasks", write(file, row), "--on-conflict=update", "--yes")

    assert result == Run(1, "", f"line 1: description: is required\n1 bad row. {REFUSED}")


DUE: dict[str, Any] = {"due_date": NOON, "tags": ["home", "Caf\u00e9"]}
EARLIER_FIELDS = set(FIELDS) - {"due_date", "tags"}


def test_a_file_of_an_earlier_release_makes_new_tasks(file: Path) -> None:
    earlier = whole(create(complete=True, completed_at=NOON))
    Task.objects.all().delete()
    row = {name: earlier[name] for name in EARLIER_FIELDS}

    assert run("import_tasks", write(file, row)) == Run(0, summary(new=1))

    task = Task.objects.get()
    assert (task.due_date, task.tags) == (None, [])


def test_a_file_of_an_earlier_release_does_not_empty_due_dates_and_tags(file: Path) -> None:
    there = create(**DUE)
    before = rows()
    row = {name: whole(there, title="other")[name] for name in EARLIER_FIELDS}
    path = write(file, row)

    assert run("import_tasks", path, "--on-conflict=update", "--yes") == Run(
        1, "", f"line 1: due_date: is required\n1 bad row. {REFUSED}"
    )
    assert run("import_tasks", path, "--on-conflict=skip") == Run(0, summary(unchanged=1))
    assert rows() == before


@pytest.mark.parametrize(
    "change",
    [
        {"due_date": None},
        {"due_date": "2026-01-31"},
        {"due_date": "2026-01-31T12:00:00.000001Z"},
        {"tags": []},
        {"tags": ["home", "CAF\u00c9"]},
        {"tags": ["Caf\u00e9", "home"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", FORMATS)
def test_an_update_writes_due_dates_and_tags(
    tmp_path: Path, form: str, change: dict[str, Any]
) -> None:
    there = create(**DUE)
    path = str(tmp_path / f"tasks.{form}")
    arguments = ("import_tasks", path, "--on-conflict=update", "--yes")
    changed = Task.objects.filter(pk=there.pk)
    changed.update(**stored(change))
    run("export_tasks", path)
    changed.update(**stored(DUE))

    assert run(*arguments) == Run(0, summary(changed=1))
    assert changed.filter(**stored(change)).exists()
    assert changed.get().tags_folded == ([tag.casefold() for tag in changed.get().tags] or None)
    assert run(*arguments) == Run(0, summary(unchanged=1))


def stored(fields: dict[str, Any]) -> dict[str, Any]:
    """As columns of the database."""
    due = {**DUE, **fields}["due_date"]
    is_day = due == "2026-01-31"
    return {
        "due_day": due if is_day else None,
        "due_at": None if is_day else due,
        "tags": {**DUE, **fields}["tags"],
    }


def test_no_task_moves_to_another_owner(file: Path) -> None:
    bobs = create(user_id="bob")
    before = rows()
    path = write(file, whole(bobs, user_id="alice", title="stolen"))

    assert run("import_tasks", path, "--on-conflict=update", "--yes") == Run(
        1, "", f"line 1: id: a task of another user has this id\n1 bad row. {REFUSED}"
    )
    assert run("import_tasks", path, "--on-conflict=skip") == Run(0, summary(unchanged=1))
    assert rows() == before


def test_a_dry_run_reports_everything_and_changes_nothing(file: Path, alice: Person) -> None:
    last = alice.create()
    path = write(file, {"title": "x", "id": last["id"] + 100}, {"title": ""})

    assert run("import_tasks", path, "--dry-run", "--skip-bad", "--json").json() == {
        "command": "import_tasks",
        "dry_run": True,
        "ended": "finished",
        "read": {"new_tasks": 1, "changed_tasks": 0, "unchanged_tasks": 0, "bad_rows": 1},
    }
    assert run("import_tasks", path, "--dry-run").status == 1
    assert alice.create()["id"] == last["id"] + 1


def test_an_unknown_column_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("name;title\nx;y\n")

    assert run("import_tasks", str(path)) == Run(
        1, "", "line 1: 'name;title': is not a known field. Nothing was imported."
    )


def test_a_missing_file_is_reported(file: Path) -> None:
    assert run("import_tasks", str(file)) == Run(
        1, "", f"{file} cannot be read: No such file or directory."
    )


@by_process
def test_standard_input_is_read() -> None:
    process = start(
        "import_tasks", "--format=csv", "--user=alice", **PIPED | {"stdin": subprocess.PIPE}
    )
    assert process.stdin
    process.stdin.write(b"title\r\nx\r\n")

    assert ended(process) == Run(0, summary(new=1))
    assert Task.objects.get().title == "x"


@by_process
def test_an_update_asks_for_the_number_of_tasks(file: Path) -> None:
    there = create()
    write(file, whole(there, title="other"))
    for typed, status, title in (("yes", 1, "Buy milk"), ("1", 0, "other")):
        terminal = Terminal("import_tasks", str(file), "--on-conflict=update")
        terminal.read_until("This overwrites 1 task, which cannot be undone.")
        terminal.type(f"{typed}\n")

        assert terminal.ended().status == status
        assert Task.objects.get().title == title


@by_process
def test_an_update_without_a_terminal_requires_yes(file: Path) -> None:
    result = ended(start("import_tasks", str(file), "--on-conflict=update"))

    assert (result.status, result.out) == (2, "")
    assert "Add --yes" in result.err


@contextmanager
def another_running() -> Iterator[None]:
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(b"tasks")])
        yield


@by_process
def test_an_import_is_refused_while_another_command_runs(file: Path) -> None:
    path = write(file, {"title": "x"})
    with another_running():
        result = run("import_tasks", path)

    assert (result.status, Task.objects.exists()) == (1, False)
    assert result.err.startswith("Another command has been running")
    assert run("import_tasks", path).status == 0


@by_process
def test_an_import_that_is_ended_changes_nothing(file: Path) -> None:
    process = start(
        "import_tasks", "--format=csv", "--user=alice", **PIPED | {"stdin": subprocess.PIPE}
    )
    assert process.stdin
    process.stdin.write(b"title\n" + b"x\n" * 100_000)
    process.stdin.flush()
    process.terminate()

    assert ended(process).status != 0
    assert not Task.objects.exists()
    assert run("import_tasks", write(file, {"title": "x"})).status == 0
