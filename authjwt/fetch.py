"""Fetches the key set over HTTP, within one deadline for the whole answer."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from email.message import Message
from urllib.parse import urlsplit

from authjwt.exceptions import KeysUnavailable, NoKeySet

TIMEOUT = 3.0
"""Seconds for a fetch as a whole."""

MAX_BYTES = 512 * 1024
TOO_SLOW = "the key set took more than {:g} s"
USER_AGENT = "better-auth-tasks"


def fetch(url: str) -> bytes:
    """The document at `url`. Raises KeysUnavailable if that fails or takes more than TIMEOUT.

    It follows no redirect and uses no proxy, so that only the configured host can answer.
    """
    return fetch_with_headers(url)[0]


def fetch_with_headers(url: str) -> tuple[bytes, Message]:
    """Like `fetch`, with the headers of the answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    deadline = time.monotonic() + TIMEOUT
    try:
        connection = kind(parts.netloc.rpartition("@")[2])
        connection.sock = _connect(connection.host, connection.port, secure=secure)
        # The timeout of a socket is for each read: one byte a second would never reach it.
        alarm = threading.Timer(max(0, deadline - time.monotonic()), _hang_up, [connection.sock])
        alarm.daemon = True
        try:
            alarm.start()
            if isinstance(connection.sock, ssl.SSLSocket):
                connection.sock.do_handshake()
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as answer:
                document = answer.read(MAX_BYTES + 1)
            hung_up = time.monotonic() >= deadline
        finally:
            alarm.cancel()
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        # After _hang_up, some systems report a reset, others the end of the stream.
        if isinstance(error, ConnectionResetError) and time.monotonic() >= deadline:
            raise KeysUnavailable(TOO_SLOW.format(TIMEOUT)) from error
        raise KeysUnavailable(f"{type(error).__name__} while fetching the key set") from error
    if hung_up:
        raise KeysUnavailable(TOO_SLOW.format(TIMEOUT))
    if answer.status != http.client.OK:
        raise NoKeySet(f"the URL of the key set answered {answer.status}")
    if len(document) > MAX_BYTES:
        raise NoKeySet(f"the key set has more than {MAX_BYTES} bytes")
    return document, answer.headers


def _connect(host: str, port: int, *, secure: bool) -> socket.socket:
    """A connected socket. The caller does the TLS handshake, within the time that is left.

    Each address of the host gets half of the time, so that a dead one leaves some for the next.
    """
    context = ssl.create_default_context() if secure else None
    sock = socket.create_connection((host, port), TIMEOUT / 2)
    sock.settimeout(TIMEOUT)
    if context is None:
        return sock
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        # The plain socket, below TLS: this wakes up its reader with the end of the stream.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
