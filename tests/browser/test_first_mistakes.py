"""The first mistakes of a frontend, in a real browser on another origin.

For each, the cause can be read in one place: the answer, the console, or the log of the service.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Browser

from authjwt.exceptions import FETCH_A_JWT
from config.http.addresses import ROUTES
from config.http.origins import ALLOW, SERVE
from tests.people import SECRET, token_of
from tests.server import TIMEOUT, Server

pytestmark = pytest.mark.django_db(transaction=True)

LOCALHOST = "http://localhost"
ISSUER = "http://127.0.0.1:3000"
NOTHING = "There is nothing at this address"
GOOD = token_of("alice")
SESSION_TOKEN = "7Qk2VbW4sJ9xTzR1nLpYcD8mFhGa6E3u"
COOKIE = f"{SESSION_TOKEN}.c2lnbmF0dXJlb2Z0aGVjb29raWU%3D"

FETCH = """async ([url, init]) => {
  try {
    const response = await fetch(url, init);
    return {status: response.status, body: await response.json()};
  } catch (error) {
    return {error: `${error}`};
  }
}"""


class Quiet(BaseHTTPRequestHandler):
    """An empty page of a frontend."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def frontend() -> Iterator[int]:
    """The port of a frontend."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Mistake:
    """What the frontend calls, and what its developer then reads.

    detail, status: of the answer; the status is 0 if the browser hides it.
    path: after the address of the service.
    token: None sends no header.
    page: where the frontend is opened; PORT is its port.
    log: members of a line of the log.
    """

    detail: str = ""
    status: int = 401
    path: str = "/api/alice/tasks"
    token: str | None = GOOD
    init: dict[str, Any] = field(default_factory=dict)
    page: str = "http://localhost:PORT"
    log: dict[str, Any] = field(default_factory=dict)


FAILED = "Failed to load resource:"
BLOCKED = (
    "Access to fetch at '{url}' from origin '{origin}' has been blocked by CORS policy: "
    "Response to preflight request doesn't pass access control check: "
    "No 'Access-Control-Allow-Origin' header is present on the requested resource."
)
UNSET = f"the request was sent before there was a token. {FETCH_A_JWT}"
OBJECT = "The token is an object that was turned into text: send its token, a string."


def not_found(mistake: str, path: str) -> Mistake:
    meant = "Did you mean /api/alice/tasks?"
    return Mistake(f"{NOTHING}: it {mistake}. {meant} {ROUTES}", 404, path)


MISTAKES = {
    "the token is undefined": Mistake(
        f"The token is the word undefined: {UNSET}", token="undefined"
    ),
    "the token is null": Mistake(f"The token is the word null: {UNSET}", token="null"),
    "the token is an object": Mistake(
        f"{OBJECT} {FETCH_A_JWT}",
        token="[object Object]",
    ),
    "the token is a promise": Mistake(
        f"{OBJECT} {FETCH_A_JWT}",
        token="[object Promise]",
    ),
    "no token": Mistake(
        "Send a token: Authorization: Bearer <token>. A cookie is not enough.", token=None
    ),
    "only the cookie": Mistake(
        "Send a token: Authorization: Bearer <token>. A cookie is not enough.",
        token=None,
        init={"credentials": "include"},
    ),
    "an empty token": Mistake("There is no token after the word Bearer.", token=""),
    "the session token": Mistake(
        f"This looks like a Better Auth session token. {FETCH_A_JWT}",
        token=SESSION_TOKEN,
    ),
    "the value of the cookie": Mistake(
        f"This looks like a Better Auth session token. {FETCH_A_JWT}",
        token=COOKIE,
    ),
    "an expired token": Mistake(
        "The token has expired. Fetch a new one.",
        token=token_of("alice", exp=1_700_000_000),
        log={"reason": "expired", "user_id": "alice"},
    ),
    "another secret": Mistake(
        "The token was signed with another secret than BETTER_AUTH_SECRET, or was changed.",
        token=jwt.encode({"sub": "alice", "exp": 4_102_444_800}, SECRET[::-1], "HS256"),
        log={"reason": "bad_signature"},
    ),
    "the issuer is localhost, and 127.0.0.1 is configured": Mistake(
        f"The token comes from another issuer than {ISSUER}.",
        token=token_of("alice", iss="http://localhost:3000"),
        log={"reason": "wrong_issuer", "issuer": '"http://localhost:3000"', "expected": ISSUER},
    ),
    "the audience is localhost, and 127.0.0.1 is configured": Mistake(
        f"The token is for another audience than {ISSUER}.",
        token=token_of("alice", iss=ISSUER, aud="http://localhost:3000"),
        log={"reason": "wrong_audience", "audience": '"http://localhost:3000"', "expected": ISSUER},
    ),
    "the path has another word": not_found("says todos instead of tasks", "/api/alice/todos"),
    "two slashes": not_found("has two slashes in a row", "//api/alice/tasks"),
    "a slash at the end": not_found("ends with a slash", "/api/alice/tasks/"),
    "no /api": not_found("does not begin with /api/", "/alice/tasks"),
    "the user is undefined": Mistake(
        "This token belongs to another user. The address says user undefined: "
        "wait for the session, and send its user.id.",
        403,
        "/api/undefined/tasks",
    ),
    "no content type": Mistake(
        "The body must be JSON: send the header Content-Type: application/json.",
        415,
        init={"method": "POST", "body": '{"title": "Buy milk"}'},
    ),
    "127.0.0.1 is not allowed, but localhost is": Mistake(
        page="http://127.0.0.1:PORT",
        status=0,
        log={"event": "origin not allowed", "origin": "http://127.0.0.1:PORT", "fix": ALLOW},
    ),
    "an origin is not allowed, on a wrong path": Mistake(
        path="/alice/tasks",
        page="http://127.0.0.1:PORT",
        status=0,
        log={"event": "origin not allowed", "origin": "http://127.0.0.1:PORT", "fix": ALLOW},
    ),
    "the page is a file": Mistake(
        page=Path(__file__).as_uri(),
        status=0,
        log={"event": "origin not allowed", "origin": "null", "fix": SERVE},
    ),
}


@pytest.fixture(scope="module")
def service(
    django_db_setup: None, frontend: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One for all tests, because none of them changes anything."""
    with Server(
        tmp_path_factory.mktemp("server") / "log",
        BETTER_AUTH_SECRET=SECRET,
        BETTER_AUTH_ISSUER=ISSUER,
        BETTER_AUTH_AUDIENCE=ISSUER,
        CORS_ALLOWED_ORIGINS=f"http://localhost:{frontend}",
    ) as server:
        yield server


