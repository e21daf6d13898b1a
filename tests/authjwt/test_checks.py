"""System checks report settings that would make tokens fail, or accept tokens of anybody."""

import json
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.checks import CheckMessage, run_checks
from django.core.management import CommandError, call_command

from authjwt.checks import check_settings
from tests.authjwt.conftest import signer

GOOD_SECRET = "kT0v8dQ1xZr5mWbJ3sLhN7pYcA2fGuEi4oRqV6jXnDw="
URL = "https://app.example.com"
JWKS_URL = f"{URL}/api/auth/jwks"
RESOURCE = "https://tasks.example.com/api"
JWKS = json.dumps({"keys": [signer("EdDSA").jwk()]})


def messages(settings: Any, **given: Any) -> list[CheckMessage]:
    """The messages if nothing else is configured."""
    for name in ("URL", "JWKS_URL", "JWKS", "ISSUER", "SECRET", "RESOURCE"):
        setattr(settings, f"BETTER_AUTH_{name}", given.get(name, ""))
    settings.BETTER_AUTH_READ_SCOPE = given.get("READ_SCOPE", "tasks:read")
    settings.BETTER_AUTH_AUDIENCE = given.get("AUDIENCE", [])
    return check_settings()


def ids(settings: Any, **given: Any) -> list[str]:
    return [str(message.id).removeprefix("authjwt.") for message in messages(settings, **given)]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"URL": URL}, id="url"),
        pytest.param({"SECRET": GOOD_SECRET}, id="secret"),
        pytest.param({"URL": URL, "SECRET": GOOD_SECRET}, id="both"),
        pytest.param({"JWKS": JWKS, "URL": URL}, id="key_set_without_network"),
        pytest.param({"JWKS_URL": JWKS_URL, "ISSUER": URL, "AUDIENCE": [URL]}, id="apart"),
        pytest.param({"URL": URL, "JWKS_URL": "https://frontend:3000/jwks"}, id="inside_url"),
        pytest.param({"URL": f"{URL}/login", "AUDIENCE": ["tasks", URL]}, id="path"),
        pytest.param({"URL": URL, "RESOURCE": RESOURCE}, id="resource"),
        pytest.param({"URL": URL, "RESOURCE": f"{RESOURCE}/"}, id="resource_with_a_slash"),
        pytest.param({"URL": URL, "RESOURCE": "http://localhost:8000"}, id="resource_at_home"),
        pytest.param(
            {"JWKS": JWKS, "ISSUER": URL, "AUDIENCE": [URL], "RESOURCE": RESOURCE},
            id="resource_without_network",
        ),
        pytest.param({"URL": URL, "ISSUER": "my-app"}, id="issuer_is_a_name"),
        pytest.param({"URL": URL, "ISSUER": "My App"}, id="issuer_with_a_blank"),
        pytest.param({"URL": URL, "ISSUER": "urn:example:app"}, id="issuer_is_a_urn"),
        pytest.param({"URL": URL, "AUDIENCE": ["urn:example:tasks"]}, id="audience_is_a_urn"),
        pytest.param({"URL": "https://jwks.example.com"}, id="host_called_jwks"),
        pytest.param({"URL": "http://localhost:3000"}, id="localhost"),
        pytest.param({"URL": "http://127.0.0.1:3000"}, id="loopback"),
        pytest.param({"URL": "http://127.8.8.8:3000"}, id="another_loopback"),
        pytest.param({"URL": "http://[::1]:3000"}, id="ipv6_loopback"),
        pytest.param({"URL": "http://app.localhost:3000"}, id="localhost_by_name"),
    ],
)
def test_good_settings_have_no_messages(given: dict[str, Any], settings: Any) -> None:
    assert ids(settings, **given) == []


