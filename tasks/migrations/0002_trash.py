from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Gives tasks a trash, while the service goes on: its table is never locked for long."""

    atomic = False

    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.RunSQL("SET lock_timeout = '1s'", "RESET lock_timeout"),
        migrations.AddField(
            "task", "deleted_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        # To wait for others is harmless from here on: they read and write meanwhile.
        migrations.RunSQL("SET lock_timeout = '5min'", "SET lock_timeout = '1s'"),
        AddIndexConcurrently(
            "task",
            models.Index(
                models.F("user_id"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("deleted_at__isnull", True)),
                name="task_alive",
            ),
        ),
        AddIndexConcurrently(
            "task",
            models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["deleted_at", "user_id"],
                name="task_trash",
            ),
        ),
        RemoveIndexConcurrently("task", "task_list"),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '5min'"),
    ]
