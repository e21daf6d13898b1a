"""The deployed service and the real Better Auth, used over HTTP as frontends do."""

import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.better_auth.issuer import SECRET, Account, Issuer
from tests.server import Answer, Server, send

pytestmark = pytest.mark.django_db(transaction=True)

Deploy = Callable[..., tuple[Issuer, Server]]
Start = Callable[..., Issuer]
Serve = Callable[..., Server]

HOUR = 3600
DEADLINE = 20.0


def header_of(token: str) -> dict[str, Any]:
    return segment(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    return segment(token, 1)


def segment(token: str, index: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[index] + "=="))
    return found


def list_tasks(server: Server, account: Account, token: str) -> Answer:
    return server.request("GET", f"/api/{account.user_id}/tasks", token=token)


def assert_accepted(server: Server, account: Account, token: str) -> None:
    answer = list_tasks(server, account, token)
    assert (answer.status, answer.body) == (200, b'{"tasks":[],"count":0,"next_cursor":null}')


def assert_refused(answer: Answer, reason: str) -> None:
    """401 with the reason in body and header (RFC 6750, section 3)."""
    assert answer.status == 401, answer.body
    body = answer.json()
    assert (body["error_code"], body["reason"]) == ("AUTH_INVALID", reason)
    challenge = f'Bearer error="invalid_token", error_description="{reason}: {body["detail"]}"'
    assert answer.headers["WWW-Authenticate"] == challenge


def with_key_id(token: str, key_id: str) -> str:
    header = json.dumps({**header_of(token), "kid": key_id}).encode()
    _, rest = token.split(".", 1)
    return f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{rest}"


def signing_with(algorithm: str) -> dict[str, Any]:
    return {"jwt": {"jwks": {"keyPairConfig": {"alg": algorithm}}}}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Accepted tokens


@pytest.mark.parametrize(
    ("variant", "algorithm"),
    [
        pytest.param({}, "EdDSA", id="default"),
        pytest.param(signing_with("ES256"), "ES256", id="ES256"),
        pytest.param(signing_with("ES512"), "ES512", id="ES512"),
        pytest.param(signing_with("PS256"), "PS256", id="PS256"),
        pytest.param(signing_with("RS256"), "RS256", id="RS256"),
    ],
)
def test_token_of_every_algorithm_opens_all_endpoints(
    deploy: Deploy, variant: dict[str, Any], algorithm: str
) -> None:
    issuer, server = deploy(variant)
    person = issuer.sign_up()
    token = person.token()
    tasks = f"/api/{person.user_id}/tasks"
    assert header_of(token) == {"alg": algorithm, "kid": header_of(token)["kid"]}

    def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = server.request(method, path, body, token=token)
        return answer.status, answer.json() if answer.body else None

    status, task = call("POST", tasks, {"title": "Buy milk"})
    assert (status, task["user_id"], task["title"]) == (201, person.user_id, "Buy milk")
    one = f"{tasks}/{task['id']}"
    assert call("GET", tasks) == (200, {"tasks": [task], "count": 1, "next_cursor": None})
    assert call("GET", one) == (200, task)
    status, replaced = call("PUT", one, {"title": "Buy bread", "complete": True})
    assert (status, replaced["title"], replaced["complete"]) == (200, "Buy bread", True)
    status, changed = call("PATCH", one, {"complete": False})
    assert (status, changed["title"], changed["complete"]) == (200, "Buy bread", False)
    assert call("DELETE", one) == (204, None)
    status, gone = call("GET", one)
    assert (status, gone["error_code"]) == (404, "NOT_FOUND")


def test_header_set_auth_jwt_of_the_session_has_a_valid_token(deploy: Deploy) -> None:
    issuer, server = deploy()
    person = issuer.sign_up()

    token = person.session().headers["set-auth-jwt"]

    assert claims_of(token).keys() == claims_of(person.token()).keys()
    assert_accepted(server, person, token)


