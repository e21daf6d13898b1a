from typing import Any

import django.contrib.postgres.fields
from django.conf import settings
from django.db import migrations, models

from tasks.migrations._online import BRIEFLY

RIGHT = "manage_staff"
GROUP = "administrator"


def grant(apps: Any, _schema_editor: Any) -> None:
    """Creates the permission too, which Django does only after all migrations.

    The group may not exist yet: the migrations of tasks add their permissions to it.
    """
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="config", model="secondfactor"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        codename=RIGHT,
        content_type=content_type,
        defaults={"name": "Can manage staff accounts"},
    )
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=GROUP)
    group.permissions.add(permission)


def cascade(table: str) -> migrations.RunSQL:
    """The servers of an earlier release can delete an account, though they do not know the table."""
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_user "
        "FOREIGN KEY (user_id) REFERENCES auth_user (id) ON DELETE CASCADE",
        migrations.RunSQL.noop,
    )


class Migration(migrations.Migration):
    """The second factor and the sign-ins of staff, and the right of administrators to manage staff.

    The right is a new one, not `auth.change_user`: on the servers of an earlier release, that one
    would allow administrators to make themselves superusers.
    """

    initial = True
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.RunSQL(BRIEFLY, BRIEFLY),
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("secret", models.CharField(max_length=64)),
                ("last_step", models.BigIntegerField()),
                (
                    "recovery_hashes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), size=None
                    ),
                ),
                ("failures", models.PositiveBigIntegerField(default=0)),
                ("paused_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=models.DO_NOTHING,
                        related_name="second_factor",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "permissions": (("manage_staff", "Can manage staff accounts"),),
                "default_permissions": (),
            },
        ),
        cascade("config_secondfactor"),
        migrations.CreateModel(
            name="SignIn",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("time", models.DateTimeField(auto_now_add=True)),
                (
                    "result",
                    models.CharField(
                        choices=[
                            ("ok", "signed in"),
                            ("password", "wrong password"),
                            ("code", "right password, but wrong or missing code"),
                        ],
                        max_length=8,
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(max_length=255)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=models.DO_NOTHING,
                        related_name="sign_ins",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        cascade("config_signin"),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
