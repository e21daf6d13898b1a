"""The OpenAPI document, and whether the API conforms to it."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from django.test import Client
from hypothesis import HealthCheck, settings

from config.http.api import api
from config.http.openapi import simplified
from config.wsgi import application
from tasks.models import WHITE_SPACE, Task
from tasks.query import SORT_KEYS
from tasks.schemas import READ_ONLY, SPACE
from tests.people import Person, token_of

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "15"))
FIRST = 2**40
NULL = {"type": "null"}
COMMITTED = Path(__file__).parents[2] / "openapi.json"


def document() -> Any:
    return json.loads(json.dumps(api.get_openapi_schema()))


def test_the_committed_document_is_the_served_one() -> None:
    """After an intended change: WRITE_OPENAPI=1 pytest -k committed_document"""
    if os.environ.get("WRITE_OPENAPI"):
        COMMITTED.write_text(json.dumps(document(), indent=2) + "\n", encoding="utf-8")

    assert Client().get("/openapi.json").json() == document()
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == document()


def test_the_pattern_of_a_title_has_the_white_space_of_the_rule() -> None:
    characters = map(chr, [*range(0xD800), *range(0xE000, 0x110000)])

    assert "".join(re.findall(f"[{SPACE}]", "".join(characters))) == WHITE_SPACE


MADE_UP = ("cursor", "sync", "Idempotency-Key", "If-Match", "If-None-Match")


def narrowed() -> Any:
    """The document for the user `alice` and four task ids, of which three exist.

    Without what is refused though a schema cannot say so: cursors, tokens, keys and conditions that
    are made up, and a sort key twice.
    """
    narrow = json.loads(COMMITTED.read_text(encoding="utf-8"))
    for path in narrow["paths"].values():
        for operation in path.values():
            operation["parameters"] = [
                parameter
                for parameter in operation["parameters"]
                if parameter["name"] not in MADE_UP
            ]
            for parameter in operation["parameters"]:
                if parameter["name"] == "user_id":
                    parameter["schema"] = {"enum": ["alice"]}
                if parameter["name"] == "task_id":
                    parameter["schema"] |= {"minimum": FIRST, "maximum": FIRST + 3}
                if parameter["name"] == "sort":
                    parameter["schema"] = {"enum": [*SORT_KEYS]}
    return narrow


schema = schemathesis.openapi.from_dict(narrowed())
schema.app = application


@schema.auth()
class Alice:
    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        return token_of("alice")

    def set(
        self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext
    ) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


# Without a parameter, all operations have the same test id, and xdist would run only one of them.
@pytest.mark.parametrize("tasks", [3])
@pytest.mark.django_db(transaction=True)
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_conforms_to_its_document(case: schemathesis.Case[Any], tasks: int) -> None:
    """Valid and invalid requests to every operation, with all checks of schemathesis."""
    Task.objects.bulk_create(
        (Task(id=FIRST + n, user_id="alice", title="Buy milk") for n in range(tasks)),
        ignore_conflicts=True,
    )

    if case.meta and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        _without_tags_that_differ_in_case_only(case.body)
    case.call_and_validate()


def _without_tags_that_differ_in_case_only(body: Any) -> None:
    """A schema cannot say that these are refused."""
    if isinstance(body, dict) and "tags" in body:
        tags = {tag.strip().casefold(): tag for tag in body["tags"]}
        body["tags"] = [*tags.values()]


def test_each_operation_has_an_id_for_generated_clients() -> None:
    operations = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }

    assert operations == {
        "listTasks": "GET /api/{user_id}/tasks",
        "createTask": "POST /api/{user_id}/tasks",
        "readTask": "GET /api/{user_id}/tasks/{task_id}",
        "replaceTask": "PUT /api/{user_id}/tasks/{task_id}",
        "changeTask": "PATCH /api/{user_id}/tasks/{task_id}",
        "deleteTask": "DELETE /api/{user_id}/tasks/{task_id}",
        "checkHealth": "GET /health",
        "checkReadiness": "GET /health/ready",
    }


def test_the_examples_match_their_schemas() -> None:
    found = document()
    examples = 0
    for path in found["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if "$ref" in response:
                    response = found["components"]["responses"][status]  # noqa: PLW2901
                for content in response.get("content", {}).values():
                    target = content["schema"] | {"components": found["components"]}
                    several = content.get("examples", {"": {"value": content.get("example")}})
                    for example in several.values():
                        jsonschema_rs.validate(target, example["value"])
                        examples += 1

    assert examples > 40


FAILING: dict[int, Callable[[Person], Any]] = {
    400: lambda alice: alice.patch(alice.task(1), {}),
    401: lambda alice: Client(headers={"Authorization": f"Bearer {token_of('alice', exp=1)}"}).get(
        alice.tasks
    ),
    403: lambda alice: alice.get("/api/bob/tasks"),
    404: lambda alice: alice.get(alice.task(1)),
    413: lambda alice: alice.post(alice.tasks, {"title": "x" * 70_000}),
    415: lambda alice: alice.client.post(alice.tasks, "x", content_type="text/plain"),
    422: lambda alice: alice.post(alice.tasks, {"title": " "}),
}


@pytest.mark.parametrize("status", FAILING)
@pytest.mark.django_db
def test_the_example_of_an_error_is_a_real_answer(alice: Person, status: int) -> None:
    example = document()["components"]["responses"][str(status)]["content"]["application/json"]
    varying = {"timestamp": "", "request_id": ""}
    response = FAILING[status](alice)

    assert response.status_code == status
    assert response.json() | varying == example["example"] | varying


BODIES = ("TaskIn", "TaskPut", "TaskPatch")


@pytest.mark.parametrize("body", BODIES)
def test_a_body_mentions_what_the_server_sets_and_ignores(body: str) -> None:
    schema = document()["components"]["schemas"][body]

    assert not {*READ_ONLY} & {*schema["properties"]}
    assert [name for name in READ_ONLY if f"`{name}`" not in schema["description"]] == []


def test_nullable_and_optional_are_different() -> None:
    patch = document()["components"]["schemas"]["TaskPatch"]

    assert "required" not in patch
    assert patch["properties"]["complete"] == {"type": "boolean"}
    assert patch["properties"]["description"]["type"] == ["string", "null"]


def test_a_default_is_described_and_makes_no_field_required() -> None:
    task = document()["components"]["schemas"]["TaskIn"]
    parameters = document()["paths"]["/api/{user_id}/tasks"]["get"]["parameters"]

    assert task["required"] == ["title"]
    assert task["properties"]["complete"] == {"type": "boolean", "description": "Default: `false`."}
    (limit,) = (parameter for parameter in parameters if parameter["name"] == "limit")
    assert limit["description"].endswith(" Default: `1000`.")
    assert '"default": ' not in json.dumps(document())


def test_priority_is_one_type_for_all_bodies() -> None:
    schemas = document()["components"]["schemas"]

    assert schemas["Priority"] == {"type": "string", "enum": ["low", "medium", "high"]}
    for name in (*BODIES, "TaskOut"):
        assert schemas[name]["properties"]["priority"]["$ref"] == "#/components/schemas/Priority"


def test_every_number_is_exact_in_javascript() -> None:
    task_id = document()["components"]["schemas"]["TaskOut"]["properties"]["id"]

    assert task_id == {"type": "integer", "format": "int64", "minimum": 1}
    assert [number for number in numbers(document()) if abs(number) > 2**53 - 1] == []


def numbers(node: Any) -> Iterator[float]:
    if isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            yield from numbers(item)
    elif isinstance(node, int | float):
        yield node


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"anyOf": [{"type": "string"}, NULL]}, {"type": ["string", "null"]}),
        ({"anyOf": [NULL, {"type": "string"}]}, {"type": ["string", "null"]}),
        (
            {"anyOf": [{"type": "string", "enum": ["a"]}, NULL], "description": "x"},
            {"type": ["string", "null"], "enum": ["a", None], "description": "x"},
        ),
        (
            {"anyOf": [{"type": "integer", "maximum": 2**63}, NULL]},
            {"type": ["integer", "null"], "format": "int64"},
        ),
        ({"anyOf": [{"$ref": "#/x"}, NULL]}, None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]}, None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, None),
    ],
)
def test_one_type_or_null_is_written_as_a_list_of_types(given: Any, expected: Any) -> None:
    assert simplified({"title": "X", "properties": {"title": given}}) == {
        "properties": {"title": expected or given}
    }


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_a_page_of_the_docs_loads_nothing_from_other_hosts(page: str) -> None:
    response = Client().get(page)
    loaded = re.findall(r'(?:src|href)="([^"]*)"', response.content.decode())

    assert response.status_code == 200
    assert "/static/config/docs.js" in loaded
    assert all(address.startswith("/static/") for address in loaded)
    assert "http" not in response["Content-Security-Policy"]
