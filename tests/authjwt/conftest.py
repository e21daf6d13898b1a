"""An issuer whose HTTP answers each test chooses, and the keys that it signs with."""

import json
import socket
import struct
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import get_default_algorithms

from authjwt import fetch, keys
from authjwt.keys import KeyRing

ALGORITHMS = ("EdDSA", "ES256", "ES512", "PS256", "RS256")
ORIGIN = "https://app.example.com"


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def segment(content: Any) -> str:
    """Bytes as they are, anything else as JSON."""
    return b64(content if isinstance(content, bytes) else json.dumps(content).encode())


def signed(header: Any, payload: Any, sign: Callable[[bytes], bytes]) -> str:
    message = f"{segment(header)}.{segment(payload)}"
    return f"{message}.{b64(sign(message.encode()))}"


def claims(**changes: Any) -> dict[str, Any]:
    """What Better Auth signs for alice; the value `...` leaves a claim out."""
    now = int(time.time())
    whole = {"sub": "alice", "iat": now, "exp": now + 900, "iss": ORIGIN, "aud": ORIGIN, **changes}
    return {name: value for name, value in whole.items() if value is not ...}


@dataclass(frozen=True)
class Signer:
    """A private key, and its public JWK."""

    algorithm: str
    kid: str
    private: Any

    @property
    def public(self) -> Any:
        return self.private.public_key()

    def jwk(self, **members: Any) -> dict[str, Any]:
        """As Better Auth lists it; the value `...` leaves a member out."""
        public = get_default_algorithms()[self.algorithm].to_jwk(self.public, as_dict=True)
        public.pop("key_ops", None)
        whole = {**public, "kid": self.kid, "alg": self.algorithm, **members}
        return {name: value for name, value in whole.items() if value is not ...}

    def sign(self, message: bytes, algorithm: str = "") -> bytes:
        return get_default_algorithms()[algorithm or self.algorithm].sign(message, self.private)

    def header(self, **members: Any) -> dict[str, Any]:
        whole = {"alg": self.algorithm, "kid": self.kid, **members}
        return {name: value for name, value in whole.items() if value is not ...}

    def token(self, payload: Any = None, header: Any = None) -> str:
        return signed(
            self.header() if header is None else header,
            claims() if payload is None else payload,
            self.sign,
        )


@cache
def private_key(algorithm: str, _kid: str) -> Any:
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ES512":
        return ec.generate_private_key(ec.SECP521R1())
    return rsa.generate_private_key(65537, 2048)


def signer(algorithm: str = "EdDSA", kid: str = "") -> Signer:
    """The same arguments always give the same key."""
    kid = kid or f"key-{algorithm}"
    return Signer(algorithm, kid, private_key(algorithm, kid))


def document(*jwks: Signer | dict[str, Any]) -> bytes:
    listed = [jwk.jwk() if isinstance(jwk, Signer) else jwk for jwk in jwks]
    return json.dumps({"keys": listed}).encode()


@dataclass
class Clock:
    """A clock that only a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


# What an issuer may answer


class Request(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self.server.issuer.receive(self)

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests compare logs."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    issuer: "Issuer"

    def handle_error(self, *_: Any) -> None:
        """Nothing: clients hang up on purpose."""


Answer = Callable[[Request], None]


def answer(body: bytes, status: int = 200, **headers: str) -> Answer:
    def send(request: Request) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return send


def hang(request: Request) -> None:
    request.server.issuer.closing.wait(30)


def slow(body: bytes, seconds: float) -> Answer:
    def send(request: Request) -> None:
        request.server.issuer.closing.wait(seconds)
        answer(body)(request)

    return send


def drip(request: Request, content: bytes) -> None:
    for byte in content:
        request.wfile.write(bytes([byte]))
        if request.server.issuer.closing.wait(0.02):
            return


def drip_headers(request: Request) -> None:
    drip(request, b"HTTP/1.1 200 OK\r\nX-Padding: " + b"a" * 500)


def drip_body(request: Request) -> None:
    request.send_response(200)
    request.end_headers()
    drip(request, b'{"keys": [' + b" " * 500)


def reset(request: Request) -> None:
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=request.connection.detach()).close()


def cut_off(request: Request) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"keys": [')


BAD_ANSWERS: dict[str, Answer] = {
    "hang": hang,
    "drip_headers": drip_headers,
    "drip_body": drip_body,
    "reset": reset,
    "cut_off": cut_off,
    "500": answer(document(signer()), 500),
    "403": answer(b"blocked by the firewall", 403),
    "204": answer(b"", 204),
    "empty": answer(b""),
    "html": answer(b"<!doctype html><title>Sign in</title>"),
    "malformed_json": answer(document(signer())[:-1]),
    "deep_json": answer(b'{"keys": ' + b"[" * 100_000),
    "huge_number": answer(b'{"keys": ' + b"9" * 10_000 + b"}"),
    "not_utf_8": answer(b'{"keys": [{"kid": "\xff"}]}'),
    "oversized": answer(document(signer()) + b" " * fetch.MAX_BYTES),
    "no_keys": answer(b'{"keys": []}'),
    "null_keys": answer(b'{"keys": null}'),
    "keys_by_name": answer(b'{"keys": {"kid": "a"}}'),
    "a_list": answer(b"[]"),
    "a_number": answer(b"1"),
    "no_usable_key": answer(document(signer().jwk(use="enc"))),
}


@dataclass
class Issuer:
    """A real HTTP server on loopback that replaces Better Auth."""

    answer: Answer = hang
    requests: list[Message] = field(default_factory=list)
    """The headers of each request so far."""
    closing: threading.Event = field(default_factory=threading.Event)
    server: Server | None = None
    port: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/api/auth/jwks"

    def lists(self, *jwks: Signer | dict[str, Any]) -> None:
        self.answer = answer(document(*jwks))

    def receive(self, request: Request) -> None:
        self.requests.append(request.headers)
        self.answer(request)

    def start(self) -> None:
        self.closing.clear()
        self.server = Server(("127.0.0.1", self.port), Request)
        self.server.issuer = self
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused."""
        self.closing.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@dataclass
class Gate:
    """Delays an answer: `arrived` is set when it is requested, and `opened` sends it."""

    answer: Answer
    arrived: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: Request) -> None:
        self.arrived.set()
        self.opened.wait(10)
        self.answer(request)


def refreshes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "key-set"]


def settle() -> None:
    """Waits for the refreshes that are under way."""
    for thread in refreshes():
        thread.join(10)


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """What `call` returns or raises in each of `count` threads that start together."""
    start = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = call(number)
        except Exception as error:  # noqa: BLE001  the test checks it
            results[number] = error

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.start()
    issuer.lists(signer())
    yield issuer
    issuer.stop()
    settle()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(issuer: Issuer, clock: Clock) -> KeyRing:
    """A ring that has fetched nothing yet."""
    return KeyRing(issuer.url, clock=clock)


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the time for a fetch."""
    for module in (fetch, keys):
        monkeypatch.setattr(module, "TIMEOUT", 0.75)


@pytest.fixture
def accepting(issuer: Issuer, settings: Any) -> Issuer:
    """The project accepts tokens of this issuer, and those signed with the shared secret."""
    settings.BETTER_AUTH_URL = ORIGIN
    settings.BETTER_AUTH_JWKS_URL = issuer.url
    return issuer
