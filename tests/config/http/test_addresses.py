"""What the answer to an address that cannot be used says about it."""

from urllib.parse import unquote

import pytest
from django.test import Client
from django.urls import resolve

from config.http.addresses import ACTIONS, ROUTES, another_user, invalid_id, unknown
from tests.people import Person, is_error

NOTHING_HERE = "There is nothing at this address"
SLASH = "ends with a slash"
SLASHES = "has two slashes in a row"
NO_API = "does not begin with /api/"
NO_USER = "names no user"
VERSION = "has a version"
SESSION = ": wait for the session, and send its user.id."

UNKNOWN = [
    ("/api/u/tasks/", SLASH, "/api/u/tasks"),
    ("/api/u/tasks//", SLASH, "/api/u/tasks"),
    ("/api/u/tasks/7/", SLASH, "/api/u/tasks/7"),
    ("/api/u%2Ftasks%2F", SLASH, "/api/u/tasks"),
    ("/api/a%20b%2Fc/tasks/", SLASH, "/api/a%20b%2Fc/tasks"),
    ("/api/%C3%A9%3C/tasks/", SLASH, "/api/%C3%A9%3C/tasks"),
    ("/u/tasks", NO_API, "/api/u/tasks"),
    ("/u/tasks/7", NO_API, "/api/u/tasks/7"),
    ("/users/u/tasks", f"{NO_API} and says users before the user", "/api/u/tasks"),
    ("/tasks", f"{NO_API} and {NO_USER}", "/api/{user_id}/tasks"),
    ("/tasks/7/", f"{SLASH}, {NO_API} and {NO_USER}", "/api/{user_id}/tasks/7"),
    ("/v1/u/tasks", f"{NO_API} and {VERSION}", "/api/u/tasks"),
    ("/v1/tasks", f"{NO_API}, {VERSION} and {NO_USER}", "/api/{user_id}/tasks"),
    ("/api/tasks", NO_USER, "/api/{user_id}/tasks"),
    ("/api/tasks/7", NO_USER, "/api/{user_id}/tasks/7"),
    ("/api//tasks", f"{SLASHES} and {NO_USER}", "/api/{user_id}/tasks"),
    ("/%2Fapi/u/tasks", SLASHES, "/api/u/tasks"),
    ("/api/u//tasks//7/", f"{SLASH} and {SLASHES}", "/api/u/tasks/7"),
    ("/%2Fdocs", SLASHES, "/docs"),
    ("/api/v1/u/tasks/", f"{SLASH} and {VERSION}", "/api/u/tasks"),
    ("/api/u/task", "says task instead of tasks", "/api/u/tasks"),
    ("/api/u/todos", "says todos instead of tasks", "/api/u/tasks"),
    ("/api/u/todos/7", "says todos instead of tasks", "/api/u/tasks/7"),
    ("/api/todos/undefined", f"says todos instead of tasks and {NO_USER}", None),
    ("/API/u/Tasks", "has capital letters", "/api/u/tasks"),
    ("/api/u/tasks/7/details", "", "/api/u/tasks/7"),
    ("/health/", SLASH, "/health"),
    ("/api/health/ready", "", "/health/ready"),
    ("/api/docs/", SLASH, "/docs"),
]


@pytest.mark.parametrize(("path", "mistakes", "meant"), UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_unknown_address_names_its_mistakes_and_the_routes(
    path: str, mistakes: str, meant: str | None, method: str
) -> None:
    response = Client().generic(method, path)

    meant = meant or "/api/{user_id}/tasks/{task_id}"
    mistakes = f": it {mistakes}" if mistakes else ""
    detail = f"{NOTHING_HERE}{mistakes}. Did you mean {meant}? {ROUTES}"
    assert is_error(response, 404, "NOT_FOUND", detail)
    resolve(unquote(meant.replace("{task_id}", "7")))  # raises if there is no such route


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/u",
        "/api/u/tasks/7/8/9",
        "/api/u/lists",
        "/u/tasksx",
        "/x" * 20_000,
        "/%FF",
    ],
)
def test_an_address_without_a_known_mistake_names_the_routes(path: str) -> None:
    assert is_error(Client().get(path), 404, "NOT_FOUND", f"{NOTHING_HERE}. {ROUTES}")


def test_a_long_address_is_not_searched_for_mistakes() -> None:
    assert unknown(f"{'/api' * 9000}/tasks/") == f"{NOTHING_HERE}. {ROUTES}"


@pytest.mark.parametrize("action", ["complete", "completed", "toggle", "done", "close", "Complete"])
@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
def test_completing_is_a_change(action: str, method: str) -> None:
    response = Client().generic(method, f"/api/u/tasks/7/{action}")

    way = 'To complete a task: PATCH /api/u/tasks/7 with {"complete": true}.'
    assert is_error(response, 404, "NOT_FOUND", f"{NOTHING_HERE}. {way} {ROUTES}")


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("/u/tasks/7/done/", 'PATCH /api/u/tasks/7 with {"complete": true}.'),
        ("/api/tasks/7/complete", 'PATCH /api/{user_id}/tasks/7 with {"complete": true}.'),
        ("/api/u/tasks/complete/7", 'PATCH /api/u/tasks/7 with {"complete": true}.'),
        ("/api/u/tasks/x/complete", 'PATCH /api/u/tasks/{task_id} with {"complete": true}.'),
        ("/api/u/tasks/7/reopen", 'PATCH /api/u/tasks/7 with {"complete": false}.'),
        ("/api/u/tasks/7/update", "To change a task: PATCH /api/u/tasks/7."),
        ("/api/u/tasks/7/delete", "To delete a task: DELETE /api/u/tasks/7."),
    ],
)
def test_an_action_names_the_call_that_does_it(path: str, way: str) -> None:
    assert way in unknown(path)


