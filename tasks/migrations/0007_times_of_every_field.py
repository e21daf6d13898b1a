from django.db import migrations

from tasks.migrations._online import BRIEFLY

TIMES = """
    CREATE OR REPLACE FUNCTION public.tasks_task_times() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        without_change public.tasks_task := new;
    BEGIN
        IF tg_op = 'UPDATE' AND new.updated_at <= old.updated_at THEN
            without_change.user_id := old.user_id;
            without_change.created_at := old.created_at;
            without_change.updated_at := old.updated_at;
            without_change.completed_at := old.completed_at;
            without_change.deleted_at := old.deleted_at;
            IF without_change IS DISTINCT FROM old THEN
                new.updated_at := greatest(
                    statement_timestamp(), old.updated_at + interval '1 microsecond'
                );
            END IF;
        END IF;
        new.completed_at := CASE WHEN new.complete THEN coalesce(new.completed_at, new.updated_at) END;
        RETURN new;
    END
    $$
"""
ON_UPDATE = """
    CREATE OR REPLACE TRIGGER task_times_on_update BEFORE UPDATE ON public.tasks_task
    FOR EACH ROW EXECUTE FUNCTION public.tasks_task_times()
"""


class Migration(migrations.Migration):
    """Derives `updated_at` from every field that a client can set, without naming them.

    The trigger names the columns that the service sets instead, so that a new field counts as soon
    as there is a column for it. Going back leaves the function as it is: it works for both triggers.
    """

    dependencies = [("tasks", "0006_times")]
    operations = [
        migrations.RunSQL(
            [*BRIEFLY, TIMES, ON_UPDATE],
            [
                *BRIEFLY,
                """
                CREATE OR REPLACE TRIGGER task_times_on_update
                BEFORE UPDATE OF title, description, complete, priority ON public.tasks_task
                FOR EACH ROW EXECUTE FUNCTION public.tasks_task_times()
                """,
            ],
        )
    ]
