"""Access tokens that the real OAuth provider issues for our API, and the keys of Neon Auth."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from tests.better_auth.issuer import Account, Issuer
from tests.better_auth.test_end_to_end import (
    Deploy,
    Serve,
    Start,
    assert_accepted,
    claims_of,
    header_of,
    list_tasks,
    signing_with,
)
from tests.server import Answer, Server, send

pytestmark = pytest.mark.django_db(transaction=True)

RESOURCE = "https://tasks.example.com/api"
OTHER = "https://tasks.example.com/other"
METADATA = "https://tasks.example.com/.well-known/oauth-protected-resource/api"
SCOPES = ["openid", "profile", "email", "offline_access", "tasks:read", "tasks:write"]
PROVIDER: dict[str, Any] = {
    "oauth": {
        "scopes": SCOPES,
        "resources": [RESOURCE, OTHER],
        "enforcePerClientResources": False,
    }
}
ACCEPTING = {"BETTER_AUTH_RESOURCE": RESOURCE}


@pytest.fixture
def pair(deploy: Deploy) -> tuple[Issuer, Server]:
    """An issuer with the OAuth provider, and the service that is a resource of it."""
    return deploy(PROVIDER, ACCEPTING)


def access_token(person: Account, scope: str = "tasks:read tasks:write", **options: Any) -> str:
    tokens = person.authorize_client(scope=scope, **{"resource": RESOURCE, **options})
    token: str = tokens["access_token"]
    return token


def proof(url: str) -> str:
    """Of a new DPoP key, for a POST to `url` (RFC 9449, section 4.2)."""
    key = generate_private_key(SECP256R1())
    return jwt.encode(
        {"jti": uuid.uuid4().hex, "htm": "POST", "htu": url, "iat": int(time.time())},
        key,
        "ES256",
        {"typ": "dpop+jwt", "jwk": ECAlgorithm.to_jwk(key.public_key(), as_dict=True)},
    )


def assert_refused(answer: Answer, reason: str) -> None:
    """As in test_end_to_end.py, with the address of the metadata."""
    body = answer.json()
    assert (answer.status, body["error_code"], body["reason"]) == (401, "AUTH_INVALID", reason)
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="{reason}: {body["detail"]}", '
        f'resource_metadata="{METADATA}"'
    )


@pytest.mark.parametrize(
    ("variant", "algorithm"),
    [
        pytest.param({}, "EdDSA", id="EdDSA"),
        pytest.param(signing_with("ES256"), "ES256", id="ES256"),
        pytest.param(signing_with("PS256"), "PS256", id="PS256"),
        pytest.param(
            {"jwt": {"jwt": {"issuer": "http://127.0.0.1:PORT"}}}, "EdDSA", id="issuer_of_sessions"
        ),
        pytest.param({"base": "http://127.0.0.1:PORT/login"}, "EdDSA", id="base_with_a_path"),
    ],
)
def test_access_token_opens_the_tasks_of_its_user(
    deploy: Deploy, variant: dict[str, Any], algorithm: str
) -> None:
    issuer, server = deploy({**PROVIDER, **variant}, ACCEPTING)
    person, stranger = issuer.sign_up(), issuer.sign_up()
    token = access_token(person)
    assert header_of(token) == {"alg": algorithm, "kid": header_of(token)["kid"], "typ": "at+jwt"}

    created = server.request(
        "POST", f"/api/{person.user_id}/tasks", {"title": "Buy milk"}, token=token
    )

    assert created.status == 201
    assert list_tasks(server, person, token).json()["count"] == 1
    assert list_tasks(server, stranger, token).status == 403
    assert_accepted(server, stranger, stranger.token())


def test_what_the_provider_writes_is_what_the_rules_are_for(pair: tuple[Issuer, Server]) -> None:
    issuer, _ = pair
    person = issuer.sign_up()
    client = person.register_client()

    claims = claims_of(access_token(person, client=client))

    assert claims.keys() == {
        "aud", "azp", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub",
    }  # fmt: skip
    assert claims["iss"] == f"{issuer.base}/api/auth"
    assert claims["aud"] == [RESOURCE, f"{issuer.base}/api/auth/oauth2/userinfo"]
    assert claims["sub"] == person.user_id
    assert claims["azp"] == claims["client_id"] == client["client_id"]
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize(
    ("scope", "reads", "writes"),
    [("tasks:read", 200, 403), ("tasks:write", 403, 201), ("", 403, 403)],
)
def test_scopes_decide_what_a_client_may_do(
    pair: tuple[Issuer, Server], scope: str, reads: int, writes: int
) -> None:
    issuer, server = pair
    person = issuer.sign_up()
    token = access_token(person, scope)
    path = f"/api/{person.user_id}/tasks"

    answers = {
        "tasks:read": server.request("GET", path, token=token),
        "tasks:write": server.request("POST", path, {"title": "Buy milk"}, token=token),
    }

    assert [answer.status for answer in answers.values()] == [reads, writes]
    for needed, answer in answers.items():
        if answer.status == 403:
            assert answer.json()["error_code"] == "AUTH_FORBIDDEN"
            assert answer.headers["WWW-Authenticate"] == (
                f'Bearer error="insufficient_scope", scope="{needed}", '
                f'resource_metadata="{METADATA}"'
            )


def clients_own_token(person: Account) -> str:
    client = person.register_client(
        token_endpoint_auth_method="client_secret_post",
        application_type="web",
        redirect_uris=["https://client.example.com/callback"],
        grant_types=["client_credentials"],
        client_credentials_scopes=["tasks:read", "tasks:write"],
    )
    exchange = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "resource": RESOURCE,
    }
    token: str = person.issuer.grant(exchange)["access_token"]
    assert claims_of(token)["sub"] == client["client_id"]
    return token


def bound_token(person: Account) -> str:
    token = access_token(person, proof=proof(f"{person.issuer.api}/oauth2/token"))
    assert claims_of(token)["cnf"].keys() == {"jkt"}
    return token


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        pytest.param(clients_own_token, "client_token", id="client credentials"),
        pytest.param(bound_token, "bound_token", id="bound by DPoP"),
        pytest.param(
            lambda person: access_token(person, resource=OTHER),
            "wrong_audience",
            id="another resource",
        ),
        pytest.param(
            lambda person: person.authorize_client(resource=RESOURCE)["id_token"],
            "id_token",
            id="ID token",
        ),
        pytest.param(
            lambda person: person.authorize_client(resource=RESOURCE)["refresh_token"],
            "not_a_jwt",
            id="refresh token",
        ),
        pytest.param(
            lambda person: person.authorize_client()["access_token"],
            "not_a_jwt",
            id="opaque access token",
        ),
        pytest.param(
            lambda person: person.issuer.sign(
                {"sub": person.user_id, "aud": RESOURCE}, {"typ": "logout+jwt"}
            ),
            "logout_token",
            id="logout token",
        ),
    ],
)
def test_other_tokens_of_the_provider_are_refused(
    pair: tuple[Issuer, Server], credential: Callable[[Account], str], reason: str
) -> None:
    issuer, server = pair
    person = issuer.sign_up()
    sent = credential(person)

    assert_refused(list_tasks(server, person, sent), reason)
    assert sent not in server.log.read_text()


def test_a_client_called_like_a_user_does_not_open_their_tasks(
    pair: tuple[Issuer, Server],
) -> None:
    """The provider's own signature on a token of a client whose id is the user's."""
    issuer, server = pair
    victim = issuer.sign_up()
    claims = claims_of(access_token(victim))
    forged = issuer.sign(
        {**claims, "client_id": victim.user_id, "azp": victim.user_id}, {"typ": "at+jwt"}
    )

    assert_refused(list_tasks(server, victim, forged), "client_token")


def test_clients_find_their_way_from_a_401_to_a_token(pair: tuple[Issuer, Server]) -> None:
    """RFC 9728, section 5: challenge, metadata, authorization server, token."""
    issuer, server = pair
    person = issuer.sign_up()
    path = f"/api/{person.user_id}/tasks"

    challenge = server.request("GET", path).headers["WWW-Authenticate"]
    assert challenge == f'Bearer resource_metadata="{METADATA}"'
    address = METADATA.removeprefix("https://tasks.example.com")
    metadata = send("GET", server.url + address, headers={"Host": "localhost"}).json()
    (authorization_server,) = metadata["authorization_servers"]
    described = send("GET", f"{issuer.url}/api/auth/.well-known/oauth-authorization-server")
    assert (
        described.json()["issuer"] == authorization_server == claims_of(access_token(person))["iss"]
    )
    assert set(metadata["scopes_supported"]) <= set(described.json()["scopes_supported"])

    token = access_token(
        person, " ".join(metadata["scopes_supported"]), resource=metadata["resource"]
    )
    assert_accepted(server, person, token)


def test_metadata_do_not_reflect_a_hostile_host(pair: tuple[Issuer, Server]) -> None:
    _, server = pair
    for path in ("/.well-known/oauth-protected-resource", "/api/alice/tasks"):
        answer = send("GET", server.url + path, headers={"Host": "evil.example"})
        assert "evil" not in answer.body.decode() + str(answer.headers)


# Neon Auth

NEON = {
    "base": "http://127.0.0.1:PORT/neondb/auth",
    "jwt": {"jwks": {"jwksPath": "/.well-known/jwks.json"}},
    "payload": "neon",
}
"""The addresses and claims of Neon Auth, from its documentation. Not tried: Neon itself."""


@pytest.mark.parametrize("name", ["BETTER_AUTH_URL", "NEON_AUTH_BASE_URL"])
def test_neon_auth_needs_one_variable(start_issuer: Start, serve: Serve, name: str) -> None:
    issuer = start_issuer(**NEON)
    server = serve(**{name: issuer.base})
    person = issuer.sign_up()
    token = person.token()
    assert send("GET", f"{issuer.base}/jwks").status == 404
    claims = claims_of(token)
    assert (claims["iss"], claims["aud"]) == (issuer.url, issuer.url)
    assert (claims["role"], claims["banned"]) == ("authenticated", False)

    assert_accepted(server, person, token)
    assert server.request("GET", "/health/ready").status == 200


def test_issuer_may_be_a_name(deploy: Deploy) -> None:
    issuer, server = deploy(
        {"jwt": {"jwt": {"issuer": "my-app", "audience": "urn:example:tasks"}}},
        {"BETTER_AUTH_ISSUER": "my-app", "BETTER_AUTH_AUDIENCE": "urn:example:tasks"},
    )
    person = issuer.sign_up()

    assert_accepted(server, person, person.token())


def test_the_log_says_which_issuer_the_token_has(deploy: Deploy) -> None:
    issuer, server = deploy({"base": "http://localhost:PORT"}, {
        "BETTER_AUTH_URL": "http://127.0.0.1:PORT",
    })  # fmt: skip
    person = issuer.sign_up()

    answer = list_tasks(server, person, person.token())

    assert answer.json()["detail"] == (
        f"The token comes from another issuer than http://127.0.0.1:{issuer.port}."
    )
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line[:1] == "{"]
    (line,) = [line for line in lines if line.get("reason") == "wrong_issuer"]
    assert line["issuer"] == f'"http://localhost:{issuer.port}"'
    assert line["expected"] == f"http://127.0.0.1:{issuer.port}"
    assert line["user_id"] == person.user_id
