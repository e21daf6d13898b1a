"""The database itself holds every writer to the rules of the contract."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from tasks import operations
from tasks.models import WHITE_SPACE, Priority, Task
from tasks.schemas import PriorityOut
from tests.commands import execute

pytestmark = pytest.mark.django_db

GOOD = {"user_id": "alice", "title": "Buy milk"}


def insert(**fields: Any) -> Task:
    """Without `save`, as SQL by hand would."""
    (task,) = Task.objects.bulk_create([Task(**{**GOOD, **fields})])
    return task


def write(**fields: Any) -> None:
    """The same with values that Django would refuse."""
    values = {**GOOD, **fields}
    places = ", ".join(["%s"] * len(values))
    execute(f"INSERT INTO tasks_task ({', '.join(values)}) VALUES ({places})", *values.values())


def test_what_python_strips_is_white_space() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))

    assert "".join(character for character in every if character.isspace()) == WHITE_SPACE


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"user_id": ""}, "task_user_id_not_empty"),
        ({"title": ""}, "task_title_not_blank"),
        *(({"title": f"x{space}"}, "task_title_trimmed") for space in WHITE_SPACE),
        ({"title": " x"}, "task_title_trimmed"),
        ({"description": "x" * 1001}, "task_description_length"),
        ({"priority": "urgent"}, "task_priority"),
        ({"priority": "HIGH"}, "task_priority"),
        ({"completed_at": timezone.now()}, "task_completed_at_when_complete"),
        ({"due_day": date.min, "due_at": timezone.now()}, "task_due"),
        ({"due_day": "infinity"}, "task_due"),
        ({"due_at": "10000-01-01T00:00:00Z"}, "task_due"),
        ({"tags": [*map(str, range(21))]}, "task_tags"),
        ({"tags": [""]}, "task_tags"),
        ({"tags": [None]}, "task_tags"),
        ({"tags": [["a"], ["b"]]}, "task_tags"),
        ({"tags": ["home", "x" * 51]}, "task_tags"),
        *(({"tags": [f"x{space}"]}, "task_tags") for space in WHITE_SPACE),
        *(({"tags": [f"a{character}b"]}, "task_tags") for character in ",\x01\n\x1f\x7f\x9f"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(fields: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=f'"{constraint}"'), transaction.atomic():
        write(**fields)


@pytest.mark.parametrize(("column", "length"), [("user_id", 255), ("title", 200)])
def test_text_longer_than_its_column_is_refused(column: str, length: int) -> None:
    with transaction.atomic(), pytest.raises(DataError, match="too long"):
        insert(**{column: "x" * (length + 1)})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"title": "😀" * 200, "user_id": "x" * 255},
        {"description": "😀" * 1000},
        {"description": ""},
        {"complete": True, "completed_at": timezone.now()},
        {"due_day": date.min},
        {"due_day": date.max},
        {"due_at": datetime.min.replace(tzinfo=UTC)},
        {"due_at": datetime.max.replace(tzinfo=UTC)},
        {"tags": ["😀" * 50, "שלום \u202eabc", "👩\u200d👧"]},
    ],
)
def test_a_row_that_keeps_the_rules_is_stored(fields: dict[str, Any]) -> None:
    assert insert(**fields).pk


def test_the_id_is_a_64_bit_identity() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data_type, is_identity FROM information_schema.columns"
            " WHERE table_name = 'tasks_task' AND column_name = 'id'"
        )
        assert cursor.fetchone() == ("bigint", "YES")


def test_a_broken_rule_has_a_message_before_it_is_saved() -> None:
    with pytest.raises(ValidationError) as caught:
        Task(**{**GOOD, "title": " x"}).full_clean()

    assert caught.value.messages == ["The title must not begin or end with white space."]


def test_priorities_are_the_same_for_database_and_clients() -> None:
    assert Priority.values == ["low", "medium", "high"]
    assert get_args(PriorityOut) == tuple(Priority.values)


def test_a_new_task_that_is_complete_was_completed_when_it_was_made() -> None:
    task = insert(complete=True)

    task.refresh_from_db()
    assert task.completed_at == task.updated_at


def times(task: Task) -> tuple[Any, Any]:
    task.refresh_from_db()
    return task.completed_at, task.updated_at


FIELDS = Task._meta.concrete_fields  # noqa: SLF001
READ_ONLY_FIELDS = {"id", "user_id", "created_at", "updated_at", "completed_at", "deleted_at"}
DERIVED_FIELDS = {"folded", "tags_folded"}
VALUES = {
    "ArrayField": ["home"],
    "BooleanField": True,
    "CharField": "high",
    "DateField": date.min,
    "DateTimeField": datetime(2026, 1, 31, tzinfo=UTC),
    "TextField": "other",
}
WRITERS: dict[str, Callable[..., object]] = {
    "save": lambda task, name, value: Task(**{**vars_of(task), name: value}).save(),
    "update": lambda task, name, value: Task.objects.filter(pk=task.pk).update(**{name: value}),
    "SQL by hand": lambda task, name, value: execute(
        f"UPDATE tasks_task SET {name} = %s WHERE id = %s", value, task.pk
    ),
    "the API": lambda task, name, value: operations.write(
        "change", task.user_id, task.pk, json.dumps({name: value})
    ),
}


def vars_of(task: Task) -> dict[str, Any]:
    return {field.attname: getattr(task, field.attname) for field in FIELDS}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_the_times_are_right_whoever_writes(write: Callable[..., object]) -> None:
    """Even if the clock of the last change was ahead."""
    ahead = timezone.now() + timedelta(hours=1)
    task = insert(updated_at=ahead)
    task.refresh_from_db()

    write(task, "complete", value=True)
    done, first = times(task)
    write(task, "title", value="other")
    still_done, second = times(task)
    write(task, "title", value="other")
    same = times(task)
    write(task, "complete", value=False)
    undone, third = times(task)

    tick = timedelta(microseconds=1)
    assert (first, second, third) == (ahead + tick, ahead + 2 * tick, ahead + 3 * tick)
    assert (done, still_done, undone) == (first, first, None)
    assert same == (still_done, second)


def test_a_change_sets_updated_at_to_the_current_time() -> None:
    task = insert(updated_at=timezone.now() - timedelta(hours=1))

    Task.objects.filter(pk=task.pk).update(priority="high")

    task.refresh_from_db()
    assert timezone.now() - task.updated_at < timedelta(minutes=1)


CHANGEABLE = {field.attname for field in FIELDS} - READ_ONLY_FIELDS - DERIVED_FIELDS


@pytest.mark.parametrize("name", sorted(CHANGEABLE))
def test_a_change_of_any_field_that_clients_set_moves_updated_at(name: str) -> None:
    task = insert()
    task.refresh_from_db()
    before = task.updated_at
    field = Task._meta.get_field(name)  # noqa: SLF001

    Task.objects.filter(pk=task.pk).update(**{name: VALUES[field.get_internal_type()]})

    task.refresh_from_db()
    assert task.updated_at > before


@pytest.mark.parametrize(
    "fields",
    [{"user_id": "bob"}, {"deleted_at": timezone.now()}, {"created_at": timezone.now()}],
    ids=lambda fields: next(iter(fields)),
)
def test_other_changes_leave_the_times(fields: dict[str, Any]) -> None:
    task = insert()
    task.refresh_from_db()
    before = task.updated_at

    Task.objects.filter(pk=task.pk).update(**fields)

    assert times(task) == (None, before)


def test_the_database_folds_case_as_python_does() -> None:
    """On every version of PostgreSQL, and in every locale."""
    characters = [*map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)])]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(tasks_casefold(text) ORDER BY place)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS given (text, place)",
            [characters],
        )
        (folded,) = cursor.fetchone()

    assert folded == [character.casefold() for character in characters]


@pytest.mark.parametrize(
    "text", ["GRÜẞE, ΟΔΥΣΣΕΎΣ", "ﬀ ΐ İ", "\u24b6\U00010400 \u13a0", "ASCII [\\^'] only"]
)
def test_the_database_folds_texts_as_python_does(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tasks_casefold(%s)", [text])
        assert cursor.fetchone() == (text.casefold(),)


def folded(task: Task) -> tuple[Any, Any]:
    task.refresh_from_db()
    return task.folded or None, task.tags_folded


@pytest.mark.parametrize("change", WRITERS.values(), ids=WRITERS.keys())
def test_folded_texts_follow_every_writer(change: Callable[..., object]) -> None:
    """Texts that need no more than ASCII are not stored a second time."""
    task = insert(title="Milk", description="FRESH")
    assert folded(task) == (None, None)

    change(task, "title", value="Äpfel")
    assert folded(task) == (["äpfel", "fresh"], None)
    change(task, "description", value=None)
    assert folded(task) == (["äpfel", None], None)
    change(task, "complete", value=True)
    assert folded(task) == (["äpfel", None], None)
    change(task, "tags", value=["Büro", "HOME"])
    assert folded(task) == (["äpfel", None], ["büro", "home"])
    change(task, "tags", value=[])
    assert folded(task) == (["äpfel", None], None)
    change(task, "title", value="apples")
    assert folded(task) == (None, None)


def test_queries_filter_by_owner_and_sort_newest_first() -> None:
    first, second = insert(title="first"), insert(title="second")
    insert(user_id="bob")

    assert list(Task.objects.owned_by("alice").newest_first()) == [second, first]
    assert str(first) == "first"
