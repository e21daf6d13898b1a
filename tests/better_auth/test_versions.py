"""What works with each minor release of Better Auth: the table in COMPATIBILITY.md.

    WRITE_COMPATIBILITY=1 .venv/bin/python -m pytest tests/better_auth/test_versions.py

writes the table. Without the variable, the test fails if the file has another one.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.better_auth.issuer import HERE, Account, Issuer, Node
from tests.better_auth.test_oauth import ACCEPTING, PROVIDER, RESOURCE, access_token
from tests.processes import ROOT
from tests.server import Answer, Server, send

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = ROOT / "COMPATIBILITY.md"
VERSIONS = HERE / "versions"
NEWEST = {minor: VERSIONS / minor for minor in ("1.3", "1.4", "1.5", "1.6", "1.7")}
"""Where the newest release of each minor is installed."""
WITH_PROVIDER = {
    "1.4": VERSIONS / "1.4-oauth",
    "1.5": VERSIONS / "1.5",
    "1.6": VERSIONS / "1.6-oauth",
    "1.7": HERE,
}
"""Where the newest OAuth provider of each minor is, with the release that it requires."""

HEAD = ("Better Auth", "session JWT", "algorithms", "access token", "addresses of Neon Auth")
ALGORITHMS = ("EdDSA", "ES256", "ES512", "PS256", "RS256")
PUBLIC = "https://app.example.com"
# Before 1.7, the name of `resources` was `validAudiences`.
OAUTH = {**PROVIDER["oauth"], "validAudiences": [RESOURCE]}
NEON_KEY_SET = "/.well-known/jwks.json"
NEON = {
    "base": "http://127.0.0.1:PORT/neondb/auth",
    "jwt": {"jwks": {"jwksPath": NEON_KEY_SET}},
}

Serve = Callable[..., Server]


@dataclass(frozen=True)
class Signed:
    """The token of a user, and the key set that verifies it."""

    algorithm: str
    person: Account
    token: str
    keys: list[Any]


@pytest.fixture(scope="module")
def serve(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts services, and ends them with the module."""
    logs = tmp_path_factory.mktemp("servers")
    running: list[Server] = []

    def start(**environment: str) -> Server:
        running.append(Server(logs / f"{len(running)}.log", **environment))
        running[-1].wait_until_ready()
        return running[-1]

    yield start
    for server in running:
        server.process.terminate()
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def table(packages: None, serve: Serve) -> list[str]:
    """The lines of COMPATIBILITY.md that this run finds."""
    rows, signed = [], {}
    for minor, folder in NEWEST.items():
        with Node(folder) as node:
            session = session_jwt(node, serve)
            neon = neon_addresses(node, serve)
            signed[minor] = [sign(node, algorithm) for algorithm in ALGORITHMS]
        rows.append([version_of(folder), session, minor, of_client(minor, serve), neon])
    accepted = accepted_algorithms(signed, serve)
    for row in rows:
        row[2] = accepted[row[2]]
    return [line(HEAD), line(["---"] * len(HEAD)), *map(line, rows)]


def line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def version_of(folder: Path, package: str = "better-auth") -> str:
    pins = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    version: str = pins[package]
    return version


def session_jwt(node: Node, serve: Serve) -> str:
    """With BETTER_AUTH_URL alone, a token of /api/auth/token creates tasks and lists them."""
    with Issuer(node) as issuer:
        person = issuer.sign_up()
        return use(serve(BETTER_AUTH_URL=issuer.base), person, person.token())


def of_client(minor: str, serve: Serve) -> str:
    """The token of an OAuth client that asked for this API."""
    if minor not in WITH_PROVIDER:
        return "no provider"
    folder = WITH_PROVIDER[minor]
    with Node(folder) as node, Issuer(node, oauth=OAUTH) as issuer:
        person = issuer.sign_up()
        server = serve(BETTER_AUTH_URL=issuer.base, **ACCEPTING)
        version = version_of(folder, "@better-auth/oauth-provider")
        return f"{use(server, person, access_token(person))} (provider {version})"


def neon_addresses(node: Node, serve: Serve) -> str:
    """A base URL with a path, and the key set at the address that Neon Auth gives it."""
    with Issuer(node, **NEON) as issuer:
        if send("GET", f"{issuer.api}{NEON_KEY_SET}").status != 200:
            return "cannot have them"
        person = issuer.sign_up()
        return use(serve(BETTER_AUTH_URL=issuer.base), person, person.token())


def use(server: Server, person: Account, token: str) -> str:
    """`yes` if the token opens the API, or the reason why not."""
    path = f"/api/{person.user_id}/tasks"
    created = server.request("POST", path, {"title": "Buy milk"}, token=token)
    if created.status != 201:
        return refusal(created)
    listed = server.request("GET", path, token=token)
    assert listed.json()["tasks"] == [created.json()]
    return "yes"


def refusal(answer: Answer) -> str:
    body = answer.json()
    return f"no: `{body.get('reason', body['error_code'])}`"


def sign(node: Node, algorithm: str) -> Signed:
    variant = {"base": PUBLIC, "jwt": {"jwks": {"keyPairConfig": {"alg": algorithm}}}}
    with Issuer(node, **variant) as issuer:
        person = issuer.sign_up()
        token = person.token()
        keys = send("GET", f"{issuer.api}/jwks").json()["keys"]
        return Signed(algorithm, person, token, keys)


def accepted_algorithms(signed: dict[str, list[Signed]], serve: Serve) -> dict[str, str]:
    """One service verifies the tokens of all releases, with all of their keys."""
    keys = [key for tokens in signed.values() for found in tokens for key in found.keys]
    server = serve(BETTER_AUTH_URL=PUBLIC, BETTER_AUTH_JWKS=json.dumps({"keys": keys}))
    return {
        minor: ", ".join(
            found.algorithm for found in tokens if use(server, found.person, found.token) == "yes"
        )
        for minor, tokens in signed.items()
    }


def test_the_table_is_what_was_found(table: list[str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    written = [row for row in text.splitlines() if row.startswith("|")]
    if os.environ.get("WRITE_COMPATIBILITY"):
        DOCUMENT.write_text(text.replace("\n".join(written), "\n".join(table)), encoding="utf-8")
        return

    assert written == table


def test_the_tokens_of_every_release_are_accepted(table: list[str]) -> None:
    """Whatever the file says."""
    for row in table[2:]:
        version, session, algorithms, *_ = row.split(" | ")
        assert (session, algorithms) == ("yes", ", ".join(ALGORITHMS)), version
