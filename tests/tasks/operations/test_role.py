"""Hosts that refuse an encrypted password, which PostgreSQL itself never does."""

from collections.abc import Iterable
from typing import Any

import pytest
from django.db import InternalError, ProgrammingError, connection
from psycopg import sql

from tasks.operations import role as module
from tasks.operations.role import Role

pytestmark = pytest.mark.django_db

NEON = (
    "Received HTTP code 400 from control plane: "
    '{"error":"Neon only supports being given plaintext passwords"}'
)
"""Neon's message at COMMIT. Neon cannot be started here."""


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Role:
    monkeypatch.setattr(Role, "timeouts", lambda _: {})
    found = Role(connection)
    found.password = "derived"
    return found


def test_only_a_missing_right_is_reported_as_one() -> None:
    with pytest.raises(ProgrammingError, match="syntax error"):
        module.run(connection, [sql.SQL("nonsense")])


def test_a_host_that_requires_plain_text_gets_the_password(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def refuses(connection: Any, statements: Iterable[sql.Composable]) -> None:
        text = " ".join(each.as_string(None) for each in statements)
        tried.append(text)
        if "SCRAM-SHA-256$" in text:
            raise InternalError(NEON)

    monkeypatch.setattr(module, "run", refuses)
    role._set_login()  # noqa: SLF001  the part that differs

    assert ["SCRAM-SHA-256$" in text for text in tried] == [True, False]
    assert "PASSWORD 'derived'" in tried[1]


def test_no_other_failure_sends_the_password(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def fails(connection: Any, statements: Any) -> None:
        tried.append(statements)
        raise InternalError("something else")

    monkeypatch.setattr(module, "run", fails)
    with pytest.raises(InternalError, match="something else"):
        role._set_login()  # noqa: SLF001  the part that differs

    assert len(tried) == 1
