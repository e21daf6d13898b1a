"""Clients of three members of staff, one of each group."""

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

groups = import_module("tasks.migrations.0005_groups")
staff = import_module("config.migrations.0001_staff_accounts")
audit = import_module("tasks.migrations.0010_undo_and_audit")


@pytest.fixture
def _groups(db: None) -> None:
    """Creates the groups again: an earlier test may have emptied the database."""
    groups.make_groups(apps, None)
    staff.grant(apps, None)
    audit.grant_audit(apps, None)


def member_of(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(user)
    client.user = user  # type: ignore[attr-defined]
    return client


@pytest.fixture
def viewer(_groups: None) -> Any:
    return member_of("viewer")


@pytest.fixture
def support(_groups: None) -> Any:
    return member_of("support")


@pytest.fixture
def administrator(_groups: None) -> Any:
    return member_of("administrator")
