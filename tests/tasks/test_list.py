"""GET /api/{user_id}/tasks"""

from typing import Any

import pytest

from tasks.models import Task
from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [task["title"] for task in response.json()["tasks"]]


def fill(user_id: str, count: int, **fields: Any) -> None:
    Task.objects.bulk_create(Task(user_id=user_id, title=f"{n}", **fields) for n in range(count))


def test_a_new_user_has_no_tasks(alice: Person) -> None:
    response = alice.get(alice.tasks)

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert response.json() == {"tasks": [], "count": 0}


def test_the_list_holds_whole_tasks_newest_first(alice: Person) -> None:
    first, second = alice.create(title="first"), alice.create(title="second")

    assert alice.get(alice.tasks).json() == {"tasks": [second, first], "count": 2}


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

    for query in ("", "?limit=3", "?limit=2", "?offset=3"):
        with sends(1):
            assert alice.get(alice.tasks + query).json()["count"] == 3


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

    assert response["Link"] == f'<{alice.tasks}?complete=false&limit=1&offset=1>; rel="next"'


def test_without_a_limit_a_page_holds_1000_tasks(alice: Person) -> None:
    fill("alice", 1001)
    response = alice.get(alice.tasks)

    assert len(titles(response)) == 1000
    assert response.json()["count"] == 1001
    assert response["Link"] == f'<{alice.tasks}?limit=1000&offset=1000>; rel="next"'


def test_a_page_past_the_end_is_empty_and_still_counts(alice: Person) -> None:
    fill("alice", 2)
    response = alice.get(f"{alice.tasks}?offset=9007199254740991")

    assert response.json() == {"tasks": [], "count": 2}
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
        ("limit=1&limit=2", "limit: must be a whole number"),
        ("offset=-1", "offset: must be at least 0"),
        ("offset=9007199254740992", "offset: must be at most 9007199254740991"),
        (f"offset={'9' * 5000}", "offset: must be a whole number"),
        ("complete=1", "complete: must be true or false"),
        ("complete=True", "complete: must be true or false"),
        ("complete=", "complete: must be true or false"),
        ("complete=true&complete=false", "complete: must be true or false"),
        ("compelte=true", "compelte: is not a known field"),
        ("%FF=1", "\ufffd: is not a known field"),
        ("page=2", "page: is not a known field"),
    ],
)
def test_anything_else_in_the_query_is_422(alice: Person, query: str, detail: str) -> None:
    response = alice.get(f"{alice.tasks}?{query}")

    assert is_error(response, 422, "VALIDATION_ERROR", detail)
    assert response.json()["errors"][0]["loc"][0] == "query"
