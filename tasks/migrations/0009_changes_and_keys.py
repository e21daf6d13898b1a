from django.db import migrations, models
from django.db.models import F, Q

from tasks.migrations._online import BESIDE_OTHERS, EXCLUSIVELY, RESET, IndexConcurrently

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)

# PostgreSQL prepares the expression of each constraint again for each statement that writes, but a
# function only once per connection. So one constraint checks all rules, and names the broken one as
# a constraint of its own would. That saves a write 20 microseconds.
CHECK = f"""
    CREATE OR REPLACE FUNCTION public.tasks_check(
        user_id text, title text, description text, complete boolean, priority text,
        due_day date, due_at timestamptz, tags text[], completed_at timestamptz
    ) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    DECLARE
        broken text := CASE
            WHEN user_id = '' THEN 'task_user_id_not_empty'
            WHEN title = '' THEN 'task_title_not_blank'
            WHEN title <> btrim(title, '{WHITE_SPACE}') THEN 'task_title_trimmed'
            WHEN length(description) > 1000 THEN 'task_description_length'
            WHEN priority NOT IN ('low', 'medium', 'high') THEN 'task_priority'
            WHEN complete <> (completed_at IS NOT NULL) THEN 'task_completed_at_when_complete'
            WHEN (due_day IS NOT NULL OR due_at IS NOT NULL)
                AND public.tasks_is_due(due_day, due_at) IS NOT true THEN 'task_due'
            WHEN tags <> '{{}}' AND public.tasks_are_tags(tags) IS NOT true THEN 'task_tags'
        END;
    BEGIN
        IF broken IS NULL THEN
            RETURN true;
        END IF;
        RAISE check_violation USING
            MESSAGE = format('new row for relation "tasks_task" violates check constraint "%s"', broken),
            SCHEMA = 'public', TABLE = 'tasks_task', CONSTRAINT = broken;
    END
    $$
"""
EARLIER_CHECKS = {
    "task_user_id_not_empty": "user_id <> ''",
    "task_title_not_blank": "title <> ''",
    "task_title_trimmed": f"title = btrim(title, '{WHITE_SPACE}')",
    "task_description_length": "length(description) <= 1000",
    "task_priority": "priority IN ('low', 'medium', 'high')",
    "task_completed_at_when_complete": "complete = (completed_at IS NOT NULL)",
    "task_due": "due_day IS NULL AND due_at IS NULL OR public.tasks_is_due(due_day, due_at)",
    "task_tags": "tags = '{}' OR public.tasks_are_tags(tags)",
}
# Checks only rows that are written from now on. VALIDATE checks the others without locking them.
ADD_CHECK = """
    ALTER TABLE public.tasks_task
        DROP CONSTRAINT IF EXISTS task_check,
        ADD CONSTRAINT task_check CHECK (public.tasks_check(
            user_id, title, description, complete, priority, due_day, due_at, tags, completed_at
        )) NOT VALID
"""
DROP_EARLIER_CHECKS = "ALTER TABLE public.tasks_task " + ", ".join(
    f"DROP CONSTRAINT IF EXISTS {name}" for name in EARLIER_CHECKS
)
ADD_EARLIER_CHECKS = "ALTER TABLE public.tasks_task " + ", ".join(
    f"DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID"
    for name, rule in EARLIER_CHECKS.items()
)

COLUMNS = """
    ALTER TABLE public.tasks_task
        ADD COLUMN IF NOT EXISTS idempotency_key varchar(255),
        ADD COLUMN IF NOT EXISTS idempotency_fingerprint varchar(64)
"""
NO_COLUMNS = """
    ALTER TABLE public.tasks_task
        DROP COLUMN IF EXISTS idempotency_key,
        DROP COLUMN IF EXISTS idempotency_fingerprint
"""

