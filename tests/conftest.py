"""Three people, and a configuration that is the same on every machine."""

from typing import Any

import pytest

from tests.people import SECRET, Person


@pytest.fixture(autouse=True)
def _shared_secret(settings: Any) -> None:
    """The tests bring their own configuration, whatever the machine has."""
    settings.BETTER_AUTH_URL = ""
    settings.BETTER_AUTH_JWKS_URL = ""
    settings.BETTER_AUTH_ISSUER = ""
    settings.BETTER_AUTH_AUDIENCE = []
    settings.BETTER_AUTH_SECRET = SECRET


@pytest.fixture
def alice() -> Person:
    return Person("alice")


@pytest.fixture
def bob() -> Person:
    return Person("bob")


@pytest.fixture
def charlie() -> Person:
    """The stranger: a good token, and no task."""
    return Person("charlie")
