from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Gives tasks a trash, while the service goes on: its table is never locked for long."""

    atomic = False

    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.AddField(
            "task", "deleted_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
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
    ]
