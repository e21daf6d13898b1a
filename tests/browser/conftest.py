"""Debian's Chromium in front of the real server, through a proxy that ends TLS."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.people import SECRET
from tests.server import TIMEOUT, Server, free_port
from tests.wire.daemons import Nginx, program


class Tls(Nginx):
    """nginx as production has it: TLS ends here, and the client's address goes on."""

    def __init__(self, port: int) -> None:
        super().__init__(
            [port],
            location="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
            "proxy_http_version 1.1;",
        )
        self.tls = free_port()
        self.url = f"https://127.0.0.1:{self.tls}"

    def configure(self, folder: Path) -> list[str]:
        (folder / "pem").write_bytes(certificate())
        self.options = (
            f"listen 127.0.0.1:{self.tls} ssl; "
            f"ssl_certificate {folder}/pem; ssl_certificate_key {folder}/pem;"
        )
        return super().configure(folder)


def certificate() -> bytes:
    """A key and a certificate that nobody signed but the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = program("chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright waits on an event loop of its own, which Django takes for one of a server.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=TIMEOUT * 1000)
        root = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=root)
        yield browser
        browser.close()


@pytest.fixture
def site(serve: Callable[..., Server]) -> Iterator[str]:
    """Where the admin is."""
    server = serve(BETTER_AUTH_SECRET=SECRET, TRUSTED_PROXIES="1")
    with Tls(server.port) as proxy:
        yield f"{proxy.url}/admin/"


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the consoles of browsers say is wrong; a test takes out what it expects."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def visit(chromium: Browser, site: str, complaints: list[str]) -> Iterator[Callable[[], Page]]:
    """Opens browsers, each with cookies of its own."""

    def open_page() -> Page:
        context = chromium.new_context(base_url=site, ignore_https_errors=True)
        context.set_default_timeout(TIMEOUT * 1000)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    yield open_page
    for context in chromium.contexts:
        context.close()
