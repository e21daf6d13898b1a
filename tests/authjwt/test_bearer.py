"""The Authorization header on real URLs: which requests it opens, and how it is refused."""

import json
import threading
import time
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import resolve

from authjwt import bearer, keys
from authjwt.bearer import BearerToken, Refusals, verifier
from authjwt.exceptions import Forbidden
from authjwt.keys import MAX_AGE
from tests.authjwt.conftest import (
    ALGORITHMS,
    BAD_ANSWERS,
    ORIGIN,
    Answer,
    Clock,
    Issuer,
    at_once,
    claims,
    drip_body,
    drip_headers,
    hang,
    settle,
    signer,
)
from tests.people import token_of

TASKS = "/api/alice/tasks"

REQUESTS = [
    pytest.param("get", TASKS, id="list"),
    pytest.param("post", TASKS, id="create"),
    pytest.param("get", f"{TASKS}/1", id="read"),
    pytest.param("put", f"{TASKS}/1", id="replace"),
    pytest.param("patch", f"{TASKS}/1", id="change"),
    pytest.param("delete", f"{TASKS}/1", id="delete"),
]


def get(path: str = TASKS, *, token: str = "", authorization: str = "") -> Any:
    return Client().get(path, headers={"Authorization": authorization or f"Bearer {token}"})


# The header


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_without_a_token_there_is_a_challenge(method: str, path: str) -> None:
    response = getattr(Client(), method)(path)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["error_code"] == "AUTH_MISSING"
    assert "reason" not in response.json()


def test_a_head_request_is_challenged_like_a_get() -> None:
    response = Client().head(TASKS)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic YWxpY2U6c2VjcmV0", id="basic"),
        pytest.param("Digest username=alice", id="digest"),
        pytest.param("Token {token}", id="token"),
        pytest.param("JWT {token}", id="jwt"),
        pytest.param("{token}", id="no_scheme"),
        pytest.param("Bearer:{token}", id="colon"),
        pytest.param("Bearer\t{token}", id="tab"),
        pytest.param("Bearer\u00a0{token}", id="no_break_space"),
        pytest.param('"Bearer" {token}', id="quotes"),
        pytest.param("DPoP {token}", id="dpop"),
        pytest.param(" ", id="blank"),
        pytest.param("Basic YWxpY2U6, Bearer {token}", id="second_of_two"),
    ],
)
def test_another_scheme_counts_as_no_token(authorization: str) -> None:
    response = get(authorization=authorization.replace("{token}", token_of("alice")))

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["error_code"] == "AUTH_MISSING"


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert get(authorization=f"{scheme}{token_of('alice')}").status_code == 200


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        pytest.param("Bearer", "malformed", id="word_alone"),
        pytest.param("Bearer  ", "malformed", id="blanks"),
        pytest.param("Bearer {token}, Bearer {token}", "not_a_jwt", id="twice"),
        pytest.param("Bearer {token}, Basic YWxpY2U6", "malformed", id="first_of_two"),
        pytest.param("Bearer {token} {token}", "not_a_jwt", id="two_tokens"),
        pytest.param("Bearer Bearer {token}", "malformed", id="word_twice"),
        pytest.param('Bearer "{token}"', "malformed", id="quotes"),
        pytest.param("Bearer <{token}>", "malformed", id="angles"),
        pytest.param("Bearer undefined", "not_a_jwt", id="undefined"),
        pytest.param("Bearer token={token}", "malformed", id="parameter"),
    ],
)
def test_a_wrong_header_is_refused_with_the_reason(authorization: str, reason: str) -> None:
    response = get(authorization=authorization.replace("{token}", token_of("alice")))

    assert response.status_code == 401
    assert response.json()["reason"] == reason


def test_only_the_header_authenticates() -> None:
    token = token_of("alice")
    client = Client()
    for name in ("better-auth.session_token", "better-auth.session_data", "token", "jwt"):
        client.cookies[name] = token

    for query in ({"access_token": token}, {"token": token}):
        response = client.get(TASKS, query)
        assert response.json()["error_code"] == "AUTH_MISSING"


def test_a_session_token_is_refused_with_the_address_of_a_jwt() -> None:
    response = get(token="7Qk2VbW4sJ9xTzR1nLpYcD8mFhGa6E3u")

    assert response["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="not_a_jwt: This looks like a '
        'Better Auth session token. Fetch a JWT from /api/auth/token and send that."'
    )


