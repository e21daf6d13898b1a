"""Calls that clients of similar services send, and what the answer says to do instead."""

import json
from typing import Any

import pytest

from tests.people import Person

pytestmark = pytest.mark.django_db


def call(method: str, path: str, body: Any, *says: str) -> Any:
    """says: parts of `detail`."""
    return pytest.param(method, path, body, says, id=f"{method} {path} {body}")


TASKS, TASK = "/api/alice/tasks", "/api/alice/tasks/7"
MEANT = "did you mean {}?".format
ADDRESS = "Did you mean {}?".format
TO_COMPLETE = 'To complete a task: PATCH /api/alice/tasks/7 with {"complete": true}.'

CALLS = [
    # fields with other names
    call("POST", TASKS, {"title": "x", "completed": False}, "completed: ", MEANT("complete")),
    call("POST", TASKS, {"title": "x", "done": False}, "done: ", MEANT("complete")),
    call("POST", TASKS, {"title": "x", "status": "pending"}, "status: ", MEANT("complete")),
    call("POST", TASKS, {"title": "x", "is_completed": False}, MEANT("complete")),
    call("POST", TASKS, {"title": "x", "isCompleted": False}, MEANT("complete")),
    call("POST", TASKS, {"name": "x"}, "name: ", MEANT("title")),
    call("POST", TASKS, {"content": "x", "complete": False}, "content: ", MEANT("title")),
    call("POST", TASKS, {"text": "x"}, "text: ", MEANT("title")),
    call("POST", TASKS, {"title": "x", "notes": "y"}, "notes: ", MEANT("description")),
    call("POST", TASKS, {"title": "x", "due": None}, MEANT("due_date")),
    call("POST", TASKS, {"title": "x", "dueDate": None}, MEANT("due_date")),
    call("POST", TASKS, {"title": "x", "deadline": None}, MEANT("due_date")),
    call("POST", TASKS, {"title": "x", "labels": []}, MEANT("tags")),
    call("POST", TASKS, {"title": "x", "categories": []}, MEANT("tags")),
    call("POST", TASKS, {"title": "x", "userId": "alice"}, MEANT("user_id")),
    call("PATCH", TASK, {"completed": True}, "completed: ", MEANT("complete")),
    call("PATCH", TASK, {"is_complete": True}, MEANT("complete")),
    call("PUT", TASK, {"completed": True}, "completed: ", MEANT("complete")),
    call("PUT", TASK, {"complete": True}, "title: is required", "use PATCH"),
    call("PUT", TASK, {"title": "x"}, "complete: is required", "use PATCH"),
    # parameters with other names
    call("GET", f"{TASKS}?completed=true", None, "completed: ", MEANT("complete")),
    call("GET", f"{TASKS}?status=pending", None, "status: ", MEANT("complete")),
    call("GET", f"{TASKS}?status=all&sort=created", None, "status: ", MEANT("complete")),
    call("GET", f"{TASKS}?search=milk", None, MEANT("q")),
    call("GET", f"{TASKS}?query=milk", None, MEANT("q")),
    call("GET", f"{TASKS}?sort_by=title", None, MEANT("sort")),
    call("GET", f"{TASKS}?orderBy=title", None, MEANT("sort")),
    call("GET", f"{TASKS}?ordering=-title", None, MEANT("sort")),
    call("GET", f"{TASKS}?page=2", None, "page: ", MEANT("cursor or offset")),
    call("GET", f"{TASKS}?skip=20", None, "skip: ", MEANT("offset")),
    call("GET", f"{TASKS}?per_page=20", None, "per_page: ", MEANT("limit")),
    call("GET", f"{TASKS}?pageSize=20", None, "pageSize: ", MEANT("limit")),
    call("GET", f"{TASKS}?tags=home", None, MEANT("tag")),
    call("GET", f"{TASKS}?due_date_before=2026-12-01", None, MEANT("due_before")),
    call("GET", f"{TASK}?expand=tags", None, "expand: ", "this call takes none"),
    call("POST", f"{TASKS}?title=x", None, "title: ", "send title in the body"),
    call("PATCH", f"{TASK}?completed=true", {}, "completed: ", "send complete in the body"),
    # other addresses
    call("PATCH", f"{TASK}/complete", {"completed": True}, TO_COMPLETE),
    call("PATCH", f"{TASK}/complete", None, TO_COMPLETE),
    call("POST", f"{TASK}/complete", None, TO_COMPLETE),
    call("PUT", f"{TASK}/complete", None, TO_COMPLETE),
    call("PATCH", f"{TASK}/toggle", None, TO_COMPLETE),
    call("POST", f"{TASK}/close", None, TO_COMPLETE),
    call("GET", f"{TASKS}/", None, "ends with a slash", ADDRESS("/api/alice/tasks")),
    call("POST", f"{TASKS}/", {"title": "x"}, "ends with a slash", ADDRESS("/api/alice/tasks")),
    call("DELETE", f"{TASK}/", None, "ends with a slash", ADDRESS("/api/alice/tasks/7")),
    call("GET", "/alice/tasks", None, "does not begin with /api/", ADDRESS("/api/alice/tasks")),
    call("GET", "/tasks", None, "names no user", ADDRESS("/api/{user_id}/tasks")),
    call("GET", "/api/tasks", None, "names no user", ADDRESS("/api/{user_id}/tasks")),
    call("GET", "/api/tasks?user_id=alice", None, "names no user", ADDRESS("/api/{user_id}/tasks")),
    call("GET", "/api/v1/tasks", None, "has a version", ADDRESS("/api/{user_id}/tasks")),
    call("GET", "/api/v1/alice/tasks", None, "has a version", ADDRESS("/api/alice/tasks")),
    call("GET", "/api/users/alice/tasks", None, "says users", ADDRESS("/api/alice/tasks")),
    call("POST", "/api/alice/todos", {"title": "x"}, "todos", ADDRESS("/api/alice/tasks")),
    call("GET", "/api/undefined/tasks", None, "user undefined: wait for the session"),
    call("GET", "/api/null/tasks", None, "user null: wait for the session"),
    call("GET", f"{TASKS}/undefined", None, "an id has only digits, unlike undefined"),
    call("GET", f"{TASKS}/search?q=milk", None, "To search, list the tasks with q."),
    # other methods
    call("POST", TASK, {"complete": True}, "To change a task, use PATCH or PUT"),
    call(
        "PATCH", TASKS, {"id": 7, "complete": True}, "ends with its id: /api/alice/tasks/{task_id}"
    ),
    call("DELETE", TASKS, None, "ends with its id: /api/alice/tasks/{task_id}"),
]


@pytest.mark.parametrize(("method", "path", "body", "says"), CALLS)
def test_a_refused_call_names_the_way(
    method: str, path: str, body: Any, says: tuple[str, ...], alice: Person
) -> None:
    data = "" if body is None else json.dumps(body)
    response = alice.client.generic(method, path, data, "application/json")

    assert response.status_code in (403, 404, 405, 422)
    for part in says:
        assert part in response.json()["detail"]
