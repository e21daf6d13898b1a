"""`seed_tasks`: demo data that can be created again."""

from typing import Any

import pytest
from django.utils import timezone

from tasks import dates
from tasks.exchange import COLUMNS
from tasks.models import Task
from tasks.schemas import TaskFields
from tests.commands import Run, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _development(settings: Any) -> None:
    settings.DEBUG = True


def seed(*arguments: str) -> Run:
    return run("seed_tasks", "--users=20", "--tasks=500", "--seed=x", *arguments)


def made() -> list[tuple[Any, ...]]:
    """Everything but the ids."""
    return list(Task.objects.order_by("user_id", "id").values_list(*COLUMNS[1:]))


def test_it_creates_the_requested_numbers() -> None:
    assert seed() == Run(0, "Created: 20 users, 500 tasks.\n")

    assert Task.objects.count() == 500
    users = Task.objects.values_list("user_id", flat=True).distinct()
    assert len(users) == 20
    assert all(len(user) == 32 and user.isalnum() for user in users)


def test_the_demo_data_has_all_kinds_of_tasks() -> None:
    seed()

    now = timezone.now()
    assert Task.objects.trashed().exists()
    kinds: tuple[dict[str, Any], ...] = (
        {"complete": True},
        {"complete": False},
        {"description": None},
        {"description": ""},
        {"priority": "low"},
        {"priority": "high"},
        {"due_day": None, "due_at": None},
        {"due_day__lt": now.date(), "complete": False},
        {"due_day__gt": now.date(), "complete": False},
        {"due_at__isnull": False},
        {"tags": []},
        {"tags__len": 1},
        {"tags__len": 3},
    )
    for fields in kinds:
        assert Task.objects.alive().filter(**fields).exists(), fields
    days = Task.objects.dates("created_at", "day")
    assert len(days) > 100


def test_the_api_accepts_the_demo_data() -> None:
    seed()

    for task in Task.objects.all():
        sent = {name: getattr(task, name) for name in TaskFields.model_fields}
        due = sent["due_date"] and dates.written(sent["due_date"])
        TaskFields.model_validate({**sent, "due_date": due})


def test_the_same_seed_makes_the_same_data() -> None:
    seed()
    first = made()
    Task.objects.all().delete()
    seed()

    assert made() == first
    assert run("seed_tasks", "--seed=y", "--users=20", "--tasks=500").status == 0
    assert Task.objects.count() == 1000


def test_running_it_again_adds_what_is_missing() -> None:
    seed()
    first = made()
    Task.objects.owned_by(first[0][0]).delete()
    missing = 500 - Task.objects.count()

    assert seed() == Run(0, f"Created: 1 user, {missing} tasks.\n")
    assert made() == first
    assert seed("--dry-run") == Run(0, "Would be created: 0 users, 0 tasks.\n")


def test_a_dry_run_creates_nothing() -> None:
    assert seed("--dry-run") == Run(0, "Would be created: 20 users, 500 tasks.\n")
    assert not Task.objects.exists()


def test_without_a_seed_it_reports_the_one_it_chose() -> None:
    result = run("seed_tasks", "--tasks=5")
    first = made()
    Task.objects.all().delete()

    run("seed_tasks", "--tasks=5", f"--seed={result.err.split()[1]}")

    assert made() == first


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "100000001"])
def test_an_invalid_number_is_refused(number: str) -> None:
    result = run("seed_tasks", f"--tasks={number}")

    assert result.status != 0
    assert "argument --tasks: must be a whole number from 1 to 100000000" in result.err


def test_outside_development_it_requires_a_flag(settings: Any) -> None:
    settings.DEBUG = False

    result = seed()

    assert result.status == 1
    assert "add --outside-development" in result.err
    assert seed("--outside-development").status == 0
