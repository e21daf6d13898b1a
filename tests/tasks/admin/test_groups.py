"""The three groups of staff, which a migration creates."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

pytestmark = pytest.mark.django_db

make_groups = import_module("tasks.migrations.0005_groups").make_groups

SUPPORT = ["change_task", "export_task", "restore_task", "trash_task", "view_task"]
OF_TASKS = ["add_task", *SUPPORT[:1], "delete_task", *SUPPORT[1:]]
ALL = sorted([*OF_TASKS, "view_audit"])


def granted() -> dict[str, list[str]]:
    """The permissions on tasks."""
    return {
        group.name: sorted(
            group.permissions.filter(content_type__app_label="tasks").values_list(
                "codename", flat=True
            )
        )
        for group in Group.objects.all()
    }


@pytest.mark.usefixtures("_groups")
def test_each_group_has_its_permissions() -> None:
    assert granted() == {"viewer": ["view_task"], "support": SUPPORT, "administrator": ALL}


def test_on_a_fresh_database_the_permissions_are_created_too() -> None:
    Group.objects.all().delete()
    Permission.objects.all().delete()

    make_groups(apps, None)

    assert granted()["administrator"] == OF_TASKS


@pytest.mark.usefixtures("_groups")
def test_creating_the_groups_again_changes_nothing() -> None:
    before = list(Permission.objects.order_by("pk").values())
    Group.objects.get(name="viewer").permissions.add(Permission.objects.get(codename="export_task"))

    make_groups(apps, None)

    assert granted()["viewer"] == ["export_task", "view_task"]
    assert list(Permission.objects.order_by("pk").values()) == before


@pytest.mark.django_db(databases=["default", "api"])
@pytest.mark.usefixtures("_groups")
def test_migrate_keeps_the_permissions_that_already_exist() -> None:
    before = list(Permission.objects.order_by("pk").values())

    call_command("migrate", verbosity=0)

    assert list(Permission.objects.order_by("pk").values()) == before


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_the_migration_creates_the_groups() -> None:
    Group.objects.all().delete()
    call_command("migrate", "tasks", "0004_history", verbosity=0)
    call_command("migrate", "tasks", verbosity=0)

    assert granted() == {"viewer": ["view_task"], "support": SUPPORT, "administrator": ALL}
