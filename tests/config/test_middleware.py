"""Request ids, and the one line that a request leaves in the log."""

import json
import logging
import re
from typing import Any

import pytest
import structlog
from django.db import IntegrityError
from django.test import Client

from config.logs import summary
from tasks import operations
from tests.people import Person, token_of


@pytest.mark.parametrize("given", ["a", "0f8e-4b.1_x:y", "x" * 64])
def test_a_sane_request_id_is_kept(given: str) -> None:
    response = Client().get("/x", headers={"X-Request-ID": given})

    assert response["X-Request-ID"] == given
    assert response.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "ä", 'a"b', "a\n"])
def test_another_one_is_replaced(given: str) -> None:
    response = Client().get("/health", headers={"X-Request-ID": given})

    assert re.fullmatch("[0-9a-f]{32}", response["X-Request-ID"])


def test_two_requests_have_two_ids() -> None:
    first, second = (Client().get("/health")["X-Request-ID"] for _ in range(2))

    assert first != second


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.django_db
def test_a_request_leaves_one_line(alice: Person, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_no_token_no_body_and_no_title_is_logged(
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
    """For pages of the admin: there Django logs what was raised."""
    error = IntegrityError("Failing row contains (needle)")
    record = logging.makeLogRecord({"msg": "crash", "exc_info": (type(error), error, None)})
    (written,) = {
        handler.format(record)
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    }

    assert json.loads(written)["error"] == "IntegrityError"
    assert "needle" not in written


def test_the_summary_of_an_error_without_a_cause_is_its_name() -> None:
    assert summary(IntegrityError("needle")) == "IntegrityError"
