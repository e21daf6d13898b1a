"""The admin's pages: their headers and cookies, and what is shown where something is refused."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client

from tests.people import is_error

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    """Somebody who may sign in, and nothing else."""
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=True))
    return client


def admin(client: Client, path: str) -> Any:
    return client.get(f"/admin/{path}", secure=True)


@pytest.mark.parametrize("path", ["", "login/", "tasks/task/", "jsi18n/", "nothing/", "logout/"])
def test_every_page_is_kept_to_itself(staff: Client, path: str) -> None:
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
def test_no_page_has_a_script_or_a_style_of_its_own(staff: Client, path: str) -> None:
    page = admin(staff, path).content.decode()

    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert '<meta name="robots" content="NONE,NOARCHIVE">' in page
    assert 'href="/static/config/icon.svg"' in page


def test_the_api_has_none_of_this() -> None:
    headers = Client().get("/health").headers

    assert not {"Content-Security-Policy", "X-Robots-Tag", "Set-Cookie"} & headers.keys()


def test_cookies_are_of_this_host_and_end_with_the_browser() -> None:
    User.objects.create_superuser("ann", password="correct horse")
    client = Client()
    response = client.post(
        "/admin/login/", {"username": "ann", "password": "correct horse"}, secure=True
    )
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
    [("nothing/", 404, "There is nothing here"), ("tasks/task/", 403, "This is not allowed")],
)
def test_what_is_refused_is_a_page_of_the_admin(
    staff: Client, path: str, status: int, title: str
) -> None:
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
def test_a_form_that_is_too_large_is_refused_in_a_sentence(
    staff: Client, body: str, sentence: str
) -> None:
    response = staff.post(
        "/admin/password_change/", body, "application/x-www-form-urlencoded", secure=True
    )

    assert response.status_code == 400
    assert "<title>This cannot be read | Tasks</title>" in response.content.decode()
    assert sentence in response.content.decode()


def test_another_host_is_refused_before_anybody_is_known() -> None:
    response = Client().get("/admin/login/", headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert "<title>This cannot be read" in response.content.decode()


def test_a_session_that_no_database_can_look_up_is_none() -> None:
    client = Client(headers={"Cookie": '__Host-session="12345678\\000"'})

    assert admin(client, "").headers["Location"] == "/admin/login/?next=/admin/"


def test_nothing_has_a_page_elsewhere(staff: Client) -> None:
    sessions = ContentType.objects.get_for_model(Session)

    assert admin(staff, f"r/{sessions.pk}/%00/").status_code == 404


def test_a_form_without_its_token_is_refused_as_expired() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", {"username": "ann"}, secure=True)

    assert response.status_code == 403
    assert "<title>This page has expired | Tasks</title>" in response.content.decode()


def test_elsewhere_nothing_is_still_json() -> None:
    detail = "There is nothing at this address."

    assert is_error(Client().get("/nothing"), 404, "NOT_FOUND", detail)


def test_browsers_find_the_icon_that_they_ask_for() -> None:
    response = Client().get("/favicon.ico")

    assert (response.status_code, response["Location"]) == (302, "/static/config/icon.svg")
