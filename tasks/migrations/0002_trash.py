from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations, models

from tasks.migrations._online import BESIDE_OTHERS, EXCLUSIVELY, RESET, IndexConcurrently


class Migration(migrations.Migration):
    """Adds the trash while the service is in use: the table is never locked for long."""

    atomic = False

    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.RunSQL(EXCLUSIVELY, RESET),
        migrations.RunSQL(
            'ALTER TABLE "tasks_task" ADD COLUMN IF NOT EXISTS "deleted_at" timestamp with time zone',
            'ALTER TABLE "tasks_task" DROP COLUMN IF EXISTS "deleted_at"',
            [
                migrations.AddField(
                    "task",
                    "deleted_at",
                    models.DateTimeField(blank=True, editable=False, null=True),
                )
            ],
        ),
        migrations.RunSQL(BESIDE_OTHERS, EXCLUSIVELY),
        IndexConcurrently(
            "task",
            models.Index(
                models.F("user_id"),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("deleted_at__isnull", True)),
                name="task_alive",
            ),
        ),
        IndexConcurrently(
            "task",
            models.Index(
                condition=models.Q(("deleted_at__isnull", False)),
                fields=["deleted_at", "user_id"],
                name="task_trash",
            ),
        ),
        RemoveIndexConcurrently("task", "task_list"),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
