from importlib import import_module

from django.db import migrations

from tasks.migrations._online import EXCLUSIVELY, RESET

EARLIER = import_module("tasks.migrations.0009_changes_and_keys")

# A connection keeps the plan. One that was made while the table was small would always read all of
# it.
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
# PostgreSQL prepares each expression outside of a statement again for each transaction, so a write
# of the API gets by with one. The function of migration 0009 had five.
RECORD = """
    CREATE OR REPLACE FUNCTION public.tasks_task_record_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.tasks_change
        VALUES (hashtextextended(new.user_id, 0), pg_current_xact_id(), false)
        ON CONFLICT DO NOTHING;
        IF found AND random() < 0.01 THEN
            PERFORM public.tasks_forget_changes(hashtextextended(new.user_id, 0), false);
        END IF;
        RETURN new;
    END
    $$
"""
RECORD_LOSS = """
    CREATE OR REPLACE FUNCTION public.tasks_task_record_loss() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF new.user_id IS DISTINCT FROM old.user_id THEN
            INSERT INTO public.tasks_change
            VALUES (hashtextextended(old.user_id, 0), pg_current_xact_id(), true)
            ON CONFLICT DO NOTHING;
            IF found THEN
                PERFORM public.tasks_forget_changes(hashtextextended(old.user_id, 0), true);
            END IF;
        END IF;
        RETURN coalesce(new, old);
    END
    $$
"""
# In one statement, so that no write is missed, nor recorded by two triggers.
TRIGGERS = """
    DO $$ BEGIN
        CREATE OR REPLACE TRIGGER task_record BEFORE INSERT OR UPDATE ON public.tasks_task
        FOR EACH ROW EXECUTE FUNCTION public.tasks_task_record_change();
        CREATE OR REPLACE TRIGGER task_record_loss BEFORE DELETE OR UPDATE OF user_id
        ON public.tasks_task FOR EACH ROW EXECUTE FUNCTION public.tasks_task_record_loss();
        DROP FUNCTION IF EXISTS public.tasks_task_record();
    END $$
"""
EARLIER_TRIGGERS = f"""
    DO $do$ BEGIN
        {EARLIER.RECORD};
        {EARLIER.RECORD_TRIGGER};
        DROP TRIGGER IF EXISTS task_record_loss ON public.tasks_task;
        DROP FUNCTION IF EXISTS public.tasks_task_record_change(), public.tasks_task_record_loss(),
            public.tasks_forget_changes(bigint, boolean);
    END $do$
"""


class Migration(migrations.Migration):
    """Records who has changes to fetch at less cost, and removes obsolete changes by their index."""

    atomic = False

    dependencies = [("tasks", "0013_search_descriptions")]
    operations = [
        migrations.RunSQL(EXCLUSIVELY, RESET),
        migrations.RunSQL([FORGET, RECORD, RECORD_LOSS, TRIGGERS], EARLIER_TRIGGERS),
        migrations.RunSQL(RESET, EXCLUSIVELY),
    ]
