"""HTTP on the wire: exact bytes to and from the real server."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from tasks.models import Task
from tests.contract import check_wire
from tests.people import SECRET, token_of
from tests.server import Answer, Server

# Without it, this file alone would use the database of development.
pytestmark = pytest.mark.django_db

BEARER = f"Authorization: Bearer {token_of('wire')}"


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("wire") / "log"
    with django_db_blocker.unblock(), Server(log, BETTER_AUTH_SECRET=SECRET) as running:
        yield running
        Task.objects.all().delete()


class Wire:
    """One connection, which reads one answer at a time, so that a test sees what follows it."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, head: str, *lines: str, body: bytes = b"") -> None:
        self.request_line = head
        text = "\r\n".join([head, "Host: 127.0.0.1", *lines, "", ""])
        self.socket.sendall(text.encode("latin-1") + body)

    def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = 0 if head or status in (204, 304) else int(headers["content-length"])
        body = self.file.read(length)
        method, target, _ = self.request_line.split()
        check_wire(method, target, status, CaseInsensitiveMapping(headers), body)
        return status, headers, body


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    connection = Wire(server)
    with connection.socket, connection.file:
        yield connection


def post(wire: Wire, *lines: str, body: bytes = b"") -> None:
    wire.send(
        "POST /api/wire/tasks HTTP/1.1", BEARER, "Content-Type: application/json", *lines, body=body
    )


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def is_alive(server: Server) -> bool:
    return server.request("GET", "/health").status == 200


def test_a_chunked_body_is_a_body(wire: Wire) -> None:
    post(wire, "Transfer-Encoding: chunked", body=chunked(b'{"title":', b' "in parts"}'))
    status, _, body = wire.answer()

    assert status == 201
    assert json.loads(body)["title"] == "in parts"


def test_an_empty_chunked_body_is_an_empty_body(wire: Wire) -> None:
    post(wire, "Transfer-Encoding: chunked", body=chunked())

    assert wire.answer()[0] == 400


def test_a_chunked_body_over_64_kib_is_413(wire: Wire) -> None:
    post(wire, "Transfer-Encoding: chunked", body=chunked(*[b" " * 8192] * 9))
    status, _, body = wire.answer()

    assert status == 413
    assert json.loads(body)["error_code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_of_5_mb_is_413(server: Server) -> None:
    answer = server.request("POST", "/api/wire/tasks", b" " * 5_000_000, **wire_user())

    assert answer.status == 413


def wire_user() -> Any:
    return {"token": token_of("wire"), "headers": {"Content-Type": "application/json"}}


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -1"],
        ["Content-Length: ten"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, identity"],
    ],
)
def test_an_invalid_length_is_refused(server: Server, wire: Wire, lines: list[str]) -> None:
    post(wire, *lines, body=b'{"title": "x"}')

    assert wire.file.readline().split()[1] in (b"400", b"413", b"501")
    assert is_alive(server)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 100", b'{"title": "x"}'),
        # The server cannot tell this from a complete body, so the JSON must be incomplete.
        ("Transfer-Encoding: chunked", b'd\r\n{"title": "x"'),
    ],
)
def test_a_body_that_breaks_off_makes_no_task(
    server: Server, wire: Wire, line: str, body: bytes
) -> None:
    before = count(server)
    post(wire, line, body=body)
    wire.socket.shutdown(socket.SHUT_WR)
    first = wire.file.readline()

    assert not first or 400 <= int(first.split()[1]) < 500
    assert count(server) == before
    assert is_alive(server)


def count(server: Server) -> int:
    return int(server.request("GET", "/api/wire/tasks?limit=1", **wire_user()).json()["count"])


def test_a_length_with_chunks_smuggles_no_request(server: Server, wire: Wire) -> None:
    body = chunked(b'{"title": "x"}') + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    post(wire, "Content-Length: 5", "Transfer-Encoding: chunked", body=body)
    status, *_ = wire.answer()

    assert status in (201, 400)