@pytest.mark.parametrize(
    ("found", "given"),
    [
        pytest.param(["E001"], {}, id="nothing"),
        pytest.param(["E001"], {"ISSUER": URL, "AUDIENCE": [URL]}, id="no_keys"),
        pytest.param(["E002"], {"SECRET": GOOD_SECRET[:31]}, id="short_secret"),
        pytest.param(["E005"], {"JWKS": JWKS}, id="key_set_of_nobody"),
        pytest.param(["E010"], {"JWKS": "{}", "URL": URL}, id="no_key_set"),
        pytest.param(["E010"], {"JWKS": '{"keys": []}', "URL": URL}, id="empty_key_set"),
        pytest.param(["E011"], {"JWKS": JWKS, "JWKS_URL": JWKS_URL, "URL": URL}, id="two_key_sets"),
        pytest.param(["E002"], {"SECRET": GOOD_SECRET[:31], "URL": URL}, id="short_beside_url"),
        pytest.param(
            ["E003"], {"SECRET": '  {"kty": "oct", "k": "AyM1SysPpbyDfgZld3um"}'}, id="jwk"
        ),
        pytest.param(["E004"], {"URL": "app.example.com"}, id="no_scheme"),
        pytest.param(["E004"], {"URL": "ftp://app.example.com"}, id="another_scheme"),
        pytest.param(["E004"], {"URL": "https://"}, id="no_host"),
        pytest.param(["E004"], {"URL": "https://app.example.com:port"}, id="port"),
        pytest.param(["E004"], {"URL": "https://app.example.com:99999"}, id="high_port"),
        pytest.param(["E004"], {"URL": "https://[::1"}, id="half_an_address"),
        pytest.param(["E004"], {"URL": "https://app.example.com "}, id="blank_behind"),
        pytest.param(["E004"], {"URL": "https://app.exam\tple.com"}, id="tab_inside"),
        pytest.param(["E004"], {"URL": '"https://app.example.com"'}, id="quotes"),
        pytest.param(["E004"], {"URL": URL, "JWKS_URL": "/api/auth/jwks"}, id="jwks_path"),
        pytest.param(["E004"], {"URL": URL, "ISSUER": "https://"}, id="issuer"),
        pytest.param(["E004"], {"URL": URL, "ISSUER": "https:/app.example.com"}, id="issuer_slash"),
        pytest.param(["E004"], {"URL": URL, "ISSUER": " my-app"}, id="padded_issuer"),
        pytest.param(["E004"], {"URL": URL, "ISSUER": "my\napp"}, id="control_character"),
        pytest.param(["E004"], {"URL": URL, "ISSUER": "1:2"}, id="issuer_with_a_colon"),
        pytest.param(["E004", "E004"], {"URL": "a", "JWKS_URL": "b"}, id="two_urls"),
        pytest.param(["E005"], {"JWKS_URL": JWKS_URL}, id="keys_alone"),
        pytest.param(["E005"], {"JWKS_URL": JWKS_URL, "ISSUER": URL}, id="no_audience"),
        pytest.param(["E005"], {"JWKS_URL": JWKS_URL, "AUDIENCE": [URL]}, id="no_issuer"),
        pytest.param(["E007"], {"URL": JWKS_URL}, id="jwks_as_url"),
        pytest.param(["E007"], {"URL": f"{JWKS_URL}/"}, id="jwks_as_url_with_slash"),
        pytest.param(["E008"], {"URL": URL, "JWKS_URL": URL}, id="jwks_without_path"),
        pytest.param(["E008"], {"URL": URL, "JWKS_URL": f"{URL}/"}, id="jwks_at_the_root"),
        pytest.param(["E009"], {"URL": URL, "AUDIENCE": ["tasks", ""]}, id="empty_audience"),
        pytest.param(["E009"], {"URL": URL, "AUDIENCE": [" "]}, id="blank_audience"),
        pytest.param(["E009"], {"URL": URL, "AUDIENCE": [f" {URL}"]}, id="padded_audience"),
        pytest.param(["E009"], {"URL": URL, "AUDIENCE": URL}, id="audience_as_text"),
        pytest.param(["E009"], {"URL": URL, "AUDIENCE": [1]}, id="numeric_audience"),
        *(
            pytest.param(["E012"], {"URL": URL, "RESOURCE": resource}, id=f"resource_{name}")
            for name, resource in {
                "no_url": "urn:example:tasks",
                "no_scheme": "tasks.example.com/api",
                "fragment": f"{RESOURCE}#a",
                "query": f"{RESOURCE}?a=b",
                "user": "https://name:word@tasks.example.com",
                "quote": 'https://tasks.example.com/"',
                "backslash": "https://tasks.example.com/\\",
                "blank": f"{RESOURCE} ",
                "not_ascii": "https://t\u00e2ches.example.com",
            }.items()
        ),
        pytest.param(["E013"], {"SECRET": GOOD_SECRET, "RESOURCE": RESOURCE}, id="no_key_set"),
        pytest.param(
            ["E014"],
            {"JWKS_URL": JWKS_URL, "ISSUER": "my-app", "AUDIENCE": [URL], "RESOURCE": RESOURCE},
            id="no_authorization_server",
        ),
        *(
            pytest.param(
                ["E015"],
                {"URL": URL, "RESOURCE": RESOURCE, "READ_SCOPE": scope},
                id=f"scope_{name}",
            )
            for name, scope in {
                "empty": "",
                "two": "a b",
                "quote": 'a"',
                "backslash": "a\\",
                "umlaut": "\u00e4",
            }.items()
        ),
        pytest.param(["W001"], {"URL": "http://app.example.com"}, id="plain_url"),
        pytest.param(["W001"], {"URL": "HTTP://app.example.com"}, id="plain_in_upper_case"),
        pytest.param(["W001"], {"URL": URL, "JWKS_URL": "http://frontend/jwks"}, id="plain_jwks"),
        pytest.param(["W001"], {"URL": URL, "ISSUER": "http://app.example.com"}, id="plain_iss"),
        pytest.param(["W001"], {"URL": "http://10.0.0.1"}, id="private_address"),
        pytest.param(["W001"], {"URL": "http://localhost.example.com"}, id="not_localhost"),
        pytest.param(
            ["W001", "W001"],
            {"URL": "http://app.example.com", "JWKS_URL": "http://10.0.0.1/jwks"},
            id="both_plain",
        ),
        pytest.param(["E002", "E006", "E004"], {"SECRET": "changeme", "URL": "a"}, id="at_once"),
    ],
)
def test_each_error_has_its_id(found: list[str], given: dict[str, Any], settings: Any) -> None:
    assert ids(settings, **given) == found


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_public_key_is_refused_as_a_secret(algorithm: str, settings: Any) -> None:
    pem = signer(algorithm).public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert ids(settings, SECRET=pem.decode()) == ["E003"]


