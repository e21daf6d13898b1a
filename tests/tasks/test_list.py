"""GET /api/{user_id}/tasks"""

from typing import Any

import pytest

from tasks.dates import LOST_PLUS, NO_OFFSET, OUT_OF_RANGE
from tasks.dates import RULE as DAY_OR_TIME
from tasks.models import Task
from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db

PRIORITIES = "priority: must be one or more of low, medium and high with commas in between"
CURSOR = "cursor: is not of this list: begin again without it"
SORT_KEYS = (
    "sort: must be one to three of created_at, updated_at, completed_at, due_date, priority and "
    "title, with commas in between and - in front for descending"
)


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [task["title"] for task in response.json()["tasks"]]


def fill(user_id: str, count: int, **fields: Any) -> None:
    Task.objects.bulk_create(Task(user_id=user_id, title=f"{n}", **fields) for n in range(count))


def test_a_new_user_has_no_tasks(alice: Person) -> None:
    response = alice.get(alice.tasks)

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-cache"
    assert response.json() == {"tasks": [], "count": 0, "next_cursor": None}


def test_the_list_holds_whole_tasks_newest_first(alice: Person) -> None:
    first, second = alice.create(title="first"), alice.create(title="second")

    assert alice.get(alice.tasks).json() == {
        "tasks": [second, first],
        "count": 2,
        "next_cursor": None,
    }


def test_tasks_of_the_same_time_are_ordered_by_id(alice: Person) -> None:
    fill("alice", 5)
    moment = Task.objects.earliest("id").created_at
    Task.objects.update(created_at=moment)

    assert titles(alice.get(alice.tasks)) == ["4", "3", "2", "1", "0"]


def test_tasks_of_others_are_not_listed(alice: Person, bob: Person) -> None:
    alice.create(title="hers")
    bob.create(title="his")

    assert titles(alice.get(alice.tasks)) == ["hers"]
    assert alice.get(alice.tasks).json()["count"] == 1


@pytest.mark.parametrize(("wanted", "expected"), [("true", ["done"]), ("false", ["open"])])
def test_complete_filters_page_and_count(alice: Person, wanted: str, expected: list[str]) -> None:
    alice.create(title="open")
    alice.create(title="done", complete=True)
    response = alice.get(f"{alice.tasks}?complete={wanted}")

    assert titles(response) == expected
    assert response.json()["count"] == 1


def test_every_page_and_its_count_cost_one_statement(alice: Person, sends: Sends) -> None:
    fill("alice", 3)

    for query in ("", "?limit=3", "?limit=2", "?offset=3", "?sort=title&q=1&tag=x"):
        with sends(1):
            assert alice.get(alice.tasks + query).json()["count"] == (0 if "q=" in query else 3)


def test_links_lead_through_every_task_once(alice: Person) -> None:
    fill("alice", 7)
    path, found = f"{alice.tasks}?limit=3", []
    while path:
        response = alice.get(path)
        found += titles(response)
        assert response.json()["count"] == 7
        link = response.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        path = link.removeprefix("<").partition(">")[0]

    assert found == ["6", "5", "4", "3", "2", "1", "0"]


def test_the_link_keeps_the_filter(alice: Person) -> None:
    fill("alice", 2)
    response = alice.get(f"{alice.tasks}?complete=false&limit=1")

    cursor = response.json()["next_cursor"]
    assert response["Link"] == f'<{alice.tasks}?complete=false&limit=1&cursor={cursor}>; rel="next"'


def test_without_a_limit_a_page_holds_1000_tasks(alice: Person) -> None:
    fill("alice", 1001)
    response = alice.get(alice.tasks)

    assert len(titles(response)) == 1000
    assert response.json()["count"] == 1001
    cursor = response.json()["next_cursor"]
    assert response["Link"] == f'<{alice.tasks}?cursor={cursor}>; rel="next"'


