from django.db import migrations

from tasks.migrations._online import BRIEFLY

TIMES = """
    CREATE FUNCTION public.tasks_task_times() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF tg_op = 'UPDATE' AND new.updated_at <= old.updated_at
            AND (new.title, new.description, new.complete, new.priority)
            IS DISTINCT FROM (old.title, old.description, old.complete, old.priority)
        THEN
            new.updated_at := greatest(statement_timestamp(), old.updated_at + interval '1 microsecond');
        END IF;
        new.completed_at := CASE WHEN new.complete THEN coalesce(new.completed_at, new.updated_at) END;
        RETURN new;
    END
    $$
"""
ON_UPDATE = """
    CREATE TRIGGER task_times_on_update
    BEFORE UPDATE OF title, description, complete, priority ON public.tasks_task
    FOR EACH ROW EXECUTE FUNCTION public.tasks_task_times()
"""
# The condition spares the other inserts the call.
ON_INSERT = """
    CREATE TRIGGER task_times_on_insert BEFORE INSERT ON public.tasks_task
    FOR EACH ROW WHEN (new.complete AND new.completed_at IS NULL)
    EXECUTE FUNCTION public.tasks_task_times()
"""


class Migration(migrations.Migration):
    """Keeps the times of a task right for every writer: the API, staff, commands and SQL by hand.

    `updated_at` grows with every change of a field that clients set, and `completed_at` is set
    while the task is complete.
    """

    dependencies = [("tasks", "0005_groups")]
    operations = [
        migrations.RunSQL(
            [*BRIEFLY, TIMES, ON_UPDATE, ON_INSERT],
            [
                *BRIEFLY,
                "DROP TRIGGER task_times_on_insert ON public.tasks_task",
                "DROP TRIGGER task_times_on_update ON public.tasks_task",
                "DROP FUNCTION public.tasks_task_times()",
            ],
        )
    ]