# From templates, tutorials and the sources of Better Auth, at least 32 bytes.
EXAMPLES = [
    "better-auth-secret-12345678901234567890",
    "better-auth-secret-1234567890123",
    "your-secret-key-here-min-32-chars",
    "your_secret_key_here_min_32_characters",
    "your-32-character-secret-key-here",
    "your-super-secret-key-here-change-this",
    "your-secret-key-here-replace-in-production",
    "your-default-secret-change-in-production",
    "your-better-auth-secret-at-least-32-characters-long",
    "replace-with-at-least-32-random-characters",
    "change-me-to-a-long-random-string",
    "CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME",
    "changemechangemechangemechangeme",
    "docker-build-placeholder-min-32-chars",
    "development-only-change-before-production",
    "<generate-a-32-char-random-string>",
    "supersecretsupersecretsupersecret",
    "my-super-secret-jwt-key-for-development",
    "test-secret-test-secret-test-secret",
    "secretsecretsecretsecretsecretsecret",
    "x" * 32,
    "0" * 64,
    "12341234123412341234123412341234",
]


@pytest.mark.parametrize("secret", EXAMPLES)
def test_an_example_is_refused_as_a_secret(secret: str, settings: Any) -> None:
    (message,) = messages(settings, SECRET=secret)

    assert message.id == "authjwt.E006"


@pytest.mark.parametrize("secret", ["changeme", "secret", "your-secret-key", "better-auth-secret"])
def test_a_short_example_has_both_messages(secret: str, settings: Any) -> None:
    assert ids(settings, SECRET=secret) == ["E002", "E006"]


@pytest.mark.parametrize(
    "make", [secrets.token_urlsafe, secrets.token_hex, lambda: "".join(map(str, range(40)))]
)
def test_a_generated_secret_is_accepted(make: Any, settings: Any) -> None:
    for _ in range(50):
        settings.BETTER_AUTH_SECRET = make()
        assert check_settings() == []


@pytest.mark.parametrize(
    "secret",
    [
        "correct horse battery staple, and a donkey",
        "better-auth-kT0v8dQ1xZr5mWbJ3sLhN7pYcA2f",
        "my-secret-is-my-grandmothers-maiden-name",
    ],
)
def test_a_passphrase_is_accepted_as_a_secret(secret: str, settings: Any) -> None:
    assert ids(settings, SECRET=secret) == []


def test_in_development_examples_and_plain_http_are_accepted(settings: Any) -> None:
    settings.DEBUG = True

    assert ids(settings, SECRET=EXAMPLES[0], URL="http://192.168.0.2:3000") == []
    assert ids(settings, SECRET="changeme", URL="app.example.com") == ["E002", "E004"]


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("x7Kq", id="short"),
        pytest.param("better-auth-secret-12345678901234567890", id="example"),
        pytest.param('{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko"}', id="jwk"),
    ],
)
def test_no_secret_is_printed(secret: str, settings: Any) -> None:
    found = messages(settings, SECRET=secret)

    assert found
    assert all(secret not in str(message) for message in found)


def test_no_credentials_in_a_url_are_printed(settings: Any) -> None:
    found = messages(settings, URL="http://name:word@app.example.com")

    assert [message.id for message in found] == ["authjwt.W001"]
    assert "word@" not in str(found)


def test_each_message_says_what_to_do(settings: Any) -> None:
    found = [
        *messages(settings),
        *messages(settings, SECRET="changeme", URL="http://app.example.com/jwks"),
        *messages(settings, URL="a", AUDIENCE=[""]),
        *messages(settings, JWKS_URL=URL),
        *messages(settings, SECRET="-----BEGIN PUBLIC KEY-----"),
    ]

    assert {message.id for message in found} == {
        *(f"authjwt.E00{number}" for number in range(1, 10)),
        "authjwt.W001",
    }
    assert all(message.hint for message in found)


def test_the_deployment_check_fails_with_an_error(settings: Any) -> None:
    settings.BETTER_AUTH_SECRET = "short"

    assert "authjwt.E002" in {message.id for message in run_checks(include_deployment_checks=True)}
    with pytest.raises(CommandError, match=r"authjwt\.E002"):
        call_command("check", deploy=True)
