"""What the settings imply: the URL of the keys, and the spellings of issuer and audience."""

from typing import Any

import pytest

from authjwt import conf


@pytest.mark.parametrize(
    ("url", "key_set_url"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(
            "https://app.example.com", "https://app.example.com/api/auth/jwks", id="origin"
        ),
        pytest.param(
            "https://app.example.com/", "https://app.example.com/api/auth/jwks", id="slash"
        ),
        pytest.param(
            "https://app.example.com/api/auth",
            "https://app.example.com/api/auth/jwks",
            id="path",
        ),
        pytest.param(
            "https://app.example.com/api/auth/",
            "https://app.example.com/api/auth/jwks",
            id="path_and_slash",
        ),
        pytest.param(
            "https://app.example.com/login", "https://app.example.com/login/jwks", id="own_path"
        ),
        pytest.param(
            "http://localhost:3000", "http://localhost:3000/api/auth/jwks", id="development"
        ),
    ],
)
def test_the_url_of_the_key_set_is_below_better_auth(
    url: str, key_set_url: str, settings: Any
) -> None:
    settings.BETTER_AUTH_URL = url

    assert next(iter(conf.key_set_urls()), "") == key_set_url


def test_a_configured_url_of_the_key_set_takes_precedence(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "https://app.example.com"
    settings.BETTER_AUTH_JWKS_URL = "http://frontend:3000/api/auth/jwks"

    assert conf.key_set_urls() == ("http://frontend:3000/api/auth/jwks",)
    assert "https://app.example.com" in conf.issuers()


@pytest.mark.parametrize(
    ("configured", "accepted"),
    [
        pytest.param("", set(), id="nothing"),
        pytest.param("/", set(), id="slash"),
        pytest.param(
            "https://app.example.com",
            {"https://app.example.com", "https://app.example.com/"},
            id="origin",
        ),
        pytest.param(
            "https://App.Example.com/",
            {
                "https://App.Example.com",
                "https://App.Example.com/",
                "https://app.example.com",
                "https://app.example.com/",
            },
            id="upper_case",
        ),
        pytest.param(
            "https://app.example.com/api/auth",
            {
                "https://app.example.com/api/auth",
                "https://app.example.com/api/auth/",
                "https://app.example.com",
                "https://app.example.com/",
            },
            id="path",
        ),
        pytest.param("tasks", {"tasks"}, id="name"),
        pytest.param("urn:example:tasks/", {"urn:example:tasks/"}, id="urn"),
    ],
)
def test_issuer_and_audience_have_these_spellings(
    configured: str, accepted: set[str], settings: Any
) -> None:
    settings.BETTER_AUTH_URL = configured

    assert conf.issuers() == accepted
    assert conf.audiences() == accepted


def test_a_configured_issuer_takes_precedence(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "https://app.example.com"
    settings.BETTER_AUTH_ISSUER = "https://login.example.com"

    assert conf.issuers() == {"https://login.example.com", "https://login.example.com/"}
    assert conf.audiences() == {"https://app.example.com", "https://app.example.com/"}


def test_configured_audiences_take_precedence(settings: Any) -> None:
    settings.BETTER_AUTH_URL = "https://app.example.com"
    settings.BETTER_AUTH_AUDIENCE = ["tasks", "https://api.example.com"]

    assert conf.issuers() == {"https://app.example.com", "https://app.example.com/"}
    assert conf.audiences() == {
        "tasks",
        "https://api.example.com",
        "https://api.example.com/",
    }


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://APP.EXAMPLE.COM/PATH?a=b#c", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80/", "http://app.example.com"),
        ("http://app.example.com:443", "http://app.example.com:443"),
        ("https://app.example.com:8443/", "https://app.example.com:8443"),
        ("https://name:word@app.example.com", "https://app.example.com"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]"),
        ("https://app.example.com:port", ""),
        ("https://app.example.com:65536", ""),
        ("https://[::1", ""),
        ("https://", ""),
        ("ftp://app.example.com", ""),
        ("//app.example.com", ""),
        ("app.example.com", ""),
        ("localhost:3000", ""),
        ("", ""),
    ],
)
def test_an_origin_is_written_as_a_browser_does(url: str, origin: str) -> None:
    assert conf.origin(url) == origin


def test_the_secret_is_the_bytes_of_its_text(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = "\u00e9" * 16

    assert conf.secret() == b"\xc3\xa9" * 16