def test_expect_100_continue_is_answered(wire: Wire) -> None:
    body = b'{"title": "x"}'
    post(wire, "Expect: 100-continue", f"Content-Length: {len(body)}")
    assert wire.file.readline().split()[1] == b"100"
    assert wire.file.readline().strip() == b""
    wire.socket.sendall(body)

    assert wire.answer()[0] == 201


def test_head_sends_the_headers_of_get_and_no_body(wire: Wire) -> None:
    wire.send("HEAD /openapi.json HTTP/1.1")
    status, headers, _ = wire.answer(head=True)
    wire.send("GET /openapi.json HTTP/1.1")
    got, expected, body = wire.answer()

    assert (status, got) == (200, 200)
    varying = {"date": "", "x-request-id": ""}
    assert headers | varying == expected | varying
    assert int(headers["content-length"]) == len(body)


@pytest.fixture
def task(server: Server) -> Answer:
    return server.request("POST", "/api/wire/tasks", {"title": "x"}, **wire_user())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?limit=1"], ids=["task", "list"])
def test_a_304_has_no_body_and_keeps_the_connection(
    wire: Wire, task: Answer, method: str, query: str
) -> None:
    """A 304 may not have a Content-Length of another value than the 200 (RFC 9110, section 8.6)."""
    path = f"/api/wire/tasks{query or '/' + str(task.json()['id'])}"
    wire.send(f"GET {path} HTTP/1.1", BEARER)
    _, full, body = wire.answer()
    for _ in range(3):
        wire.send(f"{method} {path} HTTP/1.1", BEARER, f"If-None-Match: {full['etag']}")
        status, headers, _ = wire.answer(head=method == "HEAD")
        assert status == 304
        assert "content-length" not in headers
        assert "transfer-encoding" not in headers
        same = ("etag", "cache-control", "vary")
        assert [headers[name] for name in same] == [full[name] for name in same]

    wire.send(f"HEAD {path} HTTP/1.1", BEARER, 'If-None-Match: "x"')
    status, headers, _ = wire.answer(head=True)
    assert (status, headers["content-length"], headers["etag"]) == (
        200,
        str(len(body)),
        full["etag"],
    )
    wire.send(f"GET {path} HTTP/1.1", BEARER)
    assert wire.answer()[::2] == (200, body)


def test_nothing_follows_a_304(wire: Wire, task: Answer) -> None:
    wire.send(
        f"GET {task.headers['Location']} HTTP/1.1", BEARER, "If-None-Match: *", "Connection: close"
    )
    head, _, rest = wire.file.read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 304 ")
    assert rest == b""


@pytest.mark.parametrize("order", [1, -1])
def test_two_lines_of_conditions_are_one_list(wire: Wire, task: Answer, order: int) -> None:
    tag = task.headers["ETag"]
    lines = [f"If-None-Match: {tag}", 'If-None-Match: "x"'][::order]
    wire.send(f"GET {task.headers['Location']} HTTP/1.1", BEARER, *lines)
    assert wire.answer()[0] == 304

    body = b'{"title": "y"}'
    for other, status in (('"x"', 200), ('"y"', 412)):
        match = [f"If-Match: {tag}", f"If-Match: {other}"][::order]
        wire.send(
            f"PATCH {task.headers['Location']} HTTP/1.1",
            BEARER,
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *match,
            body=body,
        )
        assert wire.answer()[0] == status


def test_two_keys_are_400(server: Server, wire: Wire) -> None:
    before = count(server)
    body = b'{"title": "x"}'
    for keys in (("a", "b"), ("a", "a"), ('"a"', '"b"'), ("a", "")):
        lines = [f"Idempotency-Key: {key}" for key in keys]
        post(wire, f"Content-Length: {len(body)}", *lines, body=body)
        status, _, answer = wire.answer()
        assert (status, json.loads(answer)["error_code"]) == (400, "VALIDATION_ERROR")
        assert json.loads(answer)["errors"][0]["loc"] == ["header", "idempotency-key"]
    assert count(server) == before