def test_a_page_past_the_end_is_empty_and_still_counts(alice: Person) -> None:
    fill("alice", 2)
    response = alice.get(f"{alice.tasks}?offset=9007199254740991")

    assert response.json() == {"tasks": [], "count": 2, "next_cursor": None}
    assert "Link" not in response.headers


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit: must be at least 1"),
        ("limit=1001", "limit: must be at most 1000"),
        ("limit=", "limit: must be a whole number"),
        ("limit=ten", "limit: must be a whole number"),
        ("limit=1.0", "limit: must be a whole number"),
        ("limit=1_0", "limit: must be a whole number"),
        ("limit=%2B1", "limit: must be a whole number"),
        ("limit=%D9%A3", "limit: must be a whole number"),
        ("limit=1&limit=2", "limit: may be given only once"),
        ("offset=-1", "offset: must be at least 0"),
        ("offset=9007199254740992", "offset: must be at most 9007199254740991"),
        (f"offset={'9' * 5000}", "offset: must be a whole number"),
        ("complete=1", "complete: must be true or false"),
        ("complete=True", "complete: must be true or false"),
        ("complete=", "complete: must be true or false"),
        ("complete=true&complete=false", "complete: may be given only once"),
        ("compelte=true", "compelte: is not a known parameter; did you mean complete?"),
        ("priority=", PRIORITIES),
        ("priority=urgent", PRIORITIES),
        ("priority=high,,low", PRIORITIES),
        ("priority=high&priority=low", "priority: may be given only once"),
        ("tag=", "tag: must not be blank"),
        ("tag=home&tag=%20", "tag: must not be blank"),
        ("tag=home,work", "tag: must not contain a comma: repeat tag for several"),
        (f"tag={'x' * 51}", "tag: must have at most 50 characters"),
        ("due=some", "due: must be one of 'none' or 'any'"),
        ("due=none&due=any", "due: may be given only once"),
        ("due_before=tomorrow", f"due_before: {DAY_OR_TIME}"),
        ("due_before=", f"due_before: {DAY_OR_TIME}"),
        ("created_after=2026-01-31T12:00:00", f"created_after: {NO_OFFSET}"),
        ("created_before=2026-01-31T12:00:00+01:00", f"created_before: {LOST_PLUS}"),
        ("updated_after=0001-01-01T00:00:00%2B00:01", f"updated_after: {OUT_OF_RANGE}"),
        ("updated_before=0", f"updated_before: {DAY_OR_TIME}"),
        ("completed_after=2026-02-30", f"completed_after: {DAY_OR_TIME}"),
        (
            "completed_before=2026-01-31&completed_before=2026-01-31",
            "completed_before: may be given only once",
        ),
        (f"q={'x' * 201}", "q: must have at most 200 characters"),
        ("q=%00", "q: must not contain the character NUL or a lone surrogate"),
        ("q=a&q=b", "q: may be given only once"),
        ("sort=", SORT_KEYS),
        ("sort=name", SORT_KEYS),
        ("sort=%2Btitle", SORT_KEYS),
        ("sort=--title", SORT_KEYS),
        ("sort=title,", SORT_KEYS),
        ("sort=deleted_at", "sort: may be by deleted_at only in the trash (deleted=true)"),
        ("sort=title;drop%20table%20tasks_task", SORT_KEYS),
        ("sort=title,priority,due_date,created_at", SORT_KEYS),
        ("sort=title,-title", "sort: must not name a key twice"),
        ("sort=title&sort=priority", "sort: may be given only once"),
        ("cursor=x&offset=1", "offset: cannot be used together with cursor"),
        ("cursor=", CURSOR),
        ("cursor=x", CURSOR),
        ("cursor=%00", CURSOR),
        ("cursor=%F0%9F%98%80.x", CURSOR),
        ("cursor=x&cursor=y", "cursor: may be given only once"),
        ("%FF=1", "\ufffd: is not a known parameter"),
        ("q=%FF", "q: must be UTF-8"),
        ("colour=red", "colour: is not a known parameter"),
    ],
)
def test_anything_else_in_the_query_is_422(alice: Person, query: str, detail: str) -> None:
    response = alice.get(f"{alice.tasks}?{query}")

    assert is_error(response, 422, "VALIDATION_ERROR", detail)
    assert response.json()["errors"][0]["loc"][0] == "query"


def test_parameters_for_caches_are_ignored(alice: Person) -> None:
    fill("alice", 2)
    response = alice.get(f"{alice.tasks}?_=1700000000&_rsc=a&limit=1")

    assert len(titles(response)) == 1
    assert "_rsc" not in response["Link"]
