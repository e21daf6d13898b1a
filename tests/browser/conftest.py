"""Debian's Chromium, and the real server behind a proxy that terminates TLS."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.urls import reverse
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.people import SECRET
from tests.server import TIMEOUT, Server, free_port
from tests.wire.daemons import Nginx, program

Visit = Callable[..., Page]


class Tls(Nginx):
    """nginx as in production: it terminates TLS and forwards the address of the client."""

    def __init__(self, port: int) -> None:
        super().__init__(
            [port],
            location="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
            "proxy_http_version 1.1;",
        )
        self.tls = free_port()
        self.url = f"https://127.0.0.1:{self.tls}"

    def configure(self, folder: Path) -> list[str]:
        (folder / "pem").write_bytes(self_signed())
        self.options = (
            f"listen 127.0.0.1:{self.tls} ssl; "
            f"ssl_certificate {folder}/pem; ssl_certificate_key {folder}/pem;"
        )
        return super().configure(folder)


def self_signed() -> bytes:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = program("chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs an event loop, which Django takes for the one of an asynchronous server.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=TIMEOUT * 1000)
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def site(serve: Callable[..., Server]) -> Iterator[str]:
    """The address of the admin."""
    server = serve(BETTER_AUTH_SECRET=SECRET, TRUSTED_PROXIES="1")
    with Tls(server.port) as proxy:
        yield f"{proxy.url}{reverse('admin:index')}"


@pytest.fixture
def browser_errors() -> Iterator[list[str]]:
    """Errors and warnings on the consoles of the browsers. A test removes those that it expects."""
    errors: list[str] = []
    yield errors
    assert errors == []


@pytest.fixture
def visit(chromium: Browser, site: str, browser_errors: list[str]) -> Iterator[Visit]:
    """Opens browsers, each with separate cookies."""

    def open_page(time_zone: str = "UTC") -> Page:
        context = chromium.new_context(
            base_url=site, ignore_https_errors=True, timezone_id=time_zone
        )
        context.set_default_timeout(TIMEOUT * 1000)
        page = context.new_page()
        page.on("console", record)
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        return page

    def record(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            browser_errors.append(message.text)

    yield open_page
    for context in chromium.contexts:
        context.close()