@pytest.mark.parametrize(
    ("variant", "environment"),
    [
        pytest.param({"payload": "with_user_id"}, {}, id="a payload with user_id"),
        pytest.param({"payload": "without_user_id"}, {}, id="a payload without user_id"),
        pytest.param({"generateId": "uuid"}, {}, id="UUIDs for ids"),
        pytest.param({"generateId": "serial"}, {}, id="numbers for ids"),
        pytest.param(
            {"jwt": {"jwt": {"audience": ["https://tasks.example.com", "https://b.example.com"]}}},
            {"BETTER_AUTH_AUDIENCE": "https://a.example.com, https://tasks.example.com"},
            id="a list of audiences",
        ),
        pytest.param(
            {"jwt": {"jwt": {"issuer": "https://accounts.example.com"}}},
            {"BETTER_AUTH_ISSUER": "https://accounts.example.com"},
            id="another issuer",
        ),
        pytest.param({"base": "http://127.0.0.1:PORT/"}, {}, id="a slash at the end"),
        pytest.param({"base": "http://127.0.0.1:PORT/shop/auth"}, {}, id="a path"),
        pytest.param({"base": "http://127.0.0.1:PORT/shop/auth/"}, {}, id="a path and a slash"),
        pytest.param({"base": "http://LOCALHOST:PORT"}, {}, id="a host in upper case"),
        pytest.param(
            {"basePath": "/accounts"},
            {"BETTER_AUTH_URL": "http://127.0.0.1:PORT/accounts"},
            id="another base path",
        ),
        pytest.param(
            {"base": "https://app.example.com"},
            {"BETTER_AUTH_JWKS_URL": "http://127.0.0.1:PORT/api/auth/jwks"},
            id="a public URL that the service does not reach",
        ),
    ],
)
def test_token_of_an_issuer_is_accepted_with(
    deploy: Deploy, variant: dict[str, Any], environment: dict[str, str]
) -> None:
    issuer, server = deploy(variant, environment)
    person = issuer.sign_up()

    assert_accepted(server, person, person.token())


def test_token_with_a_picture_of_several_kilobytes_is_accepted(deploy: Deploy) -> None:
    issuer, server = deploy()
    person = issuer.sign_up(image=f"data:image/png;base64,{'A' * 5000}")
    token = person.token()

    assert len(token) > 6500
    assert_accepted(server, person, token)


def test_profile_field_called_user_id_does_not_open_another_path(deploy: Deploy) -> None:
    issuer, server = deploy({"fields": {"user_id": {"type": "string"}}})
    victim = issuer.sign_up()
    impostor = issuer.sign_up(user_id=victim.user_id)
    token = impostor.token()
    assert claims_of(token)["user_id"] == victim.user_id

    answer = list_tasks(server, victim, token)

    assert (answer.status, answer.json()["error_code"]) == (403, "AUTH_FORBIDDEN")
    assert_accepted(server, impostor, token)


# Refused tokens

CACHE = {"enabled": True}
ORIGIN = "http://127.0.0.1:PORT"
OAUTH = {
    "oauth": {"resources": [ORIGIN], "enforcePerClientResources": False},
    "jwt": {"jwt": {"issuer": ORIGIN}},
}
"""The riskiest settings: the provider's tokens have our issuer, and may have our audience."""


def logout_token(account: Account) -> str:
    """Like those of the plugin's `signLogoutToken`, which requires https to deliver one."""
    now = int(time.time())
    return account.issuer.sign(
        {
            "aud": "client",
            "sub": account.user_id,
            "sid": "session",
            "iat": now,
            "exp": now + 120,
            "jti": "once",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        },
        {"typ": "logout+jwt"},
    )


def logout_token_for_us(account: Account) -> str:
    """It differs from a good token only in its type."""
    return account.issuer.sign({"sub": account.user_id}, {"typ": "logout+jwt"})