# The owner


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_stranger_is_refused_before_anything_is_read(method: str, path: str) -> None:
    authorization = f"Bearer {token_of('bob')}"

    # There is no database in this test, and no JSON in the body.
    response = getattr(Client(), method)(path, headers={"Authorization": authorization})

    assert response.status_code == 403
    assert response.json()["error_code"] == "AUTH_FORBIDDEN"
    assert "WWW-Authenticate" not in response


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/api/Alice/tasks", id="case"),
        pytest.param("/api/alice%20/tasks", id="blank"),
        pytest.param("/api/alice%00/tasks", id="nul"),
        pytest.param("/api/alice%2F/tasks", id="slash"),
        pytest.param("/api/./alice/tasks", id="dot"),
        pytest.param("/api/bob/../alice/tasks", id="dots"),
        pytest.param("/api/%EF%BD%81lice/tasks", id="fullwidth"),
        pytest.param("/api/alic%C3%A9/tasks", id="accent"),
        pytest.param("/api/alice/tasks/1/tasks", id="path_in_path"),
    ],
)
def test_a_path_that_resembles_the_users_own_is_forbidden(path: str) -> None:
    assert get(path, token=token_of("alice")).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("user", "path"),
    [
        pytest.param("a/b", "/api/a%2Fb/tasks", id="slash"),
        pytest.param("a b", "/api/a%20b/tasks", id="blank"),
        pytest.param("a%2Fb", "/api/a%252Fb/tasks", id="percent"),
        pytest.param("\u00e9\U0001f600", "/api/%C3%A9%F0%9F%98%80/tasks", id="unicode"),
        pytest.param("tasks", "/api/tasks/tasks", id="tasks"),
        pytest.param("s" * 255, f"/api/{'s' * 255}/tasks", id="longest"),
    ],
)
def test_any_user_reaches_their_own_tasks(user: str, path: str) -> None:
    assert get(path, token=token_of(user)).status_code == 200


def test_a_request_without_a_route_is_forbidden() -> None:
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token_of('alice')}"})

    with pytest.raises(Forbidden):
        BearerToken(owner="user_id")(request)


def test_a_route_without_a_user_is_forbidden() -> None:
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token_of('alice')}"})
    request.resolver_match = resolve("/health")

    with pytest.raises(Forbidden):
        BearerToken(owner="user_id")(request)


def test_an_endpoint_is_given_the_claims() -> None:
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token_of('alice')}"})
    request.resolver_match = resolve(TASKS)

    found = BearerToken(owner="user_id")(request)

    assert found.user_id == "alice"
    assert request.auth is found  # type: ignore[attr-defined]


# The verifier of the process


def test_the_process_has_one_verifier() -> None:
    assert verifier() is verifier()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BETTER_AUTH_SECRET", "another-secret-of-more-than-32-bytes"),
        ("BETTER_AUTH_URL", ORIGIN),
        ("BETTER_AUTH_AUDIENCE", ["https://api.example.com"]),
    ],
)
def test_changed_settings_make_another_verifier(name: str, value: Any, settings: Any) -> None:
    before = verifier()
    settings.TIME_ZONE = "UTC"
    assert verifier() is before

    setattr(settings, name, value)

    assert verifier() is not before


def test_the_verifier_follows_the_settings(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "https://App.example.com/"
    settings.BETTER_AUTH_AUDIENCE = ["https://api.example.com"]

    found = verifier()

    assert found.keys
    assert found.keys.url == "https://App.example.com/api/auth/jwks"
    assert "https://app.example.com" in found.jwts.issuers
    assert set(found.jwts.audiences) == {"https://api.example.com", "https://api.example.com/"}


def test_without_a_url_there_are_no_keys() -> None:
    assert verifier().keys is None


# The key set, seen from outside


@pytest.mark.django_db
def test_a_rotated_key_is_accepted_at_its_first_request(accepting: Issuer) -> None:
    assert get(token=signer().token()).status_code == 200
    new = signer("ES256")
    accepting.lists(signer(), new)

    assert get(token=new.token()).status_code == 200
    assert get(token=signer().token()).status_code == 200
    assert len(accepting.requests) == 2


@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_without_keys_a_stuck_issuer_is_a_503_in_time(bad: Answer, accepting: Issuer) -> None:
    accepting.answer = bad
    start = time.monotonic()

    response = get(token=signer().token())

    assert time.monotonic() - start < 4
    assert response.status_code == 503
    assert response.json()["error_code"] == "AUTH_UNAVAILABLE"
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(bad, id=name)
        for name, bad in BAD_ANSWERS.items()
        if bad not in (hang, drip_headers, drip_body)
    ],
)
def test_without_keys_a_bad_answer_is_a_503(bad: Answer, accepting: Issuer) -> None:
    accepting.answer = bad

    response = get(token=signer().token())

    assert response.status_code == 503
    assert response.json()["error_code"] == "AUTH_UNAVAILABLE"
    assert response["Retry-After"] == "1"