@dataclass(frozen=True)
class Seen:
    """answer: what the frontend gets. console: what the developer tools show."""

    answer: Any
    console: list[str]


@pytest.fixture
def call(chromium: Browser, service: Server, frontend: int) -> Iterator[Callable[..., Seen]]:
    """Opens a page and calls the service from there, with the cookie of Better Auth.

    The cookies of a host are sent to all of its ports, so the service receives it too.
    """
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT * 1000)
    context.add_cookies([{"name": "better-auth.session_token", "value": COOKIE, "url": LOCALHOST}])

    def from_page(mistake: Mistake, service: Server = service) -> Seen:
        console: list[str] = []
        page = context.new_page()
        page.goto(mistake.page.replace("PORT", str(frontend)))
        page.on("console", lambda message: console.append(message.text))
        headers = {} if mistake.token is None else {"Authorization": f"Bearer {mistake.token}"}
        url = f"{LOCALHOST}:{service.port}{mistake.path}"
        answer = page.evaluate(FETCH, [url, {"headers": headers, **mistake.init}])
        return Seen(answer, console)

    yield from_page
    context.close()


def lines(service: Server) -> list[dict[str, Any]]:
    log = service.log.read_text().splitlines()
    return [json.loads(line) for line in log if line.startswith("{")]


@pytest.mark.parametrize("name", MISTAKES)
def test_the_cause_of_a_first_mistake_can_be_read(
    call: Callable[..., Seen], service: Server, frontend: int, name: str
) -> None:
    mistake = MISTAKES[name]

    seen = call(mistake)

    origin = mistake.page.replace("PORT", str(frontend))
    if mistake.status:
        assert (seen.answer["status"], seen.answer["body"]["detail"]) == (
            mistake.status,
            mistake.detail,
        )
        status = f"{mistake.status} ({HTTPStatus(mistake.status).phrase})"
        assert seen.console == [f"{FAILED} the server responded with a status of {status}"]
        (line,) = (
            line
            for line in lines(service)
            if line.get("request_id") == seen.answer["body"]["request_id"]
        )
        assert line | mistake.log == line
    else:
        url = f"{LOCALHOST}:{service.port}{mistake.path}"
        blocked = BLOCKED.format(url=url, origin="null" if "file:" in origin else origin)
        assert seen.answer == {"error": "TypeError: Failed to fetch"}
        assert seen.console == [blocked, f"{FAILED} net::ERR_FAILED"]
        named = [line for line in lines(service) if line["event"] == "origin not allowed"]
        expected = {key: text.replace("PORT", str(frontend)) for key, text in mistake.log.items()}
        assert [line for line in named if line | expected == line], named


def test_the_log_says_why_the_keys_cannot_be_fetched(
    call: Callable[..., Seen], serve: Callable[..., Server], frontend: int
) -> None:
    """BETTER_AUTH_URL is the address of the frontend, and Better Auth is somewhere else."""
    url = f"http://127.0.0.1:{frontend}"
    server = serve(BETTER_AUTH_URL=url, CORS_ALLOWED_ORIGINS=f"http://localhost:{frontend}")
    header = base64.urlsafe_b64encode(b'{"alg":"EdDSA","kid":"1"}').decode().rstrip("=")

    seen = call(Mistake(token=f"{header}.e30.AAAA"), server)

    assert (seen.answer["status"], seen.answer["body"]["error_code"]) == (503, "AUTH_UNAVAILABLE")
    named = [line["event"] for line in lines(server) if line["event"].startswith("key set")]
    assert named == [f"key set of {url}/api/auth/jwks: not a JWK set"]


def test_without_a_mistake_the_same_call_works(call: Callable[..., Seen]) -> None:
    seen = call(Mistake(token=token_of("alice", iss=ISSUER, aud=ISSUER)))

    assert seen.answer == {
        "status": 200,
        "body": {"tasks": [], "count": 0, "next_cursor": None},
    }
    assert seen.console == []
