from django.db import migrations


class Migration(migrations.Migration):
    """Finds what staff changed by task, by owner and by member of staff, in a log of millions."""

    atomic = False

    replaces = [("tasks", "0005_history")]
    dependencies = [
        ("tasks", "0003_search"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]
    operations = [
        # To wait for others is harmless: they read and write meanwhile.
        migrations.RunSQL("SET lock_timeout = '5min'", "RESET lock_timeout"),
        migrations.RunSQL(
            [
                # Entries of other models hold whatever they like: only ours are read as JSON.
                """
                CREATE FUNCTION task_owner(message text) RETURNS text LANGUAGE sql IMMUTABLE
                RETURN CASE WHEN message LIKE '[{"owner": %' THEN message::jsonb -> 0 ->> 'owner' END
                """
            ],
            ["DROP FUNCTION task_owner"],
        ),
        *(
            migrations.RunSQL(
                [f"CREATE INDEX CONCURRENTLY {name} ON django_admin_log ({columns})"],
                [f"DROP INDEX CONCURRENTLY {name}"],
            )
            for name, columns in (
                ("task_history_task", "object_id, id"),
                ("task_history_owner", "task_owner(change_message), id"),
                ("task_history_staff", "user_id, action_time DESC"),
            )
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '5min'"),
    ]
