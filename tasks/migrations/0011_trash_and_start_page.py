from django.db import migrations, models

from tasks.migrations._online import BRIEFLY


class Migration(migrations.Migration):
    """Adds who moved tasks to the trash, and the counts of refused tokens, for the admin."""

    dependencies = [("tasks", "0010_undo_and_audit")]
    operations = [
        migrations.RunSQL(BRIEFLY, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Trash",
            fields=[],
            options={
                "verbose_name": "task in the trash",
                "verbose_name_plural": "Trash",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("tasks.task",),
        ),
        migrations.CreateModel(
            name="Deletion",
            fields=[
                ("deleted_at", models.DateTimeField(primary_key=True, serialize=False)),
                ("command", models.CharField(blank=True, max_length=50)),
                ("staff_id", models.BigIntegerField(null=True)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="RefusedTokens",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "hour",
                        "reason",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("reason", models.CharField(max_length=50)),
                ("number", models.BigIntegerField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunSQL(migrations.RunSQL.noop, BRIEFLY),
    ]
