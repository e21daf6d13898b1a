"""Where verification keys come from: the key set of the issuer.

A key set is fetched seldom and never by a request whose key is known. What an issuer can do
wrong (be slow, down, replaced by an error page, flooded through us) costs at most new keys.
"""

import http.client
import json
import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from authjwt.exceptions import KeysUnavailable

log = logging.getLogger(__name__)

ALGORITHMS: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}
"""What each type and curve of key may verify (RFC 8725, sections 3.1 and 3.2)."""

LEAST_RSA_BITS = 2048
MOST_KID_CHARACTERS = 255
MOST_KEYS = 100
MOST_BYTES = 512 * 1024
TIMEOUT = 3.0
FRESH = 300.0
BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0)
BURST = 3
REFILL = 5.0
"""Seconds. A fetch as a whole, the age that starts a refresh, the pauses after failures in a row;
and for unknown keys a token bucket: so many fetches at once, and one more per so many seconds."""

MAX_WAITING = 64
"""Requests that wait for a key set at once. Further ones are refused, since each holds a thread."""

on_wait: list[Callable[[float], object]] = []
"""Called with the seconds that a request has waited for a key set."""

TOO_SLOW = "the key set took more than {:g} s"
USER_AGENT = "better-auth-tasks/0.1 (key set)"


@dataclass(frozen=True)
class Key:
    """A public key and the algorithms it may verify: by algorithm name, PyJWT's two halves."""

    algorithms: Mapping[str, PyJWK]


def parse(document: bytes) -> dict[str, Key]:
    """The usable keys of a JWK set (RFC 7517, section 5) by their id.

    Raises ValueError where there is none. Keys that cannot verify a token are skipped: private,
    symmetric, weak and encryption keys, unknown curves, keys without an id.
    """
    try:
        listed = json.loads(document)["keys"]
        found = {jwk["kid"]: key for jwk in listed[:MOST_KEYS] if (key := _usable(jwk))}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a JWK set") from error
    if not found:
        raise ValueError("no usable key in the set")
    return found


