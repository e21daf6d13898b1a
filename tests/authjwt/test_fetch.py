"""One fetch: what is sent, which answers count, and its deadline."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from authjwt.exceptions import KeysUnavailable
from authjwt.fetch import MAX_BYTES, fetch
from tests.authjwt.conftest import (
    Answer,
    Issuer,
    answer,
    document,
    drip_body,
    drip_headers,
    hang,
    signer,
    slow,
)


def test_a_request_names_its_user_agent_and_carries_no_credentials(issuer: Issuer) -> None:
    fetch(issuer.url)

    (headers,) = issuer.requests
    assert headers["User-Agent"] == "better-auth-tasks"
    assert headers["Accept"] == "application/json"
    assert headers["Authorization"] is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_to_another_host_is_followed(status: int, issuer: Issuer) -> None:
    elsewhere = Issuer()
    elsewhere.start()
    elsewhere.lists(signer())
    issuer.answer = answer(b"", status, Location=f"http://localhost:{elsewhere.port}/api/auth/jwks")

    with pytest.raises(KeysUnavailable):
        fetch(issuer.url)

    elsewhere.stop()
    assert elsewhere.requests == []
    assert len(issuer.requests) == 1


def test_no_redirect_on_the_same_host_is_followed(issuer: Issuer) -> None:
    issuer.answer = answer(b"", 302, Location="/jwks")

    with pytest.raises(KeysUnavailable):
        fetch(issuer.url)

    assert len(issuer.requests) == 1


def test_a_slow_answer_is_accepted(issuer: Issuer) -> None:
    issuer.answer = slow(document(signer()), 0.5)

    assert fetch(issuer.url) == document(signer())


@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_a_fetch_ends_in_time(bad: Answer, issuer: Issuer, short_timeout: None) -> None:
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        fetch(issuer.url)

    assert 0.25 < time.monotonic() - start < 1


def test_headers_cut_off_by_the_deadline_are_a_timeout(issuer: Issuer, short_timeout: None) -> None:
    issuer.answer = drip_headers

    with pytest.raises(KeysUnavailable, match=r"took more than 0\.75 s"):
        fetch(issuer.url)


def test_an_answer_may_be_as_large_as_the_limit(issuer: Issuer) -> None:
    whole = document(signer())
    issuer.answer = answer(whole + b" " * (MAX_BYTES - len(whole)))

    assert len(fetch(issuer.url)) == MAX_BYTES


def test_an_endless_answer_is_refused(issuer: Issuer) -> None:
    issuer.answer = answer(b" " * (MAX_BYTES + 1))

    with pytest.raises(KeysUnavailable, match="more than 524288 bytes"):
        fetch(issuer.url)


def test_a_query_is_kept_and_credentials_are_not(issuer: Issuer) -> None:
    asked = []

    def record(request: Any) -> None:
        asked.append((request.path, request.headers["Host"]))
        answer(b"{}")(request)

    issuer.answer = record

    fetch(f"http://name:word@127.0.0.1:{issuer.port}/jwks?tenant=1")
    fetch(issuer.origin)

    host = f"127.0.0.1:{issuer.port}"
    assert asked == [("/jwks?tenant=1", host), ("/", host)]
    assert all(headers["Authorization"] is None for headers in issuer.requests)


def test_no_proxy_is_used(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert fetch(issuer.url) == document(signer())


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:port/jwks", id="port"),
        pytest.param("http://127.0.0.1:1/a b", id="blank"),
        pytest.param("http://127.0.0.1:1/\u00e9", id="not_ascii"),
        pytest.param("http://nobody.invalid/jwks", id="unknown_host"),
    ],
)
def test_an_invalid_url_is_an_outage(url: str) -> None:
    with pytest.raises(KeysUnavailable):
        fetch(url)


def test_a_dead_address_of_a_host_leaves_time_for_the_next(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authjwt.fetch.TIMEOUT", 1.0)
    with black_hole() as dead:
        resolve_to(monkeypatch, dead, issuer.port)

        assert fetch(issuer.url) == document(signer())


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Every host has these ports of loopback as its addresses."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that does not answer when clients connect, since its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.settimeout(0)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for client in waiting:
            client.close()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "issuer.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(issuer: Issuer, certificate: Path) -> str:
    """The URL of the issuer, which uses TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    assert issuer.server
    # The thread of each connection does the handshake.
    issuer.server.socket = context.wrap_socket(
        issuer.server.socket, server_side=True, do_handshake_on_connect=False
    )
    return issuer.url.replace("http:", "https:")


def test_a_key_set_is_fetched_over_tls(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert fetch(secure) == document(signer())


def test_an_untrusted_certificate_is_refused(secure: str) -> None:
    with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):
        fetch(secure)


def test_a_certificate_of_another_host_is_refused(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):
        fetch(secure.replace("127.0.0.1", "localhost"))


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_a_fetch_over_tls_ends_in_time(
    bad: Answer, secure: str, issuer: Issuer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        fetch(secure)

    assert time.monotonic() - start < 1


def test_a_handshake_gets_the_time_that_connecting_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("authjwt.fetch.TIMEOUT", 1.0)
    with black_hole() as dead, closing(socket.create_server(("127.0.0.1", 0))) as silent:
        resolve_to(monkeypatch, dead, silent.getsockname()[1])
        start = time.monotonic()

        with pytest.raises(KeysUnavailable):
            fetch("https://app.example.com/jwks")

        assert 0.9 < time.monotonic() - start < 1.3
