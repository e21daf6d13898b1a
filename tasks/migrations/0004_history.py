from django.db import migrations

from tasks.migrations._online import BESIDE_OTHERS, RESET


class Migration(migrations.Migration):
    """Adds indexes that find changes by task, owner or member of staff in a log of millions."""

    atomic = False

    replaces = [("tasks", "0005_history")]
    dependencies = [
        ("tasks", "0003_search"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]
    operations = [
        migrations.RunSQL(BESIDE_OTHERS, RESET),
        migrations.RunSQL(
            [
                # Entries of other models may hold any text, so only those of tasks are read as JSON.
                """
                CREATE OR REPLACE FUNCTION task_owner(message text) RETURNS text LANGUAGE sql IMMUTABLE
                RETURN CASE WHEN message LIKE '[{"owner": %' THEN message::jsonb -> 0 ->> 'owner' END
                """
            ],
            ["DROP FUNCTION IF EXISTS task_owner"],
        ),
        # As in IndexConcurrently.
        *(
            migrations.RunSQL(
                [
                    f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON django_admin_log ({columns})",
                ],
                [f"DROP INDEX CONCURRENTLY IF EXISTS {name}"],
            )
            for name, columns in (
                ("task_history_task", "object_id, id"),
                ("task_history_owner", "task_owner(change_message), id"),
                ("task_history_staff", "user_id, action_time DESC"),
            )
        ),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