def _usable(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or "d" in jwk or not _verifies(jwk):
        return None
    kind, curve = str(jwk.get("kty")), jwk.get("crv")
    names = ALGORITHMS.get((kind, None if kind == "RSA" else str(curve)), ())
    try:
        algorithms = {name: PyJWK(jwk, name) for name in names if jwk.get("alg", name) == name}
    except (PyJWTError, ValueError, TypeError):
        return None
    return Key(algorithms) if algorithms and _strong(*algorithms.values()) else None


def _verifies(jwk: dict[str, Any]) -> bool:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    return (
        isinstance(kid, str)
        and 0 < len(kid) <= MOST_KID_CHARACTERS
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _strong(*keys: PyJWK) -> bool:
    return all(
        not isinstance(key.key, RSAPublicKey) or key.key.key_size >= LEAST_RSA_BITS for key in keys
    )


def fetch(url: str) -> bytes:
    """The document at `url`, within TIMEOUT seconds over all; KeysUnavailable for anything else.

    No redirect is followed and no proxy is used: the answer is the configured host's, or none.
    """
    return ask(url)[0]


def ask(url: str) -> tuple[bytes, Message]:
    """As `fetch`, with the headers of the answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    deadline = time.monotonic() + TIMEOUT
    try:
        connection = kind(parts.netloc.rpartition("@")[2])
        connection.sock = _connect(connection.host, connection.port, secure=secure)
        # Timeouts of sockets are per read: one byte a second would last for ever.
        alarm = threading.Timer(max(0, deadline - time.monotonic()), _hang_up, [connection.sock])
        alarm.daemon = True
        try:
            alarm.start()
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as answer:
                document = answer.read(MOST_BYTES + 1)
            hung_up = time.monotonic() >= deadline
        finally:
            alarm.cancel()
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Hung up on, a reader sees the end of the stream or a reset, as the system likes it.
        if isinstance(error, ConnectionResetError) and time.monotonic() >= deadline:
            raise KeysUnavailable(TOO_SLOW.format(TIMEOUT)) from error
        raise KeysUnavailable(f"{type(error).__name__} while fetching the key set") from error
    if hung_up:
        raise KeysUnavailable(TOO_SLOW.format(TIMEOUT))
    if answer.status != http.client.OK:
        raise KeysUnavailable(f"the key set answered {answer.status}")
    if len(document) > MOST_BYTES:
        raise KeysUnavailable(f"the key set has more than {MOST_BYTES} bytes")
    return document, answer.headers


def _connect(host: str, port: int, *, secure: bool) -> socket.socket:
    """A connected socket, its TLS handshake still to do: it has what is left of the time.

    Half of the time for each address of the host, so that a dead one leaves some for the next.
    """
    context = ssl.create_default_context() if secure else None
    sock = socket.create_connection((host, port), TIMEOUT / 2)
    sock.settimeout(TIMEOUT)
    if context is None:
        return sock
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        # Of the plain socket, below TLS: its reader wakes up with the end of the stream.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@dataclass
class Refresh:
    """One fetch that is under way; several requests may wait for its end."""

    done: threading.Event = field(default_factory=threading.Event)
    succeeded: bool = False


class KeyRing:
    """The keys of one issuer by id, shared by the threads of a process.

    A known key is one dictionary look-up. An unknown one starts a refresh, or waits for the one
    under way. `fetch` and `clock` (seconds, never backwards) are for tests. `fetched_at` is when
    the last fetch succeeded, and `failures` is how many have failed since then.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.keys: Mapping[str, Key] = {}
        self.fetched_at: float | None = None
        self.failures = 0
        self._document: bytes | None = None
        self.fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._refresh: Refresh | None = None
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._due = 0.0
        self._retry_at = -math.inf
        self._allowance = float(BURST)
        self._counted_at = clock()

    def get(self, kid: str) -> Key | None:
        """The key with this id; None where the issuer does not list it.

        Raises KeysUnavailable where the issuer could not be asked.
        """
        if key := self.keys.get(kid):
            if self._clock() >= self._due:
                self._begin()
            return key
        if under_way := self._refresh:
            # It may have begun before the key was made. What begins from here on has not.
            self._wait(under_way)
        if kid not in self.keys:
            refresh = self._begin(limited=bool(self.keys))
            if refresh or self.failures or not self.keys:
                self._wait(refresh)
        return self.keys.get(kid)

    def load(self) -> None:
        """Fetches the key set where no key is there yet; raises KeysUnavailable."""
        if not self.keys:
            self._wait(self._begin())

    def _wait(self, refresh: Refresh | None) -> None:
        if refresh is None or not self._wait_in_turn(refresh) or not refresh.succeeded:
            raise self._unavailable()

    def _wait_in_turn(self, refresh: Refresh) -> bool:
        """Whether the fetch has ended in time."""
        start = time.perf_counter()
        if not self._places.acquire(blocking=False):
            return False
        try:
            return refresh.done.wait(TIMEOUT)
        finally:
            self._places.release()
            for tell in on_wait:
                tell(time.perf_counter() - start)

    def _unavailable(self) -> KeysUnavailable:
        pause = math.ceil(max(1.0, self._retry_at - self._clock()))
        return KeysUnavailable(f"no key set from {self.url}", retry_after=pause)

    def _begin(self, *, limited: bool = False) -> Refresh | None:
        """The refresh under way, or a new one.

        None while the back-off lasts, and where a `limited` one would exceed the allowance.
        To join one costs nothing: many requests may meet a new key at the same moment.
        """
        with self._lock:
            if self._refresh or self._clock() < self._retry_at:
                return self._refresh
            if limited and not self._spend():
                return None
            # Told before it begins: who sees no refresh may join any that comes.
            refresh = self._refresh = Refresh()
            thread = threading.Thread(target=self._run, args=[refresh], name="key-set", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # Without a thread to be had, known keys still do.
                self._refresh = None
            return self._refresh

    def _spend(self) -> bool:
        now = self._clock()
        earned = (now - self._counted_at) / REFILL
        self._allowance = min(float(BURST), self._allowance + earned)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _run(self, refresh: Refresh) -> None:
        try:
            document = self.fetch(self.url)
            if document != self._document:
                self.keys, self._document = parse(document), document
            self.failures, self._retry_at = 0, -math.inf
            self.fetched_at = self._clock()
            self._due = self.fetched_at + FRESH
            refresh.succeeded = True
        except Exception as error:  # noqa: BLE001  whatever an issuer does, the good keys stay
            log.warning("key set: %s", error)
            self._retry_at = self._clock() + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
            self.failures += 1
        finally:
            with self._lock:
                self._refresh = None
            refresh.done.set()
