from importlib import import_module

from django.db import migrations

from tasks.migrations._online import EXCLUSIVELY, RESET

EARLIER_RECORD = import_module("tasks.migrations.0009_changes_and_keys").RECORD

# PostgreSQL keeps the plan for as long as a connection lasts. Made while the table is small, it would
# read all of it each time.
FORGET = """
    CREATE OR REPLACE FUNCTION public.tasks_forget_changes(hash bigint, losses_too boolean)
    RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
    BEGIN
        DELETE FROM public.tasks_change WHERE ctid = ANY (ARRAY(
            SELECT change.ctid FROM public.tasks_change AS change
            WHERE change.user_hash = hash AND change.xid < pg_current_xact_id()
                AND (losses_too OR NOT change.is_loss)
            FOR UPDATE SKIP LOCKED));
    END
    $$
"""
RECORD = """
    CREATE OR REPLACE FUNCTION public.tasks_task_record() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        hash bigint := hashtextextended(coalesce(new.user_id, old.user_id), 0);
    BEGIN
        INSERT INTO public.tasks_change VALUES (hash, pg_current_xact_id(), tg_op = 'DELETE')
        ON CONFLICT DO NOTHING;
        IF found AND (tg_op = 'DELETE' OR random() < 0.01) THEN
            PERFORM public.tasks_forget_changes(hash, tg_op = 'DELETE');
        END IF;
        IF tg_op = 'DELETE' THEN
            RETURN old;
        END IF;
        IF tg_op = 'UPDATE' AND new.user_id <> old.user_id THEN
            INSERT INTO public.tasks_change
            VALUES (hashtextextended(old.user_id, 0), pg_current_xact_id(), true)
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN new;
    END
    $$
"""


class Migration(migrations.Migration):
    """Removes obsolete changes less often, at one write in a hundred, and always by the index."""

    atomic = False

    dependencies = [("tasks", "0013_search_descriptions")]
    operations = [
        migrations.RunSQL(EXCLUSIVELY, RESET),
        migrations.RunSQL(
            [FORGET, RECORD],
            [
                EARLIER_RECORD,
                "DROP FUNCTION IF EXISTS public.tasks_forget_changes(bigint, boolean)",
            ],
        ),
        migrations.RunSQL(RESET, EXCLUSIVELY),
    ]
