from typing import Any

from django.db import migrations

from tasks.migrations._online import BRIEFLY

PERMISSIONS = {
    "view_task": "Can view task",
    "add_task": "Can add task",
    "change_task": "Can change task",
    "delete_task": "Can delete task",
    "trash_task": "Can move task to the trash",
    "restore_task": "Can restore task from the trash",
    "export_task": "Can export tasks",
}
GROUPS = {
    "viewer": ["view_task"],
    "support": ["view_task", "change_task", "trash_task", "restore_task", "export_task"],
    "administrator": list(PERMISSIONS),
}


def make_groups(apps: Any, _schema_editor: Any) -> None:
    """Creates the permissions too, which Django does only after all migrations."""
    task, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tasks", model="task"
    )
    permission = apps.get_model("auth", "Permission").objects
    granted = {
        codename: permission.get_or_create(
            codename=codename, content_type=task, defaults={"name": name}
        )[0]
        for codename, name in PERMISSIONS.items()
    }
    for name, codenames in GROUPS.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*(granted[codename] for codename in codenames))


class Migration(migrations.Migration):
    """Creates three groups of staff. Later changes by an operator are kept."""

    replaces = [("tasks", "0006_groups")]
    dependencies = [
        ("tasks", "0004_history"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.RunSQL(BRIEFLY, migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            "task",
            {
                "permissions": (
                    ("trash_task", "Can move task to the trash"),
                    ("restore_task", "Can restore task from the trash"),
                    ("export_task", "Can export tasks"),
                )
            },
        ),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