@pytest.mark.parametrize(
    ("variant", "environment", "credential", "reason"),
    [
        pytest.param(
            {},
            {},
            lambda person: person.session().json()["session"]["token"],
            "not_a_jwt",
            id="session token",
        ),
        pytest.param(
            {}, {}, lambda person: person.cookie("session_token"), "not_a_jwt", id="session cookie"
        ),
        pytest.param(
            {"cookieCache": CACHE},
            {},
            lambda person: person.cookie("session_data"),
            "not_a_jwt",
            id="cookie cache",
        ),
        pytest.param(
            {"cookieCache": CACHE | {"strategy": "jwe"}},
            {},
            lambda person: person.cookie("session_data"),
            "not_a_jwt",
            id="cookie cache as JWE",
        ),
        pytest.param(
            {"cookieCache": CACHE | {"strategy": "jwt"}},
            {},
            lambda person: person.cookie("session_data"),
            "algorithm_not_allowed",
            id="cookie cache as JWT",
        ),
        pytest.param(
            {"cookieCache": CACHE | {"strategy": "jwt"}},
            {"BETTER_AUTH_SECRET": SECRET},
            lambda person: person.cookie("session_data"),
            "no_subject",
            id="cookie cache as JWT, the secret known",
        ),
        pytest.param(
            {"cookieCache": CACHE | {"strategy": "jwt"}, "jwt": {"sessionCookieCache": True}},
            {},
            lambda person: person.cookie("session_data"),
            "wrong_type",
            id="cookie cache signed by the key set",
        ),
        pytest.param(
            OAUTH,
            {},
            lambda person: person.authorize_client()["id_token"],
            "id_token",
            id="ID token",
        ),
        pytest.param(
            {"oauth": {}},
            {},
            lambda person: person.authorize_client()["id_token"],
            "id_token",
            id="ID token of the default issuer",
        ),
        pytest.param(
            OAUTH,
            {},
            lambda person: person.authorize_client(resource=person.issuer.base)["access_token"],
            "wrong_type",
            id="access token for us",
        ),
        pytest.param(
            OAUTH,
            {},
            lambda person: person.authorize_client()["access_token"],
            "not_a_jwt",
            id="opaque access token",
        ),
        pytest.param(
            OAUTH,
            {},
            lambda person: person.authorize_client()["refresh_token"],
            "not_a_jwt",
            id="refresh token",
        ),
        pytest.param({}, {}, logout_token, "logout_token", id="logout token"),
        pytest.param({}, {}, logout_token_for_us, "logout_token", id="logout token for us"),
        pytest.param(
            {"jwt": {"jwt": {"issuer": "https://b.example.com"}}},
            {},
            Account.token,
            "wrong_issuer",
            id="token of another issuer with the same keys",
        ),
        pytest.param(
            {"jwt": {"jwt": {"audience": ["https://a.example.com", "https://b.example.com"]}}},
            {},
            Account.token,
            "wrong_audience",
            id="token for other audiences",
        ),
        pytest.param(
            {"jwt": {"jwt": {"expirationTime": "-31s"}}},
            {},
            Account.token,
            "expired",
            id="token that expired before the leeway",
        ),
        pytest.param(
            {},
            {},
            lambda person: person.issuer.sign({"name": "Nobody"}),
            "no_subject",
            id="token of nobody",
        ),
    ],
)
def test_other_credentials_of_the_issuer_are_refused(
    deploy: Deploy,
    variant: dict[str, Any],
    environment: dict[str, str],
    credential: Callable[[Account], str],
    reason: str,
) -> None:
    issuer, server = deploy(variant, environment)
    person = issuer.sign_up()
    sent = credential(person)

    assert_refused(list_tasks(server, person, sent), reason)
    assert sent not in server.log.read_text()
    if reason not in ("expired", "wrong_issuer", "wrong_audience"):
        assert_accepted(server, person, person.token())


def test_session_cookie_without_token_is_refused(deploy: Deploy) -> None:
    issuer, server = deploy()
    person = issuer.sign_up()
    cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())

    answer = server.request("GET", f"/api/{person.user_id}/tasks", headers={"Cookie": cookies})

    assert (answer.status, answer.json()["error_code"]) == (401, "AUTH_MISSING")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_token_within_the_leeway_is_accepted(deploy: Deploy) -> None:
    issuer, server = deploy({"jwt": {"jwt": {"expirationTime": "-10s"}}})
    person = issuer.sign_up()

    assert_accepted(server, person, person.token())


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        pytest.param({}, "unknown_key", id="whose key has another id"),
        pytest.param({"generateId": "serial"}, "bad_signature", id="whose key has the same id"),
    ],
)
def test_token_of_a_second_issuer_is_refused(
    deploy: Deploy, start_issuer: Start, variant: dict[str, Any], reason: str
) -> None:
    ours, server = deploy(variant)
    theirs = start_issuer(**variant)
    person, stranger = ours.sign_up(), theirs.sign_up()
    assert_accepted(server, person, person.token())

    assert_refused(list_tasks(server, stranger, stranger.token()), reason)


# Keys that change


def test_rotation_under_load_refuses_no_request(start_issuer: Start, serve: Serve) -> None:
    issuer = start_issuer(jwt={"jwks": {"rotationInterval": HOUR}})
    server = serve(BETTER_AUTH_URL=issuer.base)
    people = [issuer.sign_up() for _ in range(3)]
    first = people[0].token()
    answers: list[tuple[str, int]] = []
    over = threading.Event()

    def frontend(person: Account) -> None:
        while not over.is_set():
            token = person.token()
            answers.append((header_of(token)["kid"], list_tasks(server, person, token).status))

    def kids() -> set[str]:
        return {kid for kid, _ in answers}

    def rotate() -> None:
        known = kids()
        issuer.age_keys(HOUR)
        wait_for(lambda: kids() > known)
        enough = len(answers) + 20
        wait_for(lambda: len(answers) >= enough)

    frontends = [threading.Thread(target=frontend, args=[person]) for person in people]
    for thread in frontends:
        thread.start()
    try:
        wait_for(lambda: len(answers) >= 20)
        rotate()
        rotate()
    finally:
        over.set()
        for thread in frontends:
            thread.join()

    assert {status for _, status in answers} == {200}
    # If frontends ask at the same time, Better Auth makes a key for each of them.
    assert len(kids()) >= 3
    listed = {key["kid"] for key in send("GET", f"{issuer.api}/jwks").json()["keys"]}
    assert kids() <= listed
    assert_accepted(server, people[0], first)


