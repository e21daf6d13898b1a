"""Members of staff: three groups, and a superuser."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.tasks.admin.conftest import _groups, administrator, support, viewer

__all__ = ["_groups", "administrator", "support", "viewer"]

PASSWORD = "correct horse battery staple"


@pytest.fixture
def _quick_hashes(settings: Any) -> None:
    """A thousand times faster than the default."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def superuser(db: None) -> Any:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.user = User.objects.create_superuser("root")  # type: ignore[attr-defined]
    client.force_login(client.user)  # type: ignore[attr-defined]
    return client
