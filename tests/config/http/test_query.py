"""The query of every operation of the tasks: unknown parameters, cache busters, and UTF-8."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db

OTHERS_THAN_THE_LIST: dict[str, Callable[[Person, str], Any]] = {
    "create": lambda alice, query: alice.post(f"{alice.tasks}?{query}", {"title": "Buy milk"}),
    "read": lambda alice, query: alice.get(f"{alice.task(1)}?{query}"),
    "replace": lambda alice, query: alice.put(
        f"{alice.task(1)}?{query}", {"title": "Buy milk", "complete": True}
    ),
    "change": lambda alice, query: alice.patch(f"{alice.task(1)}?{query}", {"complete": True}),
    "delete": lambda alice, query: alice.delete(f"{alice.task(1)}?{query}"),
}
STATUSES = {"create": 201, "read": 404, "replace": 404, "change": 404, "delete": 404}


@pytest.mark.parametrize("query", ["colour=1", "colour", "colour=&_=2", "%63olour=1"])
@pytest.mark.parametrize("name", OTHERS_THAN_THE_LIST)
def test_an_unknown_parameter_is_422_and_nothing_happens(
    name: str, query: str, alice: Person, sends: Sends
) -> None:
    with sends(0):
        response = OTHERS_THAN_THE_LIST[name](alice, query)

    message = "is not a known parameter"
    if name != "delete":
        message += "; this call takes none"
    assert is_error(response, 422, "VALIDATION_ERROR", f"colour: {message}")
    assert response.json()["errors"] == [
        {"loc": ["query", "colour"], "msg": message, "type": "extra_forbidden"}
    ]


@pytest.mark.parametrize("query", ["", "&", "_=1", "_t=1&_t=2&_", "__proto__=x"])
@pytest.mark.parametrize("name", OTHERS_THAN_THE_LIST)
def test_parameters_that_begin_with_an_underscore_are_ignored(
    name: str, query: str, alice: Person
) -> None:
    assert OTHERS_THAN_THE_LIST[name](alice, query).status_code == STATUSES[name]


def test_the_list_ignores_them_too(alice: Person) -> None:
    alice.create(title="first")
    alice.create(title="second")
    response = alice.get(f"{alice.tasks}?_=17&limit=1&_t")

    assert [task["title"] for task in response.json()["tasks"]] == ["second"]
    assert "_=" not in response["Link"].partition("?")[2]


@pytest.mark.parametrize(
    "query", ["limit=%FF", "limit=1&limit=%C3", "limit=%ED%A0%80", "l%69mit=%FF"]
)
def test_a_value_that_is_not_utf_8_is_422(alice: Person, query: str) -> None:
    response = alice.get(f"{alice.tasks}?{query}")

    assert is_error(response, 422, "VALIDATION_ERROR", "limit: must be UTF-8")
    assert response.json()["errors"] == [
        {"loc": ["query", "limit"], "msg": "must be UTF-8", "type": "not_utf8"}
    ]


def test_bytes_that_are_not_encoded_must_be_utf_8_as_well(alice: Person) -> None:
    def status(query: str) -> int:
        return alice.client.get(alice.tasks, QUERY_STRING=query).status_code

    assert status("_=\xc3\xa9") == 200
    assert status("_=\xe9") == 422


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("%FF=1", "\ufffd: is not a known parameter; this call takes none"),
        ("a+b%FF=1", "a b\ufffd: is not a known parameter; this call takes none"),
        ("colour=%FF", "colour: is not a known parameter; this call takes none"),
        ("_=%FF", "_: must be UTF-8"),
        ("=1", '"": is not a known parameter; this call takes none'),
        (f"{'x' * 5000}=1", f"{'x' * 100}: is not a known parameter; this call takes none"),
    ],
)
def test_any_name_can_be_refused(alice: Person, query: str, detail: str) -> None:
    response = alice.get(f"{alice.task(1)}?{query}")

    assert is_error(response, 422, "VALIDATION_ERROR", detail)
    assert len(response.json()["errors"]) == 1


def test_a_replacement_character_is_utf_8(alice: Person) -> None:
    response = alice.get(f"{alice.tasks}?limit=%EF%BF%BD")

    assert is_error(response, 422, "VALIDATION_ERROR", "limit: must be a whole number")


def test_errors_of_query_and_body_are_reported_together(alice: Person) -> None:
    response = alice.post(f"{alice.tasks}?colour=1", {"title": ""})

    assert [item["loc"] for item in response.json()["errors"]] == [
        ["query", "colour"],
        ["body", "title"],
    ]


def test_unknown_names_come_first(alice: Person) -> None:
    response = alice.get(f"{alice.tasks}?limit=0&completed=true")

    assert [item["loc"][1] for item in response.json()["errors"]] == ["completed", "limit"]


def test_the_errors_are_bounded(alice: Person) -> None:
    response = alice.get(f"{alice.tasks}?{'&'.join(f'field{n}=1' for n in range(1000))}")

    assert response.status_code == 422
    assert len(response.json()["errors"]) == 20


def test_an_invalid_id_is_404_whatever_the_query(alice: Person) -> None:
    assert alice.get(f"{alice.task('x')}?colour=1").status_code == 404


@pytest.mark.parametrize("query", ["colour=1", "limit=%FF", "x=1&" * 1001])
def test_the_token_is_checked_first(alice: Person, bob: Person, query: str) -> None:
    assert Client().get(f"{alice.tasks}?{query}").status_code == 401
    assert bob.get(f"{alice.tasks}?{query}").status_code == 403
    assert bob.get(f"{alice.task(1)}?{query}").status_code == 403


def test_names_that_the_client_made_up_are_not_logged(
    alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    alice.get(f"{alice.tasks}?needle=1&_needle=%FF&limit=0")
    alice.get("/api/needle/tasks")
    alice.get(alice.task("needle"))
    alice.get("/api/needle/tasks/needle/complete")
    alice.post(alice.tasks, {"needle": 1})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [line["status"] for line in lines] == [422, 403, 404, 404, 422]
    assert lines[0]["fields"] == ["query.limit"]
    assert "needle" not in str(lines)


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
def test_other_addresses_accept_any_query(path: str) -> None:
    assert Client().get(f"{path}?colour=%FF").status_code == 200