def test_token_is_refused_once_its_key_is_no_longer_listed(
    start_issuer: Start, serve: Serve
) -> None:
    issuer = start_issuer(jwt={"jwks": {"rotationInterval": HOUR, "gracePeriod": HOUR}})
    server = serve(BETTER_AUTH_URL=issuer.base)
    person = issuer.sign_up()
    tokens = [person.token()]
    for _ in range(2):
        assert_accepted(server, person, tokens[-1])
        issuer.age_keys(HOUR)
        tokens.append(person.token())
    withdrawn, in_grace, newest = tokens
    assert len({header_of(token)["kid"] for token in tokens}) == 3

    # The newest key is unknown, so the service fetches the set, which no longer has the first key.
    assert_accepted(server, person, newest)

    assert_accepted(server, person, in_grace)
    assert_refused(list_tasks(server, person, withdrawn), "unknown_key")


def test_localhost_and_127_0_0_1_are_different_issuers(start_issuer: Start, serve: Serve) -> None:
    """Better Auth and the service have the two spellings of one address."""
    issuer = start_issuer(base="http://localhost:PORT")
    accepted = f"http://127.0.0.1:{issuer.port}"
    server = serve(BETTER_AUTH_URL=accepted)
    person = issuer.sign_up()

    answer = list_tasks(server, person, person.token())

    assert_refused(answer, "wrong_issuer")
    assert answer.json()["detail"] == f"The token comes from another issuer than {accepted}."
    line = json.loads(server.log.read_text().splitlines()[-1])
    assert (line["issuer"], line["expected"]) == (f'"http://localhost:{issuer.port}"', accepted)


# Issuers that come and go


def test_known_keys_work_while_the_issuer_is_down(
    start_issuer: Start, serve: Serve, tmp_path: Path
) -> None:
    issuer = start_issuer(state=str(tmp_path / "issuer"), jwt={"jwks": {"rotationInterval": HOUR}})
    server = serve(BETTER_AUTH_URL=issuer.base)
    alice, bob = issuer.sign_up(), issuer.sign_up()
    known, unseen = alice.token(), bob.token()
    assert_accepted(server, alice, known)

    issuer.stop()

    # An unknown key makes the service fetch the key set, which fails.
    answer = list_tasks(server, alice, with_key_id(known, "nobody"))
    assert (answer.status, answer.json()["error_code"]) == (503, "AUTH_UNAVAILABLE")
    assert_accepted(server, alice, known)
    assert_accepted(server, bob, unseen)

    issuer.start()

    # The keys are back with the data. A new one is fetched once the back-off is over.
    issuer.age_keys(HOUR)
    new = alice.token()
    assert header_of(new)["kid"] != header_of(known)["kid"]
    wait_for(lambda: list_tasks(server, alice, new).status != 503)
    assert_accepted(server, alice, new)
    assert_accepted(server, alice, known)


def test_service_started_before_its_issuer_answers_503_and_recovers(
    start_issuer: Start, serve: Serve, tmp_path: Path
) -> None:
    issuer = start_issuer(state=str(tmp_path / "issuer"))
    person = issuer.sign_up()
    token = person.token()
    issuer.stop()

    server = serve(BETTER_AUTH_URL=issuer.base)

    for _ in range(3):
        answer = list_tasks(server, person, token)
        assert (answer.status, answer.json()["error_code"]) == (503, "AUTH_UNAVAILABLE")
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert server.request("GET", "/health").status == 200
    assert server.request("GET", "/health/ready").status == 503

    issuer.start()

    wait_for(lambda: list_tasks(server, person, token).status != 503)
    assert_accepted(server, person, token)
    assert server.request("GET", "/health/ready").status == 200


def test_new_keys_of_an_issuer_that_lost_its_data_are_accepted(
    start_issuer: Start, serve: Serve
) -> None:
    issuer = start_issuer()
    server = serve(BETTER_AUTH_URL=issuer.base)
    before = issuer.sign_up()
    old = before.token()
    assert_accepted(server, before, old)

    issuer.stop()
    issuer.start()

    after = issuer.sign_up()
    assert_accepted(server, after, after.token())
    assert_refused(list_tasks(server, before, old), "unknown_key")