def test_every_action_is_written_as_it_is_looked_up() -> None:
    assert all(action == action.lower() for action in ACTIONS)


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/bob/tasks", "user bob."),
        ("/api/bob%2Fb%20%C3%A9/tasks/7", "user bob/b é."),
        ("/api/undefined/tasks", f"user undefined{SESSION}"),
        ("/api/null/tasks/7", f"user null{SESSION}"),
        ("/api/[object%20Object]/tasks", f"user [object Object]{SESSION}"),
        (
            "/api//u/tasks",
            f"user /u, because it {SLASHES}. Did you mean /api/u/tasks?",
        ),
        ("/api/a%00%C2%85b/tasks", "user a\ufffd\ufffdb."),
        (f"/api/{'x' * 255}/tasks", f"user {'x' * 255}."),
        (f"/api/{'x' * 256}/tasks", f"user {'x' * 255}…."),
        (
            "/api/v1/u/tasks/7",
            f"user v1/u, because it {VERSION}. Did you mean /api/u/tasks/7?",
        ),
        (
            "/api/v2.1/tasks",
            f"user v2.1, because it {VERSION} and {NO_USER}. Did you mean /api/{{user_id}}/tasks?",
        ),
        (
            "/api/users/u/tasks",
            "user users/u, because it says users before the user. Did you mean /api/u/tasks?",
        ),
        (
            "/api/api/u/tasks",
            "user api/u, because it says api twice. Did you mean /api/u/tasks?",
        ),
    ],
)
def test_a_403_names_the_user_of_the_address(alice: Person, path: str, detail: str) -> None:
    response = alice.get(path)

    sentence = f"This token belongs to another user. The address says {detail}"
    assert is_error(response, 403, "AUTH_FORBIDDEN", sentence)
    assert "alice" not in str(response.content)


def test_a_lone_surrogate_can_be_answered() -> None:
    assert another_user("\ud800").endswith("The address says user \ufffd.")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("task_id", ["undefined", "null", "NaN", "-1", "1.0", "%F0%9F%98%80"])
def test_an_id_that_is_no_number_is_named(alice: Person, task_id: str, method: str) -> None:
    body = '{"title": "x", "complete": true}' if method in ("PUT", "PATCH") else ""
    response = alice.client.generic(method, alice.task(task_id), body, "application/json")

    detail = f"There is no such task: an id has only digits, unlike {unquote(task_id)}."
    assert is_error(response, 404, "NOT_FOUND", detail)


@pytest.mark.parametrize("task_id", ["0", "007", "9223372036854775808", "9" * 500])
def test_a_number_that_no_task_can_have_is_answered_like_any_other(task_id: str) -> None:
    assert invalid_id(task_id, has_search=False) == "There is no such task."


def test_search_is_a_parameter_of_the_list() -> None:
    sentence = "There is no such task: an id has only digits, unlike search."

    assert invalid_id("search", has_search=False) == sentence
    assert invalid_id("search", has_search=True) == f"{sentence} To search, list the tasks with q."


@pytest.mark.parametrize(
    ("method", "path", "way"),
    [
        (
            "POST",
            "/api/u/tasks/7",
            "To change a task, use PATCH or PUT; to create one: POST /api/u/tasks.",
        ),
        (
            "PATCH",
            "/api/a%2Fb/tasks",
            "The address of a task ends with its id: /api/a%2Fb/tasks/{task_id}.",
        ),
        ("PUT", "/api/u/tasks", "The address of a task ends with its id: /api/u/tasks/{task_id}."),
        (
            "DELETE",
            "/api/u/tasks",
            "The address of a task ends with its id: /api/u/tasks/{task_id}.",
        ),
    ],
)
def test_a_wrong_method_names_the_right_call(method: str, path: str, way: str) -> None:
    response = Client().generic(method, path)

    assert response.status_code == 405
    assert response.json()["detail"].endswith(f". {way}")


@pytest.mark.parametrize(
    "long", ["x" * 20_000, "%F0%9F%98%80" * 255, "%F0%9F%98%80" * 256, "%0A" * 900]
)
@pytest.mark.parametrize(
    "path",
    ["/{}/tasks", "/api/{}/tasks", "/api/v1/{}/tasks", "/api/{}/tasks/", "/api/u/tasks/{}/complete",
     "/api/alice/tasks/{}", "/{}", "/tasks/{}/{}"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_an_answer_repeats_is_bounded(
    alice: Person, path: str, long: str, method: str
) -> None:
    response = alice.client.generic(method, path.format(long, long))

    assert response.status_code in (403, 404, 405)
    assert len(response.json()["detail"]) < 4000


def test_no_address_is_a_redirect() -> None:
    for path in ("//evil.example/api/u/tasks/", "/api/u/tasks/", "/\\evil.example/tasks/"):
        response = Client().get(path)

        assert (response.status_code, response["Content-Type"]) == (404, "application/json")
        assert "Location" not in response
