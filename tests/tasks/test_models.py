"""The rules of the contract hold in the database too, whoever writes to it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from tasks.models import WHITE_SPACE, Task
from tasks.schemas import Priority

pytestmark = pytest.mark.django_db

GOOD = {"user_id": "alice", "title": "Buy milk"}


def insert(**fields: Any) -> Task:
    """Past `save`, as a statement written by hand would."""
    (task,) = Task.objects.bulk_create([Task(**{**GOOD, **fields})])
    return task


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
        ({"complete": True}, "task_completed_at_when_complete"),
        ({"completed_at": timezone.now()}, "task_completed_at_when_complete"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(fields: dict[str, Any], constraint: str) -> None:
    with transaction.atomic(), pytest.raises(IntegrityError, match=f'"{constraint}"'):
        insert(**fields)


@pytest.mark.parametrize(("column", "length"), [("user_id", 255), ("title", 200)])
def test_a_longer_text_than_its_column_is_refused(column: str, length: int) -> None:
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


def test_a_broken_rule_is_told_in_words_before_it_is_saved() -> None:
    with pytest.raises(ValidationError) as caught:
        Task(**{**GOOD, "title": " x"}).full_clean()

    assert caught.value.messages == ["The title must not begin or end with white space."]


def test_priorities_are_the_same_for_database_and_clients() -> None:
    assert Task.Priority.values == ["low", "medium", "high"]
    assert all(f"'{value}'" in str(Priority) for value in Task.Priority.values)


def test_saving_keeps_the_time_of_completion() -> None:
    task = Task(**GOOD, complete=True)
    task.save()
    completed_at = task.completed_at
    assert completed_at == task.updated_at
    task.save()
    assert task.completed_at == completed_at
    task.complete = False
    task.save()
    assert task.completed_at is None


def test_a_change_keeps_the_time_of_completion_and_moves_on_from_the_last() -> None:
    earlier, ahead = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    done = insert(complete=True, completed_at=earlier, updated_at=earlier)
    task = insert(updated_at=ahead)

    assert Task.objects.change(complete=True, priority="high") == 2

    done.refresh_from_db()
    task.refresh_from_db()
    assert done.completed_at == earlier < done.updated_at
    assert task.completed_at == task.updated_at == ahead + timedelta(microseconds=1)
    Task.objects.change(complete=False)
    assert not Task.objects.filter(completed_at__isnull=False).exists()


def test_words_say_whose_tasks_and_in_which_order() -> None:
    first, second = insert(title="first"), insert(title="second")
    insert(user_id="bob")

    assert list(Task.objects.owned_by("alice").newest_first()) == [second, first]
    assert str(first) == "first"
