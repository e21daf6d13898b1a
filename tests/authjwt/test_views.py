"""Views of plain Django and of Django REST framework, without the project around them.

`test_alone.py` installs them into another project.
"""

import json
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from rest_framework.request import Request

from authjwt import answers
from authjwt.bearer import BearerToken
from authjwt.exceptions import (
    Forbidden,
    InsufficientScope,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    TokenError,
)
from authjwt.rest_framework import BetterAuth, Refused
from authjwt.views import token_required
from tests.people import token_of

ERRORS: dict[str, tuple[TokenError, int, dict[str, str], dict[str, str]]] = {
    "missing": (
        MissingToken("Send a token."),
        401,
        {"WWW-Authenticate": "Bearer"},
        {"detail": "Send a token."},
    ),
    "invalid": (
        InvalidToken("expired", "It has expired."),
        401,
        {
            "WWW-Authenticate": (
                'Bearer error="invalid_token", error_description="expired: It has expired."'
            )
        },
        {"detail": "It has expired.", "reason": "expired"},
    ),
    "forbidden": (Forbidden("Not yours."), 403, {}, {"detail": "Not yours."}),
    "keys": (
        KeysUnavailable("fetch failed", 7),
        503,
        {"Retry-After": "7"},
        {"detail": answers.KEYS_UNAVAILABLE},
    ),
}


@pytest.mark.parametrize(("error", "status", "headers", "body"), ERRORS.values(), ids=ERRORS.keys())
def test_each_error_has_its_answer(
    error: TokenError, status: int, headers: dict[str, str], body: dict[str, str]
) -> None:
    answer = answers.answer(HttpRequest(), error)

    assert answer.status_code == status
    assert {name: answer.get(name) for name in ("WWW-Authenticate", "Retry-After")} == {
        "WWW-Authenticate": None,
        "Retry-After": None,
    } | headers
    assert answer["Cache-Control"] == "private, no-store"
    assert json.loads(answer.content) == body


def test_a_missing_scope_is_named() -> None:
    answer = answers.answer(HttpRequest(), InsufficientScope("tasks:write"))

    assert answer.status_code == 403
    assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="tasks:write"'


def request_of(token: str = "") -> HttpRequest:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return RequestFactory().get("/", headers=headers)


@token_required
def whoami(request: Any) -> HttpResponse:
    return HttpResponse(request.auth.user_id)


@token_required(owner="user_id")  # type: ignore[untyped-decorator]
def of_owner(_request: HttpRequest) -> HttpResponse:
    raise AssertionError


def test_a_view_gets_the_user() -> None:
    assert whoami(request_of(token_of("alice"))).content == b"alice"
    assert whoami.csrf_exempt


def test_a_view_refuses() -> None:
    assert whoami(request_of()).status_code == 401
    assert whoami(request_of("undefined")).status_code == 401
    assert of_owner(request_of(token_of("alice"))).status_code == 403


def test_a_token_without_an_owner_may_be_used_anywhere() -> None:
    assert BearerToken()(request_of(token_of("alice"))).user_id == "alice"


def test_django_rest_framework_gets_the_user() -> None:
    found = BetterAuth().authenticate(Request(request_of(token_of("alice"))))

    assert found
    user, claims = found
    assert (user.pk, user.id, claims.user_id) == ("alice", "alice", "alice")
    assert (user.is_authenticated, user.is_anonymous) == (True, False)


def test_django_rest_framework_refuses() -> None:
    assert BetterAuth().authenticate(Request(request_of())) is None
    assert BetterAuth().authenticate_header(Request(request_of())) == "Bearer"
    with pytest.raises(Refused) as refused:
        BetterAuth().authenticate(Request(request_of("undefined")))
    assert refused.value.status_code == 401
    assert str(refused.value.auth_header).startswith('Bearer error="invalid_token"')
