"""The start page: its numbers, its estimates, and whether all is well."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client

from authjwt.bearer import refusals, verifier
from config.staff.refusals import Recorder, record, refused, store
from tasks import history
from tasks.admin import overview as numbers
from tasks.admin.clock import Clock
from tasks.models import RefusedTokens, Task
from tasks.people import NoPeople, source
from tests.commands import execute, wait_until
from tests.people import Person
from tests.tasks.admin.pages import ACT, HOME, LIST, SCRIPT, make

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(1)
NOW = datetime.now(UTC)
FILL = """
    INSERT INTO tasks_task
        (user_id, title, description, complete, priority, due_day, due_at, created_at, updated_at,
         completed_at, deleted_at)
    SELECT 'user-' || n %% 50, 'Task ' || n, repeat('x', 400), n %% 3 = 0,
        (ARRAY['low', 'medium', 'high'])[1 + n %% 7 %% 3],
        CASE WHEN n %% 4 = 0 THEN current_date + n %% 40 - 20 END,
        CASE WHEN n %% 4 = 1 THEN now() + (n %% 400 - 200) * interval '1 hour' END,
        time, time, CASE WHEN n %% 3 = 0 THEN least(now(), time + n %% 50 * interval '1 day') END,
        CASE WHEN n %% 10 = 7 THEN now() - n %% 33 * interval '1 day' END
    FROM generate_series(1, %s) AS n,
        LATERAL (SELECT now() - (%s - n) * interval '90 days' / %s AS time) AS times
