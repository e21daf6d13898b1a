"""Access tokens of an OAuth provider (RFC 9068), their scopes, and the metadata of the resource."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from authjwt import conf, tokens
from authjwt.claims import Accepted
from authjwt.exceptions import InvalidToken, Reason
from authjwt.keys import KeyRing
from authjwt.tokens import Verifier
from tests.authjwt.conftest import ALGORITHMS, ORIGIN, Clock, claims, document, signer
from tests.authjwt.test_tokens import hs256_token, lenient, values

RESOURCE = "https://tasks.example.com/api"
BASE = f"{ORIGIN}/api/auth"
METADATA = "/.well-known/oauth-protected-resource"
METADATA_URL = f"https://tasks.example.com{METADATA}/api"
TASKS = "/api/alice/tasks"
BODY = {"title": "Buy milk"}

Token = Callable[[], str]


@pytest.fixture
def api(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the project, which accepts access tokens for RESOURCE."""
    keys = [signer(algorithm) for algorithm in ALGORITHMS]
    ring = KeyRing(f"{BASE}/jwks", fetch=lambda _: document(*keys), clock=Clock())
    monkeypatch.setattr("authjwt.bearer.KeyRing", lambda *_: ring)
    settings.BETTER_AUTH_URL = ORIGIN
    settings.BETTER_AUTH_RESOURCE = RESOURCE
    return Client()


def access_claims(**changes: Any) -> dict[str, Any]:
    """What Better Auth's oauth-provider signs for alice; the value `...` leaves a claim out."""
    whole = {
        **claims(exp=int(time.time()) + 3600, iss=BASE, aud=RESOURCE),
        "client_id": "NFKmXZzJhQRTnXxYmFIVoEYYRqXqvOBs",
        "azp": "NFKmXZzJhQRTnXxYmFIVoEYYRqXqvOBs",
        "scope": "tasks:read tasks:write",
        "sid": "2lJ5YkW0sT7xQ9cM",
        "jti": "XyG2mZ4qLs8rT1vB",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def access_token(algorithm: str = "EdDSA", typ: Any = "at+jwt", **changes: Any) -> str:
    key = signer(algorithm)
    return key.token(access_claims(**changes), key.header(typ=typ))


def lazily(**changes: Any) -> Token:
    return lambda: access_token(**changes)


def get(api: Client, token: str, path: str = TASKS) -> Any:
    return api.get(path, headers={"Authorization": f"Bearer {token}"})


# Accepted


@pytest.mark.django_db
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_access_token_opens_the_tasks_of_its_user(algorithm: str, api: Client) -> None:
    assert get(api, access_token(algorithm)).status_code == 200
    assert get(api, access_token(algorithm), "/api/bob/tasks").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    "typ", ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"]
)
def test_the_type_is_a_media_type_in_any_case(typ: str, api: Client) -> None:
    assert get(api, access_token(typ=typ)).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": ORIGIN}, id="issuer_is_the_origin"),
        pytest.param({"iss": f"{BASE}/"}, id="issuer_with_a_slash"),
        pytest.param({"aud": [RESOURCE, f"{BASE}/oauth2/userinfo"]}, id="two_audiences"),
        pytest.param({"aud": f"{RESOURCE}/"}, id="resource_with_a_slash"),
        pytest.param({"azp": ..., "sid": ...}, id="only_what_rfc_9068_requires"),
        pytest.param({"at_hash": "MTIz", "nonce": "n"}, id="extra_claims"),
        pytest.param({"scope": " tasks:read  other "}, id="blanks_around_scopes"),
    ],
)
def test_what_rfc_9068_allows_is_accepted(changes: dict[str, Any], api: Client) -> None:
    assert get(api, access_token(**changes)).status_code == 200


@pytest.mark.django_db
def test_issuer_and_audience_may_be_names(api: Client, settings: Any) -> None:
    settings.BETTER_AUTH_ISSUER = "my-app"

    assert get(api, access_token(iss="my-app")).status_code == 200
    assert get(api, access_token(iss="my-app/")).json()["reason"] == "wrong_issuer"
    assert get(api, signer().token(claims(iss="my-app"))).status_code == 200