# Which transactions have written tasks of a user. `tasks_api.sync_tasks` compares them with what
# the database had committed when a client last asked, so an index of the tasks themselves is not
# needed, and changes of tasks stay HOT. A row says nothing about a task, and its user is hashed.
CHANGES = """
    CREATE TABLE IF NOT EXISTS public.tasks_change (
        user_hash bigint,
        xid xid8,
        is_loss boolean,
        PRIMARY KEY (user_hash, xid, is_loss)
    )
"""
# A loss is a task that the user no longer has, not even in the trash.
#
# Rows that other transactions have made before are obsolete: this one is newer than they are for
# every client that has not seen them. They are removed now and then, but not if another transaction
# is just doing that, so that no writer ever waits here.
#
# Like `tasks_check` it has no setting of its own, such as a search_path, since each write would pay
# for it: the operations of the API have theirs, and others write with their own rights and names.
RECORD = """
    CREATE OR REPLACE FUNCTION public.tasks_task_record() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        hash bigint := hashtextextended(coalesce(new.user_id, old.user_id), 0);
    BEGIN
        INSERT INTO public.tasks_change VALUES (hash, pg_current_xact_id(), tg_op = 'DELETE')
        ON CONFLICT DO NOTHING;
        IF found AND (tg_op = 'DELETE' OR random() < 0.03) THEN
            DELETE FROM public.tasks_change WHERE ctid = ANY (ARRAY(
                SELECT change.ctid FROM public.tasks_change AS change
                WHERE change.user_hash = hash AND change.xid < pg_current_xact_id()
                    AND (tg_op = 'DELETE' OR NOT change.is_loss)
                FOR UPDATE SKIP LOCKED));
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
RECORD_TRIGGER = """
    CREATE OR REPLACE TRIGGER task_record BEFORE INSERT OR UPDATE OR DELETE ON public.tasks_task
    FOR EACH ROW EXECUTE FUNCTION public.tasks_task_record()
"""


class Migration(migrations.Migration):
    """Records who has changes to fetch, and the keys of creates, while the service is in use."""

    atomic = False

    dependencies = [("tasks", "0008_due_dates_and_tags")]
    operations = [
        migrations.RunSQL(EXCLUSIVELY, RESET),
        migrations.RunSQL(
            COLUMNS,
            NO_COLUMNS,
            [
                migrations.AddField(
                    "task",
                    "idempotency_key",
                    models.CharField(blank=True, editable=False, max_length=255, null=True),
                ),
                migrations.AddField(
                    "task",
                    "idempotency_fingerprint",
                    models.CharField(blank=True, editable=False, max_length=64, null=True),
                ),
            ],
        ),
        migrations.RunSQL(
            [CHANGES, RECORD, RECORD_TRIGGER],
            [
                "DROP TRIGGER IF EXISTS task_record ON public.tasks_task",
                "DROP FUNCTION IF EXISTS public.tasks_task_record()",
                "DROP TABLE IF EXISTS public.tasks_change",
            ],
        ),
        migrations.RunSQL(
            [CHECK, ADD_CHECK],
            [
                "ALTER TABLE public.tasks_task DROP CONSTRAINT IF EXISTS task_check",
                "DROP FUNCTION IF EXISTS public.tasks_check",
            ],
        ),
        migrations.RunSQL(BESIDE_OTHERS, EXCLUSIVELY),
        migrations.RunSQL(
            "ALTER TABLE public.tasks_task VALIDATE CONSTRAINT task_check",
            [
                f"ALTER TABLE public.tasks_task VALIDATE CONSTRAINT {name}"
                for name in EARLIER_CHECKS
            ],
        ),
        migrations.RunSQL(EXCLUSIVELY, BESIDE_OTHERS),
        migrations.RunSQL(DROP_EARLIER_CHECKS, ADD_EARLIER_CHECKS),
        migrations.RunSQL(BESIDE_OTHERS, EXCLUSIVELY),
        IndexConcurrently(
            "task",
            models.Index(
                "user_id",
                F("deleted_at").desc(),
                F("id").desc(),
                name="task_trash_of_user",
                condition=Q(deleted_at__isnull=False),
            ),
        ),
        # As in IndexConcurrently.
        migrations.RunSQL(
            [
                "DROP INDEX CONCURRENTLY IF EXISTS public.task_idempotency_key",
                """
                CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS task_idempotency_key
                ON public.tasks_task (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL
                """,
            ],
            ["DROP INDEX CONCURRENTLY IF EXISTS public.task_idempotency_key"],
            [
                migrations.AddConstraint(
                    "task",
                    models.UniqueConstraint(
                        fields=("user_id", "idempotency_key"),
                        name="task_idempotency_key",
                        condition=Q(idempotency_key__isnull=False),
                        violation_error_message="The user has a task with this key already.",
                    ),
                )
            ],
        ),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