"""


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    numbers.forget()
    yield
    numbers.forget()


def text(page: Any) -> str:
    content = re.sub(r"<(title|desc|style)\b.*?</\1>", "", page.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", content)))


def rows(found: Any) -> dict[str, int]:
    return {name: number.value for name, number in found.items() if number.value}


def clock(zone: str = "UTC") -> Clock:
    tz = ZoneInfo(zone)
    return Clock(tz, datetime.now(tz))


def test_the_page_says_what_there_is(administrator: Any) -> None:
    make(2, priority="high")
    make(1, priority="low", due_day=clock().today - 2 * DAY)
    make(1, complete=True, completed_at=NOW)
    make(3, deleted_at=NOW - 10 * DAY)

    page = administrator.get(HOME)

    assert "All is well." in text(page)
    for words in (
        "Open tasks 3",
        "Open and complete 4",
        "Created in 30 days 7",
        "Completed in 30 days 1",
        "In the trash 3",
        "high 2 medium 0 low 1",
        "overdue 1 today 0 this week 0 later 0 no due date 2",
        "overdue 0 today 0 in the next 7 days 0 later 3",
        f"{clock().today} 7 1",
        "Tokens refused in the last day None.",
    ):
        assert words in text(page)
    assert "about" not in text(page)
    for link in re.findall(rf'href="({LIST}[^"]*)"', page.content.decode()):
        assert administrator.get(unescape(link)).status_code == 200


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"])
def test_numbers_are_those_of_a_count_in_python(zone: str) -> None:
    fill(2000)
    now = clock(zone)
    found = numbers.count(now)

    tasks = list(Task.objects.all())
    alive = [task for task in tasks if not task.deleted_at]
    opened = [task for task in alive if not task.complete]
    first = now.midnight(now.today - 29 * DAY)
    assert found
    assert (found.share, found.tasks.value, found.open.value) == (100, len(alive), len(opened))
    assert rows(found.priorities) == Counter(task.priority for task in opened)
    assert rows(found.due) == Counter(due_of(task, now) for task in opened)
    assert found.trashed.value == len(tasks) - len(alive)
    for field in ("created", "completed"):
        times = [getattr(task, f"{field}_at") for task in tasks]
        days = Counter(time.astimezone(now.zone).date() for time in times if time and time >= first)
        assert {day.day: getattr(day, field).value for day in found.days} == {
            day.day: days[day.day] for day in found.days
        }


def fill(number: int, monkeypatch: Any = None, share: float = 1) -> None:
    """share: how much of the table a count may read. Rows of earlier tests may still be in it."""
    execute("TRUNCATE tasks_task")
    execute(FILL, number, number, number)
    if monkeypatch:
        with connection.cursor() as cursor:
            cursor.execute(numbers.PAGES)
            (pages,) = cursor.fetchone()
        monkeypatch.setattr(numbers, "MAX_PAGES", int(pages * share))


def due_of(task: Task, now: Clock) -> str:
    _, sunday = now.week
    if task.due_date is None:
        return "no due date"
    if now.is_overdue(task):
        return "overdue"
    day = task.due_day or task.due_at.astimezone(now.zone).date()  # type: ignore[union-attr]
    return "today" if day == now.today else "this week" if day <= sunday else "later"


def test_a_large_table_is_estimated_and_the_page_says_so(
    administrator: Any, monkeypatch: Any
) -> None:
    fill(6000)
    exact = numbers.count(clock())
    fill(6000, monkeypatch, 0.4)

    page = administrator.get(HOME)
    found = numbers.overview(clock())

    assert exact
    assert found
    assert found.share == pytest.approx(40, abs=1)
    assert found.open.is_estimate
    assert found.open.value == pytest.approx(exact.open.value, rel=0.2)
    assert found.completed.value == pytest.approx(exact.completed.value, rel=0.2)
    # What an index counts is exact.
    assert found.trash == exact.trash
    assert [day.created for day in found.days] == [day.created for day in exact.days]
    assert [found.due[due] for due in ("today", "this week")] == [
        exact.due[due] for due in ("today", "this week")
    ]
    assert f"Open tasks about {found.open.digits}" in text(page)
    assert "Numbers with “about” are estimates from" in text(page)


def test_numbers_of_a_large_table_are_counted_once_a_minute(
    administrator: Any, monkeypatch: Any
) -> None:
    fill(1000, monkeypatch, 0.5)
    pages = [administrator.get(HOME)]
    Task.objects.all().delete()
    pages.append(administrator.get(HOME))

    first, second = ([page.context["numbers"].open] for page in pages)

    assert first == second
    numbers.forget()
    assert administrator.get(HOME).context["numbers"].created.value == 0


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("EVERYTHING", "too slow at the moment"),
        ("TRASHED", "In the trash about"),
        ("RECENT", "Created in 30 days about"),
    ],
)
def test_a_slow_database_costs_numbers_and_not_the_page(
    administrator: Any, monkeypatch: Any, statement: str, sentence: str
) -> None:
    fill(1000, monkeypatch, 0.5)
    monkeypatch.setattr(numbers, "SAMPLE_TIMEOUT", "50ms")
    monkeypatch.setattr(numbers, "INDEX_TIMEOUT", "50ms")
    monkeypatch.setattr(numbers, statement, "SELECT pg_sleep(30)")

    page = administrator.get(HOME)

    assert page.status_code == 200
    assert sentence in text(page)
    assert "Latest actions of all staff" in text(page)


def test_the_actions_of_all_staff_are_shown(
    administrator: Any, support: Any, viewer: Client
) -> None:
    (task,) = make(1)
    Task.objects.filter(pk=task.pk).update(title=SCRIPT)
    support.post(f"{ACT}?task={task.pk}", {"action": "complete"})
    history.exported(administrator.user.pk, 7, "csv", {"complete": "yes"})

    page = viewer.get(HOME)

    assert "administrator" in text(page)
    assert "Export: 7 tasks exported as csv" in text(page)
    assert "complete: no → yes" in text(page)
    assert SCRIPT not in page.content.decode()
    assert f'href="/admin/tasks/task/{task.pk}/change/"' in page.content.decode()


def test_only_who_may_see_accounts_sees_what_was_done_to_them(
    viewer: Client, administrator: Any
) -> None:
    user = administrator.user
    user.is_superuser = True
    user.save()
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr="newcomer",
        action_flag=ADDITION,
    )

    assert "newcomer" in text(administrator.get(HOME))
    assert "newcomer" not in text(viewer.get(HOME))


def test_without_the_right_to_see_tasks_there_are_no_numbers(viewer: Client) -> None:
    make(1)
    viewer.user.groups.clear()  # type: ignore[attr-defined]

    page = viewer.get(HOME)

    assert page.status_code == 200
    for words in ("Open tasks", "Latest actions", "All is well", "Find a user"):
        assert words not in text(page)


def test_the_page_sends_few_statements(
    administrator: Any, django_assert_max_num_queries: Any
) -> None:
    make(50)
    for _ in range(12):
        history.exported(administrator.user.pk, 1, "csv", {})
    administrator.get(HOME)
    with django_assert_max_num_queries(17):
        administrator.get(HOME)


def test_tasks_that_should_be_gone_are_a_problem(administrator: Any, settings: Any) -> None:
    make(2, deleted_at=NOW - timedelta(days=settings.TASKS_RETENTION_DAYS, hours=30))
    assert (
        "1 problem found. The trash has tasks that should have been deleted more than a day ago: "
        "2. Run manage.py purge_tasks once a day."
    ) in text(administrator.get(HOME)).replace("⚠ ", "")


def test_users_that_cannot_be_read_are_a_problem(administrator: Any) -> None:
    source.remember(NoPeople("The table is not there."), seconds=60)
    assert "Names and e-mail addresses are missing. The table is not there." in text(
        administrator.get(HOME)
    )


def test_keys_that_cannot_be_fetched_are_a_problem(
    administrator: Any, settings: Any, monkeypatch: Any
) -> None:
    settings.BETTER_AUTH_JWKS_URL = "http://127.0.0.1:1/jwks"
    monkeypatch.setattr(verifier().keys, "failures", 3)
    assert "could not be fetched: 3 failures." in text(administrator.get(HOME))


def test_a_missing_migration_is_a_problem(administrator: Any) -> None:
    from config.http import health  # noqa: PLC0415

    execute("DELETE FROM django_migrations WHERE app = 'tasks'")
    execute("DROP TABLE tasks_refusedtokens")
    health._is_migrated.cache_clear()  # noqa: SLF001  only True is cached
    assert "Run manage.py migrate." in text(administrator.get(HOME))


def put(hours_ago: int, number: int, reason: str = "expired") -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - hours_ago * HOUR
    RefusedTokens.objects.create(hour=hour, reason=reason, number=number)


def test_refused_tokens_of_a_day_are_counted_by_reason(administrator: Any) -> None:
    for hours_ago, number in ((0, 1), (5, 2), (23, 4), (24, 1000)):
        put(hours_ago, number)
    put(3, 20, "wrong_issuer")

    assert refused().by_reason == [("wrong_issuer", 20), ("expired", 7)]
    assert "wrong_issuer 20 expired 7" in text(administrator.get(HOME))


@pytest.mark.parametrize(
    ("recent", "usual", "problems"),
    [(99, 0, 0), (100, 0, 1), (500, 50, 0), (501, 50, 1)],
)
def test_many_more_refused_tokens_than_usual_are_a_problem(
    administrator: Any, recent: int, usual: int, problems: int
) -> None:
    put(0, recent)
    put(100, usual * 84)
    assert text(administrator.get(HOME)).count("tokens were refused since") == problems


def test_counts_are_added_up_and_old_ones_removed() -> None:
    put(24 * 9, 5)
    store(Counter({"expired": 2, "malformed": 1}))
    store(Counter({"expired": 3}))
    assert dict(RefusedTokens.objects.values_list("reason", "number")) == {
        "expired": 5,
        "malformed": 1,
    }


@pytest.mark.django_db(transaction=True)
def test_a_worker_stores_what_it_refuses(monkeypatch: Any, alice: Person) -> None:
    """The first refusal at once, and those of the next minute together."""
    monkeypatch.setattr("config.staff.refusals.INTERVAL", 0.3)
    monkeypatch.setattr(refusals, "on_refusal", [])
    record()

    for _ in range(5):
        assert (
            alice.client.get(alice.tasks, headers={"Authorization": "Bearer no"}).status_code == 401
        )

    wait_until(lambda: [number for _, number in refused().by_reason] == [5])


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_stored_is_kept_for_the_next_time(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr("config.staff.refusals.INTERVAL", 0.05)
    execute("ALTER TABLE tasks_refusedtokens RENAME TO hidden")
    try:
        Recorder().count("expired")
        wait_until(lambda: "were not stored" in caplog.text)
    finally:
        execute("ALTER TABLE hidden RENAME TO tasks_refusedtokens")
    wait_until(lambda: refused().by_reason == [("expired", 1)])


def test_the_settings_of_counting_end_with_it(administrator: Any) -> None:
    execute("SELECT set_config('jit', 'on', true), set_config('statement_timeout', '7s', true)")
    numbers.count(clock())
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('jit'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("on", "7s")