@pytest.mark.django_db
def test_behind_an_internal_address_the_issuer_implies_the_base_url(
    api: Client, settings: Any
) -> None:
    settings.BETTER_AUTH_URL = "http://frontend:3000"
    settings.BETTER_AUTH_ISSUER = ORIGIN

    assert get(api, access_token(iss=BASE)).status_code == 200
    assert get(api, access_token(iss="http://frontend:3000/api/auth")).status_code == 401


@pytest.mark.django_db
def test_other_tokens_are_accepted_as_before(api: Client) -> None:
    assert get(api, signer().token()).status_code == 200
    assert get(api, hs256_token()).status_code == 200


# Refused: a name, the reason, the token

REFUSED: dict[str, tuple[Reason, Token]] = {
    # One set of rules, wholly
    "session_rules_with_type": ("malformed", lambda: signer().token(
        claims(), signer().header(typ="at+jwt"))),
    "audience_of_a_session": ("wrong_audience", lambda: access_token(aud=ORIGIN)),
    "access_claims_without_type": ("wrong_type", lambda: access_token(typ=...)),
    "access_claims_of_the_origin_without_type": ("wrong_type", lambda: access_token(
        typ=..., iss=ORIGIN)),
    "access_claims_with_type_jwt": ("wrong_type", lambda: access_token(
        typ="JWT", iss=ORIGIN)),
    "session_with_issuer_of_access_tokens": ("wrong_issuer", lambda: signer().token(
        claims(iss=BASE))),
    "session_with_resource": ("wrong_audience", lambda: signer().token(claims(aud=RESOURCE))),
    "shared_secret": ("algorithm_not_allowed", lambda: hs256_token(
        access_claims(), {"alg": "HS256", "typ": "at+jwt"})),
    "user_id_beside_sub": ("no_subject", lambda: access_token(sub=..., user_id="alice")),
    # typ
    **{
        f"typ_{name}": ("wrong_type", lazily(typ=typ))
        for name, typ in {
            "blank_behind": "at+jwt ", "blank_before": " at+jwt", "blank_inside": "at +jwt",
            "parameter": "application/at+jwt; charset=utf-8", "another_tree": "text/at+jwt",
            "list": ["at+jwt"], "alone": "at", "prefix": "xat+jwt", "two": "at+jwt,at+jwt",
            "fullwidth": "\uff41t+jwt", "twice": "application/application/at+jwt",
            "dpop": "dpop+jwt",
        }.items()
    },
    "logout_token": ("logout_token", lambda: access_token(typ="logout+jwt")),
    # Another resource
    **{
        f"aud_{name}": ("wrong_audience", lazily(aud=aud))
        for name, aud in {
            "another": "https://tasks.example.com/other", "origin": "https://tasks.example.com",
            "below": f"{RESOURCE}/alice", "prefix": RESOURCE[:-1], "upper_case": RESOURCE.upper(),
            "http": "http://tasks.example.com/api", "port": "https://tasks.example.com:443/api",
            "user": "https://tasks.example.com@evil.example/api", "query": f"{RESOURCE}?a",
            "missing": ..., "null": None, "empty": "", "number": 1, "empty_list": [],
            "list_with_a_number": [RESOURCE, 1], "object": {RESOURCE: True},
            "userinfo": f"{BASE}/oauth2/userinfo", "between_blanks": f"{RESOURCE} {ORIGIN}",
        }.items()
    },
    **{
        f"iss_{name}": ("wrong_issuer", lazily(iss=iss))
        for name, iss in {
            "another": "https://evil.example/api/auth", "missing": ..., "null": None,
            "other_path": f"{ORIGIN}/auth", "below": f"{BASE}/more", "list": [BASE],
            "upper_case": BASE.upper(), "resource": RESOURCE,
        }.items()
    },
    # RFC 9068, 2.2: what every access token has
    **{
        f"{name}_{kind}": ("malformed", lazily(**{name: value}))
        for name in ("client_id", "jti", "iat", "exp")
        for kind, value in {"missing": ..., "null": None, "list": ["a"], "empty": ""}.items()
    },
    "expired": ("expired", lambda: access_token(exp=int(time.time()) - 31)),
    "not_yet_valid": ("not_yet_valid", lambda: access_token(iat=int(time.time()) + 60)),
    "sub_missing": ("no_subject", lambda: access_token(sub=...)),
    "sub_number": ("no_subject", lambda: access_token(sub=7)),
    # A client's own token, whoever has that name
    "client": ("client_token", lambda: access_token(
        sub="NFKmXZzJhQRTnXxYmFIVoEYYRqXqvOBs", sid=...)),
    "client_called_like_a_user": ("client_token", lambda: access_token(
        client_id="alice", azp="alice", sid=...)),
    "user_called_like_the_client": ("client_token", lambda: access_token(
        client_id="alice", azp="alice")),
    "user_called_like_azp": ("client_token", lambda: access_token(azp="alice")),
    # Bound to a key
    "dpop": ("bound_token", lambda: access_token(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2H"})),
    "mtls": ("bound_token", lambda: access_token(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o"})),
    "cnf_empty": ("bound_token", lambda: access_token(cnf={})),
    "cnf_null": ("bound_token", lambda: access_token(cnf=None)),
    # ID tokens
    "id_token_for_the_resource": ("id_token", lambda: signer().token(
        claims(iss=BASE, aud=RESOURCE, at_hash="MTIz", nonce="n", acr="0"))),
    "id_token_without_hash_for_the_resource": ("wrong_audience", lambda: signer().token(
        claims(aud=RESOURCE, nonce="n", acr="0"))),
    # As Better Auth 1.4 to 1.6 made them: without a type
    "untyped": ("wrong_type", lambda: signer().token(
        claims(azp="client", scope="tasks:read", sid="s"))),
    # Header
    "own_key": ("malformed", lambda: signer().token(
        access_claims(), signer().header(typ="at+jwt", jwk=signer().jwk()))),
    "no_key_id": ("malformed", lambda: signer().token(
        access_claims(), signer().header(typ="at+jwt", kid=...))),
    "another_key": ("unknown_key", lambda: signer("EdDSA", "stranger").token(
        access_claims(), signer("EdDSA", "stranger").header(typ="at+jwt"))),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "token"), REFUSED.values(), ids=REFUSED)
def test_a_bad_access_token_is_refused(reason: Reason, token: Token, api: Client) -> None:
    response = get(api, token())

    body = response.json()
    assert (response.status_code, body["error_code"]) == (401, "AUTH_INVALID")
    assert body["reason"] == reason
    assert response["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="{reason}: {body["detail"]}", '
        f'resource_metadata="{METADATA_URL}"'
    )


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("client", ("The token belongs to a client, not to a user: its sub is its client_id. "
         "Let a user sign in (authorization code flow).")),
        ("dpop", ("The token is bound to a key (cnf), so it is no bearer token. "
         "Request an access token without DPoP.")),
        ("logout_token", ("This is a logout token, which ends sessions and opens nothing. "
         "Fetch a JWT from /api/auth/token and send that.")),
        ("shared_secret", "An access token must be signed by a key of the issuer."),
        ("jti_missing", "An access token needs a string in jti."),
        ("aud_another", f"The token is for another audience than {RESOURCE}."),
    ],
)  # fmt: skip
def test_the_refusal_of_an_access_token_says_why(name: str, detail: str, api: Client) -> None:
    assert get(api, REFUSED[name][1]()).json()["detail"] == detail


def test_without_a_resource_access_tokens_are_refused(api: Client, settings: Any) -> None:
    settings.BETTER_AUTH_RESOURCE = ""

    for token in (access_token(), access_token(aud=ORIGIN, iss=ORIGIN), access_token(aud="")):
        response = get(api, token)
        assert response.status_code == 401
        assert response.json()["reason"] == "wrong_type"
        assert "resource_metadata" not in response["WWW-Authenticate"]


def test_a_dpop_header_is_no_bearer_token(api: Client) -> None:
    response = api.get(TASKS, headers={"Authorization": f"DPoP {access_token()}"})

    assert response.json()["error_code"] == "AUTH_MISSING"


@lenient
@given(
    typ=st.sampled_from(["at+jwt", "application/at+jwt", "JWT", "logout+jwt", ...]),
    changes=st.dictionaries(
        st.sampled_from(
            [
                "sub",
                "client_id",
                "azp",
                "scope",
                "cnf",
                "aud",
                "iss",
                "jti",
                "iat",
                "exp",
                "at_hash",
            ]
        ),
        values | st.sampled_from([RESOURCE, BASE, ORIGIN, "tasks:read", ...]),
        max_size=4,
    ),
)
def test_any_signed_claims_satisfy_one_set_of_rules_or_are_refused(
    typ: Any, changes: dict[str, Any]
) -> None:
    payload = access_claims(**changes)
    token = signer().token(payload, signer().header(typ=typ))
    verifier = Verifier(
        keys=KeyRing(BASE, fetch=lambda _: document(signer()), clock=Clock()),
        jwts=Accepted({ORIGIN}, {ORIGIN}),
        access_tokens=Accepted({ORIGIN, BASE}, {RESOURCE}),
    )
    with pytest.MonkeyPatch.context() as patch:
        # The safety net would hide what it catches.
        patch.setattr(tokens.log, "error", lambda *args: pytest.fail(str(args)))
        try:
            found = verifier.verify(token)
        except InvalidToken:
            return

    audiences = payload["aud"] if isinstance(payload["aud"], list) else [payload["aud"]]
    assert found.user_id == payload["sub"]
    if found.scopes is None:
        assert typ in ("JWT", ...)
        assert (payload["iss"], ORIGIN in audiences) == (ORIGIN, True)
        assert "at_hash" not in payload
    else:
        assert typ in ("at+jwt", "application/at+jwt")
        assert payload["iss"] in (ORIGIN, BASE)
        assert RESOURCE in audiences
        assert found.user_id not in (payload["client_id"], payload.get("azp"))
        assert "cnf" not in payload
        assert {"jti", "iat", "exp"} <= payload.keys()
        assert found.scopes <= set(str(payload.get("scope")).split(" "))


@pytest.mark.parametrize(
    "path", ["%00", "a" * 5000, "%ff", "%2e%2e/api", "..;/api", "%E2%80%AE", "api%0d%0aX-A:b"]
)
def test_strange_addresses_of_metadata_are_404(path: str, api: Client) -> None:
    response = api.get(f"{METADATA}/{path}")

    assert (response.status_code, response.json()["error_code"]) == (404, "NOT_FOUND")


# Scopes

METHODS = ("get", "head", "post", "put", "patch", "delete")
READ_METHODS = ("get", "head")
NEITHER: dict[str, Any] = {
    "missing": ...,
    "null": None,
    "empty": "",
    "blank": "  ",
    "both_in_one": "tasks:readwrite",
    "prefix": "tasks",
    "wildcard": "tasks:*",
    "upper_case": "TASKS:READ TASKS:WRITE",
    "list": ["tasks:read", "tasks:write"],
    "object": {"tasks:read": True},
    "number": 1,
    "true": True,
    "commas": "tasks:read,tasks:write",
    "tab": "tasks:read\ttasks:write",
    "line_break": "tasks:read\ntasks:write",
    "longer": "tasks:reading xtasks:write",
    "others": "openid profile email offline_access",
}


def call(api: Client, method: str, token: str) -> Any:
    path = TASKS if method in ("get", "head", "post") else f"{TASKS}/1"
    headers = {"Authorization": f"Bearer {token}"}
    return api.generic(method.upper(), path, content_type="application/json", headers=headers)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", NEITHER.values(), ids=NEITHER)
def test_without_a_scope_nothing_is_allowed(scope: Any, method: str, api: Client) -> None:
    # There is no database in this test: the scope is checked before anything is read.
    response = call(api, method, access_token(scope=scope))

    needed = "tasks:read" if method in READ_METHODS else "tasks:write"
    assert response.status_code == 403
    assert response["WWW-Authenticate"] == (
        f'Bearer error="insufficient_scope", scope="{needed}", resource_metadata="{METADATA_URL}"'
    )
    assert method == "head" or response.json() == {
        "detail": f"This needs an access token with the scope {needed}.",
        "error_code": "AUTH_FORBIDDEN",
        "timestamp": response.json()["timestamp"],
        "request_id": response["X-Request-ID"],
    }


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write", "tasks:read tasks:write"])
def test_each_method_needs_its_scope(scope: str, method: str, api: Client) -> None:
    response = call(api, method, access_token(scope=f"openid {scope}"))

    needed = "tasks:read" if method in READ_METHODS else "tasks:write"
    assert (response.status_code == 403) is (needed not in scope.split())


def test_a_scope_does_not_open_the_tasks_of_others(api: Client) -> None:
    response = get(api, access_token(scope=""), "/api/bob/tasks")

    assert response.status_code == 403
    assert "WWW-Authenticate" not in response
    assert "another user" in response.json()["detail"]


@pytest.mark.django_db
def test_a_scope_in_another_token_has_no_meaning(api: Client) -> None:
    for scope in ("", "other", ["tasks:read"]):
        assert get(api, signer().token(claims(scope=scope))).status_code == 200
        assert get(api, hs256_token({**claims(), "scope": scope})).status_code == 200


@pytest.mark.django_db
def test_the_scopes_have_other_names_by_setting(api: Client, settings: Any) -> None:
    settings.BETTER_AUTH_READ_SCOPE = "read:todos"

    assert get(api, access_token(scope="read:todos")).status_code == 200
    response = get(api, access_token())
    assert (response.status_code, 'scope="read:todos"' in response["WWW-Authenticate"]) == (
        403,
        True,
    )


@pytest.mark.django_db
def test_a_cached_token_keeps_its_scopes(api: Client) -> None:
    token = access_token(scope="tasks:read")

    for _ in range(2):
        assert get(api, token).status_code == 200
        assert call(api, "delete", token).status_code == 403


# Metadata (RFC 9728)


@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/api"])
def test_the_metadata_names_resource_issuer_and_scopes(path: str, api: Client) -> None:
    response = api.get(path)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "public, max-age=300"
    assert response.json() == {
        "resource": RESOURCE,
        "authorization_servers": [BASE],
        "scopes_supported": ["tasks:read", "tasks:write"],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize("path", [METADATA, f"{METADATA}/api"])
def test_without_a_resource_there_is_no_metadata(path: str, settings: Any) -> None:
    settings.BETTER_AUTH_RESOURCE = ""

    response = Client().get(path)

    assert (response.status_code, response.json()["error_code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [f"{METADATA}/other", f"{METADATA}/api/alice", f"{METADATA}/API", f"{METADATA}/..%2Fapi"],
)
def test_another_resource_has_no_metadata(path: str, api: Client) -> None:
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_metadata_can_only_be_read(method: str, api: Client) -> None:
    response = getattr(api, method)(METADATA)

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://tasks.example.com", f"https://tasks.example.com{METADATA}"),
        ("https://tasks.example.com/", f"https://tasks.example.com{METADATA}"),
        ("https://tasks.example.com/api", f"https://tasks.example.com{METADATA}/api"),
        ("https://tasks.example.com/api/", f"https://tasks.example.com{METADATA}/api"),
        ("https://example.com:8443/a/b", f"https://example.com:8443{METADATA}/a/b"),
        ("http://[::1]:8000/api", f"http://[::1]:8000{METADATA}/api"),
    ],
)
def test_the_address_of_the_metadata_follows_from_the_resource(
    resource: str, url: str, api: Client, settings: Any
) -> None:
    """RFC 9728, section 3.1. What a client finds there must be for this resource (3.3)."""
    settings.BETTER_AUTH_RESOURCE = resource

    response = api.get(TASKS)

    assert response["WWW-Authenticate"] == f'Bearer resource_metadata="{url}"'
    path = url.partition(METADATA)[2]
    for address in (METADATA, f"{METADATA}/api", METADATA + path):
        assert api.get(address).json()["resource"] == resource


@pytest.mark.parametrize(
    "host", ["evil.example", "tasks.example.com@evil.example", 'a"b', "a\\b", "[::1", ""]
)
def test_a_hostile_host_is_not_reflected(host: str, api: Client) -> None:
    headers = {"Host": host, "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}

    for path in (METADATA, f"{METADATA}/api", TASKS):
        response = api.get(path, headers=headers)
        assert b"evil" not in response.content
        assert "evil" not in str(response.headers)
        assert response.status_code in (200, 400, 401)
        if response.status_code == 401:
            assert METADATA_URL in response["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ({"URL": ORIGIN}, BASE),
        ({"URL": f"{ORIGIN}/"}, BASE),
        ({"URL": f"{ORIGIN}/login"}, f"{ORIGIN}/login"),
        ({"URL": "http://frontend:3000", "ISSUER": BASE}, BASE),
        ({"URL": ORIGIN, "ISSUER": "my-app"}, BASE),
        ({"JWKS_URL": f"{BASE}/jwks", "ISSUER": "my-app"}, ""),
    ],
)
def test_the_authorization_server_is_the_issuer(
    given: dict[str, str], server: str, settings: Any
) -> None:
    for name, value in given.items():
        setattr(settings, f"BETTER_AUTH_{name}", value)

    assert conf.authorization_server() == server
