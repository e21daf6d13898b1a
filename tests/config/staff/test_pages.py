"""Pages of the admin: their headers, their cookies, and the error pages."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from tests.people import is_error

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
SIGN_IN = reverse("admin:login")


@pytest.fixture
def staff() -> Client:
    """Somebody who can sign in but has no other permission."""
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=True))
    return client


def admin(client: Client, path: str) -> Any:
    return client.get(HOME + path, secure=True)


@pytest.mark.parametrize("path", ["", "login/", "tasks/task/", "jsi18n/", "nothing/", "logout/"])
def test_every_page_has_the_security_headers(staff: Client, path: str) -> None:
    headers = admin(staff, path).headers

    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; "
        "script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["", "password_change/", "nothing/"])
def test_no_page_has_an_inline_script_or_style(staff: Client, path: str) -> None:
    page = admin(staff, path).content.decode()

    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert '<meta name="robots" content="NONE,NOARCHIVE">' in page
    assert 'href="/static/config/icon.svg"' in page


def test_the_api_has_no_headers_of_the_admin() -> None:
    headers = Client().get("/health").headers

    assert not {"Content-Security-Policy", "X-Robots-Tag", "Set-Cookie"} & headers.keys()


def test_cookies_are_for_this_host_only_and_the_session_ends_with_the_browser() -> None:
    User.objects.create_superuser("ann", password="correct horse")
    client = Client()
    response = client.post(SIGN_IN, {"username": "ann", "password": "correct horse"}, secure=True)
    session, csrf = (
        {name: value for name, value in response.cookies[name].items() if value}
        for name in ("__Host-session", "__Host-csrf")
    )

    assert session == {"httponly": True, "path": "/", "samesite": "Lax", "secure": True}
    year = {"max-age": 364 * 24 * 3600, "expires": csrf["expires"]}
    assert csrf == year | {"httponly": True, "path": "/", "samesite": "Strict", "secure": True}
    assert client.session.get_expiry_age() == 8 * 3600


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("nothing/", 404, "Page not found"), ("tasks/task/", 403, "This is not allowed")],
)
def test_an_error_is_a_page_of_the_admin(staff: Client, path: str, status: int, title: str) -> None:
    response = admin(staff, path)

    assert response.status_code == status
    assert f"<title>{title} | Tasks</title>" in response.content.decode()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("x=1&" * 1001, "The address or the form has more than 1000 fields."),
        (f"x={'y' * 65536}", "The form is larger than 64 KiB."),
    ],
)
def test_a_form_that_is_too_large_is_refused_with_a_message(
    staff: Client, body: str, sentence: str
) -> None:
    response = staff.post(
        f"{HOME}password_change/", body, "application/x-www-form-urlencoded", secure=True
    )

    assert response.status_code == 400
    assert "<title>Invalid request | Tasks</title>" in response.content.decode()
    assert sentence in response.content.decode()


def test_another_host_is_refused_before_the_session_is_read() -> None:
    response = Client().get(SIGN_IN, headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert "<title>Invalid request" in response.content.decode()


def test_a_session_key_that_the_database_rejects_is_ignored() -> None:
    client = Client(headers={"Cookie": '__Host-session="12345678\\000"'})

    assert admin(client, "").headers["Location"] == f"{SIGN_IN}?next={HOME}"


def test_djangos_redirect_to_the_page_of_an_object_is_disabled(staff: Client) -> None:
    sessions = ContentType.objects.get_for_model(Session)

    assert admin(staff, f"r/{sessions.pk}/%00/").status_code == 404


def test_a_form_without_a_csrf_token_is_refused_as_expired() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(SIGN_IN, {"username": "ann"}, secure=True)

    assert response.status_code == 403
    assert "<title>This page has expired | Tasks</title>" in response.content.decode()


def test_outside_the_admin_errors_are_json() -> None:
    response = Client().get("/nothing")

    assert is_error(response, 404, "NOT_FOUND", response.json()["detail"])


def test_the_favicon_redirects_to_the_icon() -> None:
    response = Client().get("/favicon.ico")

    assert (response.status_code, response["Location"]) == (302, "/static/config/icon.svg")
