"""The task list: search, filters, pages, and how many statements they need."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks.admin import TaskAdmin, changelist, clock, counting
from tasks.admin.changelist import (
    INDEX_SETTINGS,
    SCAN_SETTINGS,
    ids_by_expression,
    ids_by_key,
)
from tasks.admin.filters import DueFilter
from tasks.models import Task
from tests.people import Sends
from tests.tasks.admin.pages import LIST, SCRIPT

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(client: Client) -> Any:
    # Without a password, since hashing one would take longer than the test.
    client.force_login(User.objects.create(username="staff", is_staff=True, is_superuser=True))

    def get(path: str = "", **query: Any) -> Any:
        return client.get(path or LIST, query or None, secure=True)

    return get


@pytest.fixture
def many(monkeypatch: Any) -> list[int]:
    """Ids of 50 tasks, newest first, on pages of 20. The word "bread" is rare in the titles."""
    monkeypatch.setattr(TaskAdmin, "list_per_page", 20)
    Task.objects.bulk_create(
        Task(user_id=f"user{n % 7}", title=f"Buy {'bread' if n % 10 == 0 else 'milk'} {n}")
        for n in range(50)
    )
    return list(Task.objects.order_by("-id").values_list("id", flat=True))


@pytest.fixture
def _many_analysed() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_task (user_id, title, complete, priority, completed_at, created_at,"
            " due_day, tags)"
            " SELECT 'user' || n % 500, 'Buy word' || n, false, 'low', NULL,"
            " now() - (40000 - n) * interval '1 minute',"
            " CASE WHEN n % 400 = 0 THEN current_date + n / 400 - 90 END,"
            " CASE WHEN n % 400 = 1 THEN ARRAY['Tag' || n % 7, 'other'] ELSE '{}' END"
            " FROM generate_series(1, 40000) AS n"
        )
        cursor.execute("ANALYZE tasks_task")


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.headers
    return [task.id for task in response.context["cl"].result_list]


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.headers
    return [task.title for task in response.context["cl"].result_list]


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def add(title: str, **fields: Any) -> Task:
    return Task.objects.create(**{"user_id": "alice", "title": title, **fields})


# Search


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bob", ["Call the bank", "Plan 2024"]),
        ("BOB", []),
        ("milk", ["Buy oat-milk", "Buy milk"]),
        ("MILK buy", ["Buy oat-milk", "Buy milk"]),
        ("mil", ["Buy oat-milk", "Buy milk"]),
        ("BU mil", []),
        ("oat-mil", ["Buy oat-milk"]),
        ("l'app plan", []),
        ("milk bank", []),
        ("  bank  ", ["Call the bank"]),
        ("2024", ["Plan 2024"]),
        ("'; DROP TABLE", []),
        ("& | ! <->", []),
        ("9" * 30, []),
    ],
)
def test_a_search_finds_users_and_words(page: Any, query: str, expected: list[str]) -> None:
    add("Buy milk")
    add("Plan 2024", user_id="bob")
    add("Call the bank", user_id="bob")
    add("Buy oat-milk")

    assert titles(page(q=query)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dentist", ["trashed", "two", "one"]),
        ("DENTIST weeks", ["two", "one"]),
        ("dent", ["trashed", "two", "one"]),
        ("two dentist", ["two"]),
        ("at two", ["two"]),
        ("two one", []),
        ("dentist - one", ["one"]),
        ("50% one", ["one"]),
        ("entist", []),
        ("again", ["trashed"]),
    ],
)
def test_words_are_found_in_title_and_description(
    page: Any, query: str, expected: list[str]
) -> None:
    for title, user in (("one", "alice"), ("two", "bob")):
        add(title, user_id=user, description="At the DENTIST in 50% of weeks")
    add("without description")
    add("trashed", description="The dentist again", deleted_at=datetime.now(UTC))

    assert titles(page(q=query, trash="all")) == expected


def test_a_search_by_index_finds_what_a_scan_finds(page: Any, monkeypatch: Any) -> None:
    add("one", description="At the dentist")
    add("the dentist is away")
    queries = ("dentist", "one dentist", "away at", "den awa", "- dentist", "-", "one")
    scanned = [titles(page(q=query)) for query in queries]
    monkeypatch.setattr(changelist, "SCAN_RANGE", 0)

    assert [titles(page(q=query)) for query in queries] == scanned
    assert [len(found) for found in scanned] == [2, 1, 0, 1, 2, 0, 1]


def test_a_search_finds_a_task_by_its_id(page: Any) -> None:
    task = add("Buy milk")
    add("Buy bread")

    assert titles(page(q=task.id)) == ["Buy milk"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("shopping", ["tagged"]),
        ("STRASSE", ["tagged"]),
        ("shop", []),
        ("at home", ["tagged"]),
        ("at", []),
        ("shopping straße", []),
        ("%", []),
        ("{}", []),
    ],
)
def test_a_search_finds_a_whole_tag(page: Any, query: str, expected: list[str]) -> None:
    add("tagged", tags=["Shopping", "at Home", "Straße"])
    add("other", tags=["Work"])

    assert titles(page(q=query)) == expected


def test_the_search_box_explains_what_it_searches(page: Any) -> None:
    assert "a tag, or words of title and description, or how they begin" in text(page())


# Filters


def test_the_trash_is_hidden_unless_a_filter_includes_it(page: Any) -> None:
    add("alive")
    add("trashed", deleted_at=datetime.now(UTC))

    assert titles(page()) == ["alive"]
    assert titles(page(trash="in")) == ["trashed"]
    assert titles(page(trash="all")) == ["trashed", "alive"]
    assert titles(page(trash="all", q="alice")) == ["trashed", "alive"]
    assert titles(page(q="trashed")) == []


def test_filters_can_be_combined(page: Any) -> None:
    add("low", priority="low")
    add("high", priority="high")
    add("done", priority="high", complete=True)

    assert titles(page(priority__exact="high")) == ["done", "high"]
    assert titles(page(priority__exact="high", complete__exact=0)) == ["high"]
    assert titles(page(priority__exact="high", complete__exact=1, q="high")) == []


@pytest.fixture
def _days() -> None:
    for title, day, hour in (
        ("before", 1, 23),
        ("morning", 2, 0),
        ("evening", 2, 23),
        ("next", 3, 0),
    ):
        at = datetime(2026, 1, day, hour, 30, tzinfo=UTC)
        Task.objects.filter(pk=add(title).pk).update(created_at=at, updated_at=at)


ALL = ["next", "evening", "morning", "before"]


@pytest.mark.usefixtures("_days")
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-01-02", "2026-01-02", ["evening", "morning"]),
        ("2026-01-02", "", ["next", "evening", "morning"]),
        ("", "2026-01-01", ["before"]),
        ("", "", ALL),
        ("2026-01-03", "2026-01-02", []),
        ("0001-01-01", "9999-12-31", ALL),
    ],
)
def test_a_range_includes_both_days(page: Any, first: str, last: str, expected: list[str]) -> None:
    for field in ("created_at", "updated_at"):
        for search in ({}, {"q": "alice"}):
            days = {f"{field}_from": first, f"{field}_to": last}
            assert titles(page(**days, **search)) == expected


@pytest.mark.usefixtures("_days")
@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Pacific/Auckland", ["morning", "before"]),
        ("Nowhere/Else", ["evening", "morning"]),
        ("Europe", ["evening", "morning"]),
        ("../../etc/passwd", ["evening", "morning"]),
        ("", ["evening", "morning"]),
    ],
)
def test_days_are_in_the_time_zone_of_the_browser(
    page: Any, client: Client, zone: str, expected: list[str]
) -> None:
    client.cookies["zone"] = zone

    assert titles(page(created_at_from="2026-01-02", created_at_to="2026-01-02")) == expected
    assert titles(page(created_at_from="0001-01-01", created_at_to="9999-12-30")) == ALL


ZONES = ["UTC", *(f"Etc/GMT{offset:+}" for offset in range(-14, 13) if offset)]
SATURDAY = datetime(2026, 1, 31, 11, 30, tzinfo=UTC)


@pytest.fixture
def now(monkeypatch: Any) -> Any:
    """Sets the clock of the filters."""

    def set_to(time: datetime) -> None:
        class Frozen(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return time.astimezone(tz)

        monkeypatch.setattr(clock, "datetime", Frozen)

    return set_to


@pytest.fixture
def _on_saturday(now: Any) -> None:
    now(SATURDAY)


def marked(response: Any) -> list[str]:
    """Titles of the tasks that are marked as overdue."""
    cells = re.findall(
        r'<td class="field-title"><a[^>]*><bdi[^>]*>(.*?)</bdi></a>.*?'
        r'<td class="field-due[^"]*">(.*?)</td>',
        response.content.decode(),
    )
    return [title for title, due in cells if "<strong>overdue</strong>" in due]


@pytest.mark.parametrize(
    ("cookie", "note", "expected"),
    [
        ("", "2026-01-31 UTC", {"29", "30", "past"}),
        ("Pacific/Kiritimati", "2026-02-01 Pacific/Kiritimati", {"29", "30", "31", "past"}),
        ("Etc/GMT+12", "2026-01-30 Etc/GMT+12", {"29", "past"}),
        ("Nowhere/Else", "2026-01-31 UTC", {"29", "30", "past"}),
    ],
)
@pytest.mark.usefixtures("_on_saturday")
def test_a_day_is_overdue_when_it_is_over_in_the_time_zone_of_the_browser(
    page: Any, client: Client, cookie: str, note: str, expected: set[str]
) -> None:
    client.cookies["zone"] = cookie
    for day in (29, 30, 31):
        add(str(day), due_date=date(2026, 1, day))
    add("1", due_date=date(2026, 2, 1))
    add("past", due_date=SATURDAY - timedelta(seconds=1))
    add("soon", due_date=SATURDAY + timedelta(seconds=1))
    add("done", due_date=date(2026, 1, 1), complete=True)
    add("never")

    response = page(due="overdue")

    assert set(titles(response)) == set(marked(response)) == expected
    assert set(titles(page(due="overdue", q="alice"))) == expected
    assert set(marked(page())) == expected
    today, zone = note.split()
    assert f"Overdue on {today} " in text(response)
    assert f"Time zone: {zone} " in text(response)


def found_by_filter(value: str, zone: str) -> set[date | None]:
    request = RequestFactory().get(LIST)
    request.COOKIES["zone"] = zone
    due = DueFilter(request, {"due": [value]}, Task, None)
    return {task.due_date for task in due.queryset(request, Task.objects.all())}


@pytest.mark.parametrize("hour", [0, 9, 12, 23])
def test_the_due_filters_compare_local_days_in_every_zone(now: Any, hour: int) -> None:
    """The condition for the index is wider than the filter, and must leave out nothing."""
    at = datetime(2026, 2, 1, hour, 30, tzinfo=UTC)  # a Sunday
    now(at)
    days = [at.date() + timedelta(n) for n in range(-9, 10)]
    times = [datetime(2026, 1, 23, tzinfo=UTC) + timedelta(hours=2 * n) for n in range(12 * 19)]
    for due in (*days, *times):
        add("due", due_date=due)

    for name in ZONES:
        zone = ZoneInfo(name)
        today = at.astimezone(zone).date()
        week = today.isocalendar()[:2]
        assert found_by_filter("overdue", name) == {
            *(day for day in days if day < today),
            *(time for time in times if time < at),
        }
        assert found_by_filter("week", name) == {
            *(day for day in days if day.isocalendar()[:2] == week),
            *(time for time in times if time.astimezone(zone).isocalendar()[:2] == week),
        }


@pytest.mark.usefixtures("_on_saturday")
def test_the_week_is_named_and_goes_from_monday_to_sunday(page: Any) -> None:
    for day in (25, 26, 31):
        add(f"day {day}", due_date=date(2026, 1, day))
    add("sunday", due_date=date(2026, 2, 1))
    add("monday", due_date=date(2026, 2, 2))
    add("late", due_date=datetime(2026, 2, 1, 23, 59, 59, tzinfo=UTC), complete=True)
    add("too late", due_date=datetime(2026, 2, 2, tzinfo=UTC))

    response = page(due="week")

    assert titles(response) == ["late", "sunday", "day 31", "day 26"]
    assert "Due this week, 2026-01-26 to 2026-02-01" in text(response)


def test_tasks_without_a_due_date_are_found(page: Any) -> None:
    add("day", due_date=date(2026, 1, 31))
    add("time", due_date=SATURDAY)
    add("never")

    assert titles(page(due="none")) == ["never"]
    assert titles(page(due="none", q="alice")) == ["never"]


@pytest.mark.parametrize("tag", ["Straße", "strasse", " STRASSE ", "STRAßE"])
def test_tasks_with_a_tag_are_found_ignoring_case(page: Any, tag: str) -> None:
    add("one", tags=["home", "Straße"])
    add("two", tags=["STRASSE"], complete=True)
    add("other", tags=["Straßen", "home"])
    add("none")

    assert titles(page(tag=tag)) == ["two", "one"]
    assert titles(page(tag=tag, complete__exact=1)) == ["two"]
    assert titles(page(tag=tag, q="alice")) == ["two", "one"]
    assert titles(page(tag="")) == ["none", "other", "two", "one"]
    assert f'name="tag" value="{tag.strip()}"' in page(tag=tag).content.decode()


def test_a_tag_in_the_list_is_a_link_that_keeps_the_filters(page: Any) -> None:
    for tag in ("a&b=c", "50 %", SCRIPT, "née/ü?#"):
        add(f"alive {tag}", tags=[tag, "all"], priority="high")
        add(f"low {tag}", tags=[tag, "all"], priority="low")

    response = page(priority__exact="high", q="alive", p=10**9)
    links = re.findall(r'<a class="tag" dir="auto" href="([^"]*)"', response.content.decode())

    assert len(links) == 8
    for link in links[::2]:
        (title,) = titles(page(unescape(link)))
        assert title.startswith("alive")
        assert "p=" not in link
    assert len(titles(page(unescape(links[1])))) == 4


def test_the_list_shows_the_first_tags_of_many(page: Any) -> None:
    add("many", tags=[f"tag{n}" for n in range(20)])

    content = page().content.decode()

    assert content.count('class="tag"') == 2
    assert "</a> +18</td>" in content


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"title__regex": "("}, "This list has no filter &#x27;title__regex&#x27;."),
        ({"title": "\0"}, "This list has no filter &#x27;title&#x27;."),
        ({"\u202e" * 300: "1"}, "This list has no filter "),
        ({"id__range": "1"}, "This list has no filter &#x27;id__range&#x27;."),
        ({"due": "tomorrow"}, "The filter due must be one of overdue, week, none."),
        ({"due": ""}, "The filter due must be one of overdue, week, none."),
        ({"trash": "maybe"}, "The filter trash must be one of in, all."),
        ({"owner": "alice"}, "The filter owner must be one of gone."),
        ({"owner": "gone"}, "table of users was not found in this database. So this filter"),
        ({"complete__exact": "yes"}, "The filter complete__exact must be one of 1, 0."),
        ({"priority__exact": "urgent"}, "priority__exact must be one of low, medium, high."),
        *(
            ({"created_at_from": day}, "created_at_from: must be a date such as 2026-01-31")
            for day in ("yesterday", "2026-02-30", "20260101T00", "1")
        ),
        ({"due_day": "2026-01-31"}, "This list has no filter &#x27;due_day&#x27;."),
        ({"tags__contains": "home"}, "This list has no filter &#x27;tags__contains&#x27;."),
        ({"tag": "a,b"}, "The filter tag must not contain a comma."),
        ({"tag": "x" * 51}, "The filter tag must have at most 50 characters."),
        ({"tag": "\0"}, "The filter tag must not contain the character NUL."),
        ({"user_id__exact": "\0"}, "must not contain the character NUL."),
        (
            {"sort": "title"},
            "The filter sort must be one of -id, id, due, -due, -deleted, deleted.",
        ),
        ({"sort": "-deleted"}, "Only the trash can be sorted by deletion: add trash=in"),
        ({"sort": "due", "q": "milk"}, "A search has a fixed order, newest first. Remove sort"),
        ({"o": "2"}, "This list has no parameter o: to sort, click the title of a column."),
        ({"q": "a " * 501}, "A search can have at most 1000 characters."),
        ({"x" * n: "1" for n in range(1, 1002)}, "has more than 1000 fields."),
    ],
)
def test_a_parameter_that_no_link_of_the_list_has_is_refused_with_a_message(
    page: Any, query: dict[str, str], sentence: str
) -> None:
    for path in (LIST, f"{LIST}export.csv"):
        response = page(path, **query)

        assert response.status_code == 400
        assert "<title>Invalid request | Tasks</title>" in response.content.decode()
        assert sentence in response.content.decode()


def test_every_link_of_the_list_works(page: Any) -> None:
    users, groups = (reverse(f"admin:auth_{name}_changelist") for name in ("user", "group"))
    for path in (LIST, users, groups):
        content = page(path).content.decode()
        links = {unescape(link) for link in re.findall(r'href="(\?[^"]+)"', content)}
        assert path == groups or len(links) > 5
        for link in links:
            response = page(path + link)
            assert (link, response.status_code) == (link, 200)


# Pages


def all_pages(page: Any, link: str, response: Any) -> list[list[int]]:
    pages = [ids(response)]
    while url := getattr(response.context["cl"], link):
        response = page(LIST + url)
        pages.append(ids(response))
    return pages


@pytest.mark.parametrize("scan_range", [0, 30, 10**6])
@pytest.mark.parametrize("query", ["", "milk bread", "buy", "milk", "bread"])
def test_pages_have_every_task_once_in_both_directions(
    page: Any, many: list[int], monkeypatch: Any, scan_range: int, query: str
) -> None:
    """However many ids a search scans before it uses the index."""
    monkeypatch.setattr(changelist, "SCAN_RANGE", scan_range)
    words = query.split()
    matching = Task.objects.order_by("-id")
    for word in words:
        matching = matching.filter(title__icontains=word)
    expected = list(matching.values_list("id", flat=True))

    older = all_pages(page, "older_url", page(q=query))

    assert list(chain.from_iterable(older)) == expected
    assert all(len(each) == 20 for each in older[:-1])
    if len(older) > 1:
        last = page(q=query, p=expected[len(older) * 20 - 21])
        newer = all_pages(page, "newer_url", last)
        assert newer == older[::-1]


def test_a_page_does_not_shift_when_tasks_are_added(page: Any, many: list[int]) -> None:
    second = LIST + page().context["cl"].older_url

    add("Buy butter")

    assert ids(page(second)) == many[20:40]


def test_a_page_past_the_oldest_task_links_to_the_newest(page: Any, many: list[int]) -> None:
    response = page(p=many[-1])

    assert ids(response) == []
    assert "No more tasks." in text(response)
    assert 'href="?"' in response.content.decode()


@pytest.mark.parametrize("key", ["0", "x", "", "9" * 30, "-" + "9" * 30])
def test_an_invalid_page_is_not_an_error(page: Any, many: list[int], key: str) -> None:
    assert ids(page(p=key)) in (many[:20], [])


@pytest.fixture
def _unhurried(monkeypatch: Any) -> None:
    """Counts are exact, however busy the machine is."""
    monkeypatch.setattr(counting, "MILLISECONDS", 10_000)


@pytest.fixture
def due(many: list[int]) -> None:
    """A third of the tasks are due, some at the same time, and a third are in the trash."""
    days = [date(2026, 1, 1) + timedelta(n) for n in (3, 1, 2)]
    for n, pk in enumerate(many):
        if n % 3 == 0:
            Task.objects.filter(pk=pk).update(due_day=days[n % 9 // 3])
        if n % 3 == 1:
            Task.objects.filter(pk=pk).update(deleted_at=datetime(2026, 1, 1 + n % 5, tzinfo=UTC))


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize(
    ("query", "order"),
    [
        ({"sort": "id"}, "id"),
        ({"sort": "-id", "trash": "all"}, "-id"),
        ({"sort": "due"}, "due_day id"),
        ({"sort": "-due"}, "-due_day -id"),
        ({"sort": "deleted", "trash": "in"}, "deleted_at id"),
        ({"sort": "-deleted", "trash": "in"}, "-deleted_at -id"),
    ],
)
def test_a_sorted_list_has_every_task_once_in_both_directions(
    page: Any, monkeypatch: Any, query: dict[str, str], order: str
) -> None:
    monkeypatch.setattr(TaskAdmin, "list_per_page", 7)
    tasks = Task.objects.trashed() if query.get("trash") == "in" else Task.objects.all()
    if "trash" not in query:
        tasks = tasks.alive()
    if "due" in order:
        tasks = tasks.filter(due_day__isnull=False)
    expected = list(tasks.order_by(*order.split()).values_list("id", flat=True))

    forwards = all_pages(page, "older_url", page(**query))

    assert list(chain.from_iterable(forwards)) == expected
    last = page(**query, p=expected[len(forwards) * 7 - 8])
    assert all_pages(page, "newer_url", last) == forwards[::-1]
    assert last.context["cl"].queryset.count() == len(expected)


def test_a_page_of_a_sorted_list_whose_task_is_gone_is_the_first(
    page: Any, many: list[int]
) -> None:
    Task.objects.update(due_day=date(2026, 1, 1))
    Task.objects.filter(pk=many[5]).update(due_day=None)

    assert ids(page(sort="due", p=many[5])) == sorted(many)[:20]


def test_titles_of_columns_with_an_index_are_links_that_keep_the_filters(page: Any) -> None:
    def links(**query: str) -> list[str]:
        html = page(**query).content.decode()
        head = re.search("(?s)<thead>.*</thead>", html)
        return re.findall('href="([^"]*)"', unescape(head[0])) if head else []

    task = add("Buy milk", due_day=date(2026, 1, 1), priority="high")

    high = "priority__exact=high"
    assert links(priority__exact="high", p="9999999") == [f"?{high}&sort=id", f"?{high}&sort=due"]
    assert links(sort="due") == ["?", "?sort=-due"]
    assert links(sort="-due") == ["?", "?"]
    assert links(sort="id") == ["?", "?sort=due"]
    assert links(q="milk") == []
    assert "tasks that are not due are not in this list" in text(page(sort="due"))
    task.deleted_at = datetime.now(UTC)
    task.save()
    assert links(trash="in")[-1] == "?trash=in&sort=-deleted"
    assert links(trash="all")[-1] == "?trash=all&sort=due"


@pytest.mark.usefixtures("_unhurried")
@pytest.mark.parametrize(
    ("tasks", "expected"), [(1, "1 task "), (1000, "1,000 tasks"), (1001, "1,001 tasks")]
)
def test_the_count_is_exact(page: Any, tasks: int, expected: str) -> None:
    Task.objects.bulk_create(Task(user_id="alice", title="Buy milk") for _ in range(tasks))

    assert expected in text(page())
    assert expected in text(page(q="milk"))


@pytest.mark.usefixtures("_unhurried")
def test_a_search_counts_beyond_what_it_has_scanned(
    page: Any, many: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr(changelist, "SCAN_RANGE", 30)

    assert "50 tasks" in text(page(q="buy"))
    assert "5 tasks" in text(page(q="bread"))


@pytest.mark.usefixtures("_many_analysed")
def test_a_count_that_takes_too_long_is_an_estimate(page: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(counting, "MILLISECONDS", 1)

    assert re.search(r"about (39|40|41),000 tasks", text(page()))
    assert re.search(r"about \d+,000 tasks", text(page(priority__exact="low")))


def test_a_status_has_a_word_and_a_sign(page: Any) -> None:
    add("one")
    add("two", complete=True)

    content = page().content.decode()

    assert re.findall(r'aria-hidden="true">(.)</span> (Open|Done)', content) == [
        ("\u2713", "Done"),
        ("\u25cb", "Open"),
    ]
    assert "icon-no" not in content


def test_the_name_of_a_task_cannot_turn_the_sentences_around_it(page: Any) -> None:
    task = add("\u202eabc")
    change = reverse("admin:tasks_task_change", args=[task.pk])

    for path in (LIST, change, change.replace("change", "history")):
        html = re.sub(
            "(?s)<title>.*?</title>|<h2>.*?</h2>|<[^>]*>",
            lambda part: part[0] if part[0].startswith(("<bdi", "</bdi")) else "",
            page(path).content.decode(),
        )
        assert "\u202e" not in re.sub("(?s)<bdi.*?</bdi>", "", html)
        assert "\u202e" in html


# Texts and empty states


def test_text_is_escaped(page: Any) -> None:
    add(SCRIPT, user_id=SCRIPT)

    for response in (page(), page(q=SCRIPT), page(q=SCRIPT, created_at_from="2026-01-01")):
        content = response.content.decode()
        assert SCRIPT not in content
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content


def test_an_empty_result_links_to_a_search_in_the_trash(page: Any) -> None:
    assert "There are no tasks yet." in text(page())

    add("Buy milk", deleted_at=datetime.now(UTC))
    response = page(q="milk")

    assert "No tasks match." in text(response)
    assert titles(page(LIST + response.context["cl"].with_trash_url)) == ["Buy milk"]


def test_pages_have_no_inline_script_or_style(page: Any, many: list[int]) -> None:
    content = page(q="milk", created_at_from="2026-01-01").content.decode()

    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*json)|<style|\sstyle=|\son\w+=", content)


def test_times_have_a_time_zone(page: Any) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    Task.objects.filter(pk=add("Buy milk").pk).update(created_at=at)

    assert '<time datetime="2026-01-02T03:04:05+00:00">2026-01-02 03:04 UTC</time>' in (
        page().content.decode()
    )


def test_the_first_and_the_last_due_date_are_shown(page: Any) -> None:
    for due in (datetime.min.replace(tzinfo=UTC), date.max):
        add("due", due_date=due)

    assert "9999-12-31" in text(page())
    assert "0001-01-01 00:00 UTC overdue" in text(page())


# Statements and plans


@pytest.mark.usefixtures("_unhurried")
@pytest.mark.parametrize(
    ("query", "statements"),
    [
        ({}, 2),
        ({"p": 10**9}, 2),
        ({"trash": "all", "complete__exact": 0, "priority__exact": "medium"}, 2),
        # newest, scan, index, tasks; scan and index with settings within a savepoint (four more)
        ({"q": "bread"}, 4 + 2 * 4),
        ({"q": "buy"}, 3 + 4 + 5),  # with a count that has a timeout
        ({"q": "buy", "created_at_to": "2999-01-01"}, 4 + 4 + 5),
        ({"_facets": ""}, 2),
        ({"sort": "id"}, 2),
        ({"due": "overdue", "tag": "home"}, 1),
        ({"due": "none"}, 2),
    ],
)
def test_the_number_of_statements_does_not_depend_on_the_tasks(
    page: Any,
    many: list[int],
    sends: Sends,
    query: dict[str, Any],
    statements: int,
) -> None:
    """Each page also needs seven: for the transaction, its timeouts, the session, the account, its
    saved views, and the record that somebody has seen the page.
    """
    with sends(7 + statements), CaptureQueriesContext(connection) as sent:
        page(**query)

    counts = [each for each in sent.captured_queries if "COUNT(" in each["sql"].upper()]
    assert len(counts) == (query.get("q") == "buy")


@pytest.mark.usefixtures("_many_analysed")
def test_a_list_scans_the_primary_key_and_a_few_days_use_their_index() -> None:
    for key in (0, 20_000, -20_000):
        plan = ids_by_key(Task.objects.alive(), key)[:1001].explain()
        assert "using tasks_task_pkey" in plan
        assert "Sort" not in plan

    at = datetime.now(UTC) - timedelta(days=20)
    few = Task.objects.filter(created_at__gte=at, created_at__lt=at + timedelta(minutes=9))
    assert "Bitmap Index Scan on task_created" in ids_by_key(few, 0)[:1001].explain()


@pytest.mark.usefixtures("_many_analysed")
@pytest.mark.parametrize(
    ("query", "index", "matching"),
    [
        ({"due": "overdue"}, "task_due", 89),
        ({"due": "week"}, "task_due", 7),
        ({"tag": "TAG3"}, "task_tags", None),
    ],
)
def test_due_dates_and_tags_use_their_index(
    page: Any, query: dict[str, str], index: str, matching: int | None
) -> None:
    response = page(**query, trash="all")
    found = response.context["cl"].queryset

    assert matching in (None, found.count())
    middle = Task.objects.latest("pk").pk - 20_000
    for key in (0, middle, -middle):
        plan = ids_by_key(found, key)[:1001].explain()
        assert f"Index Scan on {index}" in plan or f"using {index}" in plan
        assert "Seq Scan" not in plan
        assert "pkey" not in plan


@pytest.mark.usefixtures("_many_analysed")
def test_a_scan_reads_only_its_range_of_ids() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SCAN_SETTINGS)
    newest = Task.objects.latest("pk").pk
    for query in ("buy", "buy milk task for", "user7"):
        tasks = Task.objects.alive().found_by(query).filter(id__range=(newest - 2000, newest))
        plan = ids_by_key(tasks, 0)[:1001].explain()
        assert "using tasks_task_pkey" in plan
        assert "Bitmap" not in plan


@pytest.mark.usefixtures("_many_analysed")
def test_a_search_by_index_does_not_scan_the_primary_key() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INDEX_SETTINGS)
    for query in ("word77", "buy", "user7", "tag3"):
        for key in (0, 20_000, -20_000):
            plan = ids_by_expression(Task.objects.alive().found_by(query), key)[:1001].explain()
            assert "Bitmap Index Scan on task_search" in plan
            assert "Bitmap Index Scan on task_alive" in plan
            assert "Bitmap Index Scan on task_tags" in plan
            assert "Seq Scan" not in plan
            assert "pkey" not in plan
