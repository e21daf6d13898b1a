"""`due_date`: a day that is the same everywhere, or a time that keeps its moment."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tasks.models import Task
from tests.commands import execute
from tests.people import Person

pytestmark = pytest.mark.django_db

ZONES = [f"Etc/GMT{-offset:+d}" for offset in range(-12, 15)]
"""From -12 to +14 hours; these names have the opposite sign."""


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """For the process and for the session in the database."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    execute("SELECT set_config('TimeZone', %s, true)", request.param)
    try:
        yield request.param
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def test_a_day_stays_that_day_in_every_time_zone(alice: Person, zone: str) -> None:
    """Microsoft To Do and Google Tasks store a day as midnight, and Vikunja as a time of the
    client's zone: west or east of it the task is due a day earlier or later.
    """
    created = alice.create(due_date="2026-03-01")
    task = alice.task(created["id"])

    assert created["due_date"] == "2026-03-01", zone
    assert alice.get(task).json()["due_date"] == "2026-03-01"
    assert alice.patch(task, {"title": "x"}).json()["due_date"] == "2026-03-01"
    assert alice.put(task, alice.get(task).json()).json()["due_date"] == "2026-03-01"
    assert alice.get(alice.tasks).json()["tasks"][0]["due_date"] == "2026-03-01"
    assert Task.objects.get().due_date == date(2026, 3, 1)


def test_a_time_keeps_its_moment_in_every_time_zone(alice: Person, zone: str) -> None:
    created = alice.create(due_date="2026-03-01T00:30:00+02:00")

    assert created["due_date"] == "2026-02-28T22:30:00.000000Z", zone
    assert alice.get(alice.task(created["id"])).json() == created


def test_a_day_is_due_the_same_day_whoever_looks(alice: Person, zone: str) -> None:
    """Todoist once moved days by a zone in its filters: `due_before` a day must not include it."""
    alice.create(due_date="2026-03-01")

    for query, found in (
        ("due_before=2026-03-01", 0),
        ("due_before=2026-03-02", 1),
        ("due_after=2026-03-01", 1),
        ("due_after=2026-03-02", 0),
    ):
        assert alice.get(f"{alice.tasks}?{query}").json()["count"] == found, (zone, query)


@pytest.mark.parametrize(
    ("sent", "returned"),
    [
        ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
        ("2028-02-29", "2028-02-29"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00.5+05:45", "2026-01-31T06:15:00.500000Z"),
        ("2026-01-31T23:59:59.999999999-12:00", "2026-02-01T11:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-01-31T12:00:00+23:59", "2026-01-30T12:01:00.000000Z"),
        (None, None),
    ],
)
def test_due_dates_come_back_in_one_form(
    alice: Person, sent: str | None, returned: str | None
) -> None:
    created = alice.create(due_date=sent)

    assert created["due_date"] == returned
    assert alice.patch(alice.task(created["id"]), {"due_date": returned}).json() == created


@pytest.mark.parametrize(
    "text",
    [
        "2026-1-31",
        "2026-02-30",
        "2026-13-01",
        "0000-01-01",
        "10000-01-01",
        "20260131",
        "2026-W05-6",
        " 2026-01-31",
        "2026-01-31 ",
        "\uff12\uff10\uff12\uff16-01-31",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31t12:00:00Z",
        "2026-01-31T12:00:00z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00Z\n",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00:00 Europe/Vienna",
        "infinity",
        "now",
    ],
)
def test_any_other_form_is_422(alice: Person, text: str) -> None:
    response = alice.post(alice.tasks, {"title": "x", "due_date": text})

    assert response.status_code == 422, text
    assert response.json()["detail"] == (
        "due_date: must be a day like 2026-01-31, or a time with its offset like "
        "2026-01-31T17:30:00+01:00"
    )


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_a_time_that_leaves_the_years_in_utc_is_422(alice: Person, text: str) -> None:
    response = alice.post(alice.tasks, {"title": "x", "due_date": text})

    assert response.json()["detail"] == "due_date: must be in the years 0001 to 9999 in UTC"


@given(
    due=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001
    minutes=st.integers(-1439, 1439),
)
def test_any_time_comes_back_as_the_same_moment(alice: Person, due: datetime, minutes: int) -> None:
    sent = due.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat()

    returned = alice.create(due_date=sent)["due_date"]

    assert datetime.fromisoformat(returned) == datetime.fromisoformat(sent)
    assert returned.endswith("Z")


@given(day=st.dates())
def test_any_day_comes_back_as_it_was_sent(alice: Person, day: date) -> None:
    assert alice.create(due_date=day.isoformat())["due_date"] == day.isoformat()


def test_a_change_replaces_the_whole_due_date(alice: Person) -> None:
    """A day becomes a time and the other way round, and null empties it."""
    created = alice.create(due_date="2026-01-31")
    task = alice.task(created["id"])

    for due in ("2026-01-31T00:00:00.000000Z", "2026-01-31", None, "2026-02-01"):
        changed = alice.patch(task, {"due_date": due}).json()
        assert changed["due_date"] == due
        assert changed["updated_at"] > created["updated_at"]
        assert alice.patch(task, {"due_date": due}).json() == changed
        created = changed


def test_a_replacement_without_a_due_date_empties_it(alice: Person) -> None:
    task = alice.task(alice.create(due_date="2026-01-31", tags=["home"])["id"])
    replaced = alice.put(task, {"title": "x", "complete": False}).json()

    assert (replaced["due_date"], replaced["tags"]) == (None, [])


def test_a_model_has_the_day_or_the_time(alice: Person) -> None:
    task = Task.objects.get(pk=alice.create(due_date="2026-03-01T00:30:00+02:00")["id"])
    assert task.due_date == datetime(2026, 2, 28, 22, 30, tzinfo=UTC)

    task.due_date = date(2026, 3, 1)
    task.save()
    assert alice.get(alice.task(task.pk)).json()["due_date"] == "2026-03-01"


def test_the_database_keeps_days_and_times_apart(alice: Person) -> None:
    alice.create(due_date="2026-01-31")
    alice.create(due_date="2026-01-31T00:00:00Z")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT due_day::text, due_at AT TIME ZONE 'UTC' FROM tasks_task ORDER BY id"
        )
        assert cursor.fetchall() == [("2026-01-31", None), (None, datetime(2026, 1, 31))]  # noqa: DTZ001