@pytest.mark.django_db
def test_the_service_recovers_after_an_outage_at_its_start(
    accepting: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(bearer, "KeyRing", lambda *urls: keys.KeyRing(*urls, clock=clock))
    accepting.stop()

    response = get(token=signer().token())
    assert response.status_code == 503
    accepting.start()
    assert get(token=signer().token()).status_code == 503
    clock.now += int(response["Retry-After"])

    assert get(token=signer().token()).status_code == 200


@pytest.mark.django_db
def test_an_outage_does_not_affect_tokens_of_the_secret(accepting: Issuer) -> None:
    accepting.stop()

    assert get(token=signer().token()).status_code == 503
    assert get(token=token_of("alice")).status_code == 200


@pytest.mark.django_db
def test_known_keys_work_while_the_issuer_hangs(
    accepting: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(bearer, "KeyRing", lambda *urls: keys.KeyRing(*urls, clock=clock))
    assert get(token=signer().token()).status_code == 200
    accepting.answer = hang
    clock.now += MAX_AGE
    statuses: list[int] = []
    stuck = threading.Thread(
        target=lambda: statuses.append(get(token=signer("EdDSA", "made-up").token()).status_code)
    )
    stuck.start()
    longest = 0.0
    rounds = 0

    while stuck.is_alive():
        start = time.monotonic()
        # Each token is new, so that none of them is cached.
        assert get(token=signer().token(claims(jti=str(rounds)))).status_code == 200
        longest = max(longest, time.monotonic() - start)
        rounds += 1

    stuck.join()
    assert statuses == [503]
    assert rounds > 50
    assert longest < 1.5  # waiting for the issuer takes 3 s
    settle()


def test_made_up_keys_cost_a_handful_of_fetches(accepting: Issuer) -> None:
    def flood(number: int) -> set[int]:
        tokens = (
            signer().token(header=signer().header(kid=f"made-up-{number}-{index}"))
            for index in range(125)
        )
        return {get(token=token).status_code for token in tokens}

    assert at_once(8, flood) == [{401}] * 8
    assert len(accepting.requests) <= 10


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_set_token_of_somebody_else_is_a_403(algorithm: str, accepting: Issuer) -> None:
    accepting.lists(signer(algorithm))

    response = get(token=signer(algorithm).token(claims(sub="bob", user_id="alice")))

    assert response.status_code == 403


def test_no_token_is_logged(accepting: Issuer, capfd: pytest.CaptureFixture[str]) -> None:
    sent = [
        signer().token(claims(sub="bob")),
        signer().token(claims(exp=1)),
        signer("EdDSA", "made-up").token(),
        signer().token() + "A",
        token_of("bob"),
    ]
    for token in sent:
        get(token=token)
    accepting.stop()

    logged = capfd.readouterr().out
    assert logged.count("\n") >= len(sent)
    for token in sent:
        assert not any(part in logged for part in token.split("."))


# Keys without a network


@pytest.mark.django_db
def test_keys_may_be_configured_instead_of_fetched(settings: Any) -> None:
    given, other = signer("EdDSA"), signer("ES256")
    settings.BETTER_AUTH_URL = ORIGIN
    settings.BETTER_AUTH_SECRET = ""
    settings.BETTER_AUTH_JWKS = json.dumps({"keys": [given.jwk()]})

    assert get(token=given.token(claims())).status_code == 200
    assert get(token=other.token(claims())).json()["reason"] == "unknown_key"


# What is logged about refusals


def test_refusals_are_logged_immediately_and_then_counted_for_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    refusals = Refusals(clock)
    for reason in ("expired", "expired", "bad_signature", "expired"):
        refusals.count(reason)
    clock.now += 60
    refusals.count("unknown_key")

    assert caplog.messages == [
        "tokens refused: expired 1",
        "tokens refused: expired 2, bad_signature 1, unknown_key 1",
    ]


def test_a_refused_request_is_counted_and_logged_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bearer, "refusals", counted := Refusals(Clock()))
    get(token="opaque")
    get(token="opaque")

    assert counted.counts == {"not_a_jwt": 1}
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reason"] == "not_a_jwt"
