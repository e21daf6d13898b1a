"""Request ids, and the one line in the log for each request."""

import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import psycopg
import pytest
import structlog
from django.db import IntegrityError, OperationalError
from django.test import Client

from authjwt.bearer import verifier
from config.http.openapi import EXAMPLES
from config.server.connection import AnswerLost, ConnectionFailed
from config.server.logs import summary
from config.server.stats import stats
from tasks import operations
from tests.people import Person, token_of


@pytest.mark.parametrize("given", ["a", "0f8e-4b.1_x:y", "x" * 64])
def test_a_valid_request_id_is_kept(given: str) -> None:
    response = Client().get("/x", headers={"X-Request-ID": given})

    assert response["X-Request-ID"] == given
    assert response.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "ä", 'a"b', "a\n"])
def test_an_invalid_request_id_is_replaced(given: str) -> None:
    response = Client().get("/health", headers={"X-Request-ID": given})

    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-ID"])


def test_two_requests_have_two_ids() -> None:
    first, second = (Client().get("/health")["X-Request-ID"] for _ in range(2))

    assert first != second


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.django_db
def test_a_request_is_logged_in_one_line(alice: Person, capsys: pytest.CaptureFixture[str]) -> None:
    response = alice.create()
    capsys.readouterr()
    response = alice.get(alice.task(response["id"]))
    (line,) = lines(capsys)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert 0 < line.pop("ms") < 60_000
    assert line == {
        "event": "request",
        "level": "info",
        "request_id": response["X-Request-ID"],
        "user_id": "alice",
        "method": "GET",
        "route": "api/<path:user_id>/tasks/<task_id>",
        "status": 200,
        "sql": 1,
    }