def test_a_connection_is_kept_over_errors(wire: Wire) -> None:
    for path, status in {"/health": 200, "/none": 404, "/api/wire/tasks": 401}.items():
        wire.send(f"GET {path} HTTP/1.1")
        assert wire.answer()[0] == status


@pytest.mark.parametrize("order", [1, -1])
def test_two_authorization_headers_are_401(wire: Wire, order: int) -> None:
    lines = [BEARER, f"Authorization: Bearer {token_of('bob')}"][::order]
    wire.send("GET /api/wire/tasks HTTP/1.1", *lines)

    assert wire.answer()[0] == 401


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_header_names_and_schemes_are_case_insensitive(wire: Wire, name: str, scheme: str) -> None:
    wire.send("GET /api/wire/tasks HTTP/1.1", f"{name}: {scheme} {token_of('wire')}")

    assert wire.answer()[0] == 200


def test_a_token_of_16_kb_is_read(wire: Wire) -> None:
    token = token_of("wire", image="x" * 12_000)
    wire.send("GET /api/wire/tasks HTTP/1.1", f"Authorization: Bearer {token}")

    assert 16_000 < len(token) <= 16_384
    assert wire.answer()[0] == 200


def test_a_token_of_100_kb_is_401(wire: Wire) -> None:
    wire.send("GET /api/wire/tasks HTTP/1.1", f"Authorization: Bearer {'x' * 100_000}")

    assert wire.answer()[0] == 401


def test_headers_of_1_mb_are_refused(server: Server, wire: Wire) -> None:
    try:
        wire.send("GET /api/wire/tasks HTTP/1.1", f"Authorization: Bearer {'x' * 1_000_000}")
        assert wire.file.readline().split()[1] in (b"400", b"431")
    except ConnectionError:
        pass  # closed before all of it was sent

    assert is_alive(server)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/a%2Fb/tasks", 200),
        ("/api/a%2fb/tasks", 200),
        ("/api/a%2Fb/tasks/7", 404),
        ("/api/b/tasks", 403),
        ("/api/%FF/tasks", 403),
        ("/api/a%252Fb/tasks", 403),
        ("/api/a%2Fb/tasks?limit=%00", 422),
    ],
)
def test_a_user_id_may_hold_a_slash(server: Server, path: str, status: int) -> None:
    assert server.request("GET", path, token=token_of("a/b")).status == status


def test_a_link_and_a_location_can_be_followed(server: Server) -> None:
    token = token_of("ü/?#")
    tasks = "/api/%C3%BC%2F%3F%23/tasks"
    for title in "ab":
        created = server.request("POST", tasks, {"title": title}, token=token)
    page = server.request("GET", f"{tasks}?limit=1", token=token)
    following = page.headers["Link"].partition(">")[0].removeprefix("<")

    assert server.request("GET", created.headers["Location"], token=token).json() == created.json()
    assert server.request("GET", following, token=token).json()["tasks"][0]["title"] == "a"


def is_json_error(answer: Answer, status: int) -> bool:
    return answer.status == status and "error_code" in answer.json()


def test_static_files_are_served(server: Server) -> None:
    script = server.request("GET", "/static/ninja/swagger-ui-bundle.js")

    assert script.status == 200
    assert script.headers.get_content_type() == "text/javascript"
    assert server.request("GET", "/static/admin/css/base.css").status == 200
    assert is_json_error(server.request("GET", "/static/none.css"), 404)
    assert is_json_error(server.request("GET", "/static/../manage.py"), 404)
    assert is_json_error(server.request("POST", "/static/admin/css/base.css"), 404)


def test_http_1_0_is_answered(wire: Wire) -> None:
    wire.send("GET /health HTTP/1.0")

    assert wire.answer()[0] == 200


def test_every_line_of_the_log_is_json_without_secrets(server: Server) -> None:
    server.request("GET", "/api/wire/tasks", token=token_of("wire"))
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]

    assert {"event", "level", "timestamp"} <= lines[-1].keys()
    assert all(line["level"] in ("info", "warning") for line in lines)
    assert token_of("wire").partition(".")[0] not in Path(server.log).read_text()
