"""The real Better Auth as a process, and accounts that sign up there."""

import base64
import hashlib
import json
import os
import secrets
import select
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.server import Answer, free_port, send

HERE = Path(__file__).parent
PROGRAM = HERE / "issuer.mjs"
SECRET = "an-issuer-secret-that-only-these-tests-know-0123456789"
START_UP = 30.0
SHUT_DOWN = 10.0

Json = dict[str, Any]


class Node:
    """The process of all issuers, since Better Auth takes longer to load than to start.

    folder: the one that the release of Better Auth is installed for. Node.js looks for the packages
        of a program there only if the program is an argument, and not a file elsewhere.
    """

    def __init__(self, folder: Path = HERE) -> None:
        self.process = subprocess.Popen(
            ["node", "--input-type=module", "--eval", PROGRAM.read_text(encoding="utf-8")],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.communicate(timeout=SHUT_DOWN)  # it ends with its input
        finally:
            self.process.kill()

    def ask(self, question: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        select.select([self.process.stdout], [], [], START_UP)
        answer = self.process.stdout.readline().strip()
        assert answer, "There was no answer: the output of Node.js is above."
        return answer


class Issuer:
    """A Better Auth server. `variant` is its configuration: see issuer.mjs.

    PORT in the variant is replaced by its port. It can be stopped and started again on the same
    port. It keeps its data if the variant has `state`, and otherwise starts without data.

    base: the configured base URL, which the service gets too.
    url, api: where it really listens, and its API there.
    """

    def __init__(self, node: Node, **variant: Any) -> None:
        self.node = node
        self.port = free_port()
        complete = {"base": "http://127.0.0.1:PORT", "secret": SECRET, **variant, "port": "PORT"}
        self.variant = json.dumps(complete).replace("PORT", str(self.port))
        self.base: str = json.loads(self.variant)["base"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = ""
        self.is_running = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        base_url = self.node.ask(self.variant)
        self.api = self.url + urlsplit(base_url).path.rstrip("/")
        self.is_running = True

    def stop(self) -> None:
        if self.is_running:
            self.node.ask(json.dumps({"stop": str(self.port)}))
            self.is_running = False

    def sign_up(self, **fields: Any) -> "Account":
        account = Account(self)
        name = secrets.token_hex(8)
        person = {"name": name, "email": f"{name}@example.com", "password": secrets.token_hex(8)}
        account.user_id = account.post("/sign-up/email", {**person, **fields})["user"]["id"]
        return account

    def sign(self, payload: Json, header: Json | None = None) -> str:
        """A token of any shape, signed by the plugin's own `signJWT`."""
        token: str = self._test("sign", payload=payload, header=header or {})["token"]
        return token

    def grant(self, exchange: Mapping[str, str], proof: str = "") -> Json:
        """The answer of the token endpoint."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.base}
        headers = kind | ({"DPoP": proof} if proof else {})
        answer = send("POST", f"{self.api}/oauth2/token", urlencode(exchange).encode(), headers)
        assert answer.status == 200, answer.body
        tokens: Json = answer.json()
        return tokens

    def age_keys(self, seconds: int) -> None:
        """Makes the keys older, so that a rotation is due now."""
        self._test("age-keys", seconds=seconds)

    def _test(self, name: str, **body: Any) -> Json:
        answer = send("POST", f"{self.url}/test/{name}", body)
        assert answer.status == 200, answer.body
        found: Json = answer.json()
        return found


@dataclass
class Account:
    """A user who is signed in at an issuer, with the cookies that a browser would have."""

    issuer: Issuer
    user_id: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self, method: str, url: str, body: Any = None, kind: str = "application/json"
    ) -> Answer:
        headers = {
            "Content-Type": kind,
            "Origin": self.issuer.base,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        answer = send(method, url, body, headers)
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.coded_value
        return answer

    def post(self, path: str, body: Any) -> Json:
        answer = self.send("POST", self.issuer.api + path, body)
        assert answer.status == 200, answer.body
        found: Json = answer.json()
        return found

    def token(self) -> str:
        """What every frontend does: GET /api/auth/token with the session."""
        answer = self.send("GET", f"{self.issuer.api}/token")
        assert answer.status == 200, answer.body
        token: str = answer.json()["token"]
        return token

    def session(self) -> Answer:
        return self.send("GET", f"{self.issuer.api}/get-session")

    def cookie(self, name: str) -> str:
        return unquote(self.cookies[f"better-auth.{name}"])

    def register_client(self, **options: Any) -> Json:
        """A new OAuth client, by default a public one."""
        answer = self.send("POST", f"{self.issuer.url}/test/client", options)
        assert answer.status == 200, answer.body
        client: Json = answer.json()
        return client

    def authorize_client(
        self, *, scope: str = "", proof: str = "", client: Json | None = None, **extra: str
    ) -> Json:
        """The tokens of an OAuth client that this user authorizes (code flow with PKCE).

        scope: in addition to those of OpenID Connect.
        proof: of a DPoP key (RFC 9449).
        extra: parameters of both requests.
        """
        client = client or self.register_client()
        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        redirect = {
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            **extra,
        }
        query = {
            "response_type": "code",
            "scope": f"openid profile email offline_access {scope}".strip(),
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
            **redirect,
        }
        allowed = self.send("GET", f"{self.issuer.api}/oauth2/authorize?{urlencode(query)}")
        (code,) = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"]
        exchange = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            **redirect,
        }
        return self.issuer.grant(exchange, proof)