def test_a_stranger_is_logged_with_the_id_of_the_token(
    charlie: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    charlie.get("/api/alice/tasks")
    (line,) = lines(capsys)

    assert (line["status"], line["user_id"]) == (403, "charlie")


@pytest.mark.django_db(transaction=True)
def test_tokens_bodies_and_titles_are_not_logged(
    alice: Person, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("alice")
    broken = "x.".join(token.split("."))
    task = alice.create(title="needle", description="needle")
    Client().get("/needle?needle", headers={"Authorization": f"Bearer {broken}"})
    Client().get(alice.tasks, headers={"Authorization": f"Needle {token}"})
    Client().get(alice.tasks, headers={"Authorization": f"Bearer {broken}"})
    Client().get("/api/needle/tasks", headers={"Cookie": f"token={token}"})
    alice.patch(alice.task(task["id"]), {"needle": "needle"})
    alice.post(alice.tasks, "needle")
    alice.get(f"{alice.tasks}?needle=needle")
    violating = operations.CREATE.replace(b"$2", b"""$2::jsonb || '{"priority": "needle"}'""")
    monkeypatch.setattr(operations, "CREATE", violating)
    assert alice.post(alice.tasks, {"title": "needle"}).status_code == 500
    out, err = capsys.readouterr()

    assert len(out.splitlines()) == 10
    assert "IntegrityError 23514 tasks_task.task_priority" in out
    for secret in ("needle", *token.split(".")):
        assert secret not in out + err


def test_a_crash_is_logged_without_the_row() -> None:
    """For the admin, where Django logs exceptions."""
    error = IntegrityError("Failing row contains (needle)")
    record = logging.makeLogRecord({"msg": "crash", "exc_info": (type(error), error, None)})
    (written,) = {
        handler.format(record)
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    }

    assert json.loads(written)["error"] == "IntegrityError"
    assert "needle" not in written


def test_the_summary_of_an_error_without_a_cause_is_the_name_of_its_class() -> None:
    assert summary(IntegrityError("needle")) == "IntegrityError"


@pytest.mark.django_db
def test_an_invalid_body_is_logged_with_its_known_fields_only(
    alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    alice.post(alice.tasks, {"title": "", "priority": 7, "needle": 1})
    alice.get(f"{alice.tasks}?limit=needle&needle=1")
    body, query = lines(capsys)

    assert (body["status"], body["fields"]) == (422, ["body.title", "body.priority"])
    assert (query["status"], query["fields"]) == (422, ["query.limit"])


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"nbf": 4_000_000_000}, "not_yet_valid"),
    ],
)
def test_a_refused_token_with_a_valid_signature_is_logged_with_its_user(
    claims: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Client(headers={"Authorization": f"Bearer {token_of('alice', **claims)}"}).get("/api/x/tasks")
    (line,) = (line for line in lines(capsys) if line["event"] == "request")

    assert (line["status"], line["reason"], line["user_id"]) == (401, reason, "alice")


@pytest.mark.django_db
def test_a_token_that_expired_in_the_cache_is_logged_with_its_user(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person("alice")
    person.get(person.tasks)
    monkeypatch.setattr(verifier(), "_clock", lambda: 4_000_000_000)
    person.get(person.tasks)
    *_, line = (line for line in lines(capsys) if line["event"] == "request")

    assert (line["status"], line["reason"], line["user_id"]) == (401, "expired", "alice")


def test_a_token_with_an_invalid_signature_is_logged_without_a_user(
    capsys: pytest.CaptureFixture[str],
) -> None:
    head, payload, _ = token_of("alice", exp=1).split(".")
    forged = f"{head}.{payload}.{'A' * 43}"
    Client(headers={"Authorization": f"Bearer {forged}"}).get("/api/alice/tasks")
    (line,) = (line for line in lines(capsys) if line["event"] == "request")

    assert (line["reason"], line["user_id"]) == ("bad_signature", None)


def test_readiness_logs_what_is_missing(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.BETTER_AUTH_URL = "http://127.0.0.1:9"
    with patch.object(operations, "read", side_effect=OperationalError):
        Client().get("/health/ready")
    (line,) = (line for line in lines(capsys) if line["event"] == "request")

    assert line["missing"] == ["database", "verification keys"]


def test_a_wait_is_logged_with_its_longest_part(
    alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(*_: object) -> bytes:
        stats.add_wait("connection", 0.25)
        stats.add_wait("body", 0.01)
        return orjson.dumps(EXAMPLES["TaskOut"])

    with patch.object(operations, "read", side_effect=wait):
        alice.get(alice.task(1))
        alice.get("/health")
    first, second = lines(capsys)

    assert (first["waited_ms"], first["waited_for"]) == (260, "connection")
    assert "waited_ms" not in second


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("traceparent", "is_valid"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", True),
        (f"01-{TRACE}-b7ad6b7169203331-01-of-a-later-version", True),
        (f"ff-{TRACE}-b7ad6b7169203331-01", False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", False),
        ("needle", False),
        ("", False),
    ],
)
def test_the_trace_id_of_a_client_is_logged(
    traceparent: str,
    is_valid: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
) -> None:
    Client().get("/health", headers={"traceparent": traceparent})
    (line,) = lines(capsys)

    assert line.get("trace_id") == (TRACE if is_valid else None)


def test_a_full_disk_under_the_log_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115
    monkeypatch.setattr("sys.stdout", full)

    assert Client().get("/health").status_code == 200
    with suppress(OSError):
        full.close()


def test_a_closed_standard_output_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Path("/dev/null").open("w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)

    assert Client().get("/health").status_code == 200


def caused(kind: type[Exception], cause: Exception) -> Exception:
    error = kind()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (ConnectionFailed("too_many", "needle"), "ConnectionFailed too_many"),
        (AnswerLost("needle"), "AnswerLost"),
        (caused(OperationalError, psycopg.OperationalError("Connection refused")), "refused"),
        (caused(OperationalError, psycopg.errors.QueryCanceled("needle")), "57014"),
    ],
)
def test_the_summary_of_a_failed_connection_names_its_cause(error: Any, ending: str) -> None:
    assert summary(error).endswith(ending)
    assert "needle" not in summary(error)
