"""`manage.py issue_token`: a token signed with the shared secret, for development."""

import time
from io import StringIO
from typing import Any

import jwt
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from authjwt.bearer import verifier
from tests.people import SECRET


@pytest.fixture(autouse=True)
def _development(settings: Any) -> None:
    settings.DEBUG = True


def issued(*arguments: str) -> str:
    out = StringIO()
    call_command("issue_token", *arguments, stdout=out)
    token = out.getvalue()
    assert token.endswith("\n")
    return token.strip()


@pytest.mark.django_db
def test_the_token_opens_its_users_tasks() -> None:
    response = Client().get(
        "/api/alice/tasks", headers={"Authorization": f"Bearer {issued('alice')}"}
    )

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        pytest.param((), 900, id="default"),
        pytest.param(("--expires", "90s"), 90, id="seconds"),
        pytest.param(("--expires", "2m"), 120, id="minutes"),
        pytest.param(("--expires", "3h"), 10_800, id="hours"),
        pytest.param(("--expires=7d",), 604_800, id="days"),
    ],
)
def test_the_token_has_the_given_lifetime(expires: tuple[str, ...], seconds: int) -> None:
    before = int(time.time())

    claims = jwt.decode(issued("alice", *expires), SECRET, ["HS256"])

    assert set(claims) == {"sub", "iat", "exp"}
    assert claims["sub"] == "alice"
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] == claims["iat"] + seconds


@pytest.mark.parametrize(
    "expires", ["", "0s", "-1m", "15", "m", "1w", "1.5h", "15 m", "1m30s", "1234567s", "\u0661m"]
)
def test_an_unclear_duration_is_refused(expires: str) -> None:
    with pytest.raises(CommandError, match="must be a number with s, m, h or d"):
        issued("alice", f"--expires={expires}")


@pytest.mark.parametrize(
    "user",
    ["", " ", "s" * 256, "a\x00", "a\nb", "\ud800"],
    ids=["empty", "blank", "long", "nul", "line_break", "surrogate"],
)
def test_an_invalid_user_id_is_refused(user: str) -> None:
    with pytest.raises(CommandError, match="user must have 1 to 255 characters"):
        issued(user)


@pytest.mark.parametrize("user", ["a/b", "\u00e9\U0001f600", "s" * 255, "42"])
def test_any_other_user_id_is_accepted(user: str) -> None:
    assert verifier().verify(issued(user)).user_id == user


def test_without_a_secret_there_is_no_token(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = ""

    with pytest.raises(CommandError, match="BETTER_AUTH_SECRET is not set"):
        issued("alice")


def test_outside_development_it_requires_a_flag(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(CommandError, match="add --outside-development"):
        issued("alice")
    assert verifier().verify(issued("alice", "--outside-development")).user_id == "alice"
