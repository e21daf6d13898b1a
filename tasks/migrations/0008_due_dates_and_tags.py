from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from tasks.migrations._online import BESIDE_OTHERS, EXCLUSIVELY, RESET, IndexConcurrently

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
DUE = Coalesce(
    F("due_at"),
    Func(F("due_day"), template="timezone('UTC', (%(expressions)s)::timestamp)"),
    output_field=models.DateTimeField(),
)

COLUMNS = """
    ALTER TABLE public.tasks_task
        ADD COLUMN IF NOT EXISTS due_day date,
        ADD COLUMN IF NOT EXISTS due_at timestamp with time zone,
        ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}' NOT NULL,
        ADD COLUMN IF NOT EXISTS folded text[],
        ADD COLUMN IF NOT EXISTS tags_folded text[]
"""
NO_COLUMNS = """
    ALTER TABLE public.tasks_task
        DROP COLUMN IF EXISTS due_day,
        DROP COLUMN IF EXISTS due_at,
        DROP COLUMN IF EXISTS tags,
        DROP COLUMN IF EXISTS folded,
        DROP COLUMN IF EXISTS tags_folded
"""

# The constraints call these functions only for a task with a due date or with tags, and are short
# themselves, since PostgreSQL prepares their expressions again for each statement.
IS_DUE = """
    CREATE OR REPLACE FUNCTION public.tasks_is_due(day date, moment timestamptz) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF day IS NULL THEN
            RETURN moment IS NULL OR moment BETWEEN '0001-01-01 00:00:00+00:00'::timestamptz
                AND '9999-12-31 23:59:59.999999+00:00'::timestamptz;
        END IF;
        RETURN moment IS NULL AND day BETWEEN '0001-01-01'::date AND '9999-12-31'::date;
    END
    $$
"""
ARE_TAGS = f"""
    CREATE OR REPLACE FUNCTION public.tasks_are_tags(tags text[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RETURN cardinality(tags) <= 20 AND array_ndims(tags) = 1 AND (
            SELECT bool_and(
                tag IS NOT NULL AND length(tag) BETWEEN 1 AND 50
                AND tag = btrim(tag, '{WHITE_SPACE}') AND tag !~ '[,\\x01-\\x1f\\x7f-\\x9f]'
            ) FROM unnest(tags) AS tag
        );
    END
    $$
"""  # noqa: S608  a constant


def casefold_sql() -> str:
    """`str.casefold` in PostgreSQL, whose own functions depend on its version and locale.

    Unicode never changes how a character folds, so a later version only adds characters.
    """
    folds = {
        character: character.casefold()
        for character in map(chr, range(0x80, 0x110000))
        if character.casefold() != character
    }
    single = {character: fold for character, fold in folds.items() if len(fold) == 1}
    longer = {character: fold for character, fold in folds.items() if len(fold) > 1}
    pairs = ",".join(f"{{{character},{fold}}}" for character, fold in longer.items())
    capitals = "".join(single)
    return f"""
        CREATE OR REPLACE FUNCTION public.tasks_casefold(given text) RETURNS text
        LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            folded text := lower(given COLLATE "C");
            capitals text;
            pair text[];
        BEGIN
            IF octet_length(given) = length(given) THEN
                RETURN folded;
            END IF;
            -- To translate with the whole table would compare each character with a thousand others.
            capitals := regexp_replace(folded, '[^{capitals}]+', '', 'g');
            folded := translate(
                folded, capitals, translate(capitals, '{capitals}', '{"".join(single.values())}')
            );
            IF folded ~ '[{"".join(longer)}]' THEN
                FOREACH pair SLICE 1 IN ARRAY '{{{pairs}}}'::text[] LOOP
                    folded := replace(folded, pair[1], pair[2]);
                END LOOP;
            END IF;
            RETURN folded;
        END
        $$
    """


# '{}' for texts that need no more than ASCII, and NULL for no tags.
FOLD = """
    CREATE OR REPLACE FUNCTION public.tasks_fold(title text, description text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        folded text[];
    BEGIN
        IF octet_length(title) = length(title)
            AND coalesce(octet_length(description) = length(description), true)
        THEN
            RETURN '{}';
        END IF;
        folded := ARRAY[public.tasks_casefold(title), public.tasks_casefold(description)];
        IF folded = ARRAY[lower(title COLLATE "C"), lower(description COLLATE "C")] THEN
            RETURN '{}';
        END IF;
        RETURN folded;
    END
    $$
"""
FOLD_TAGS = """
    CREATE OR REPLACE FUNCTION public.tasks_fold(tags text[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF tags = '{}' THEN
            RETURN NULL;
        END IF;
        RETURN ARRAY(SELECT public.tasks_casefold(tag) FROM unnest(tags) AS tag);
    END
    $$
"""
DERIVE = """
    CREATE OR REPLACE FUNCTION public.tasks_task_derive() RETURNS trigger LANGUAGE plpgsql
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
            without_change.folded := old.folded;
            without_change.tags_folded := old.tags_folded;
            IF without_change IS DISTINCT FROM old THEN
                new.updated_at := greatest(
                    statement_timestamp(), old.updated_at + interval '1 microsecond'
                );
            END IF;
        END IF;
        IF new.complete THEN
            new.completed_at := coalesce(new.completed_at, new.updated_at);
        ELSIF tg_op = 'UPDATE' THEN
            new.completed_at := NULL;
        END IF;
        -- In an INSERT, `old` is NULL.
        IF (new.title, new.description, new.folded)
            IS DISTINCT FROM (old.title, old.description, old.folded)
        THEN
            new.folded := public.tasks_fold(new.title, new.description);
        END IF;
        IF (new.tags, new.tags_folded) IS DISTINCT FROM (old.tags, old.tags_folded) THEN
            new.tags_folded := public.tasks_fold(new.tags);
        END IF;
        RETURN new;
    END
    $$
"""
# The API derives what it inserts itself. The condition spares its inserts the call.
TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER task_derive_on_insert BEFORE INSERT ON public.tasks_task
    FOR EACH ROW WHEN (new.folded IS NULL OR new.complete AND new.completed_at IS NULL)
    EXECUTE FUNCTION public.tasks_task_derive()
    """,
    """
    CREATE OR REPLACE TRIGGER task_derive_on_update BEFORE UPDATE ON public.tasks_task
    FOR EACH ROW EXECUTE FUNCTION public.tasks_task_derive()
    """,
    "DROP TRIGGER IF EXISTS task_times_on_insert ON public.tasks_task",
    "DROP TRIGGER IF EXISTS task_times_on_update ON public.tasks_task",
)
EARLIER_TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER task_times_on_insert BEFORE INSERT ON public.tasks_task
    FOR EACH ROW WHEN (new.complete AND new.completed_at IS NULL)
    EXECUTE FUNCTION public.tasks_task_times()
    """,
    """
    CREATE OR REPLACE TRIGGER task_times_on_update BEFORE UPDATE ON public.tasks_task
    FOR EACH ROW EXECUTE FUNCTION public.tasks_task_times()
    """,
    "DROP TRIGGER IF EXISTS task_derive_on_insert ON public.tasks_task",
    "DROP TRIGGER IF EXISTS task_derive_on_update ON public.tasks_task",
)
END_OF_BATCH = """
    SELECT max(id) FROM (
        SELECT id FROM public.tasks_task WHERE id > %s ORDER BY id LIMIT 5000
    ) AS batch
"""
# The trigger replaces the value.
FOLD_BATCH = """
    UPDATE public.tasks_task SET folded = '{}'
    WHERE id > %s AND id <= %s AND folded IS NULL AND public.tasks_fold(title, description) <> '{}'
"""

CONSTRAINTS = (
    models.CheckConstraint(
        name="task_due",
        condition=Q(due_day__isnull=True, due_at__isnull=True)
        | Q(
            Func(
                F("due_day"),
                F("due_at"),
                function="tasks_is_due",
                output_field=models.BooleanField(),
            )
        ),
        violation_error_message=(
            "A task is due on a day or at a time, not both, in the years 0001 to 9999."
        ),
    ),
    models.CheckConstraint(
        name="task_tags",
        condition=Q(tags=[])
        | Q(Func(F("tags"), function="tasks_are_tags", output_field=models.BooleanField())),
        violation_error_message=(
            "A task has at most 20 tags of 1 to 50 characters, without commas, control characters, "
            "and white space at the ends."
        ),
    ),
)
# Checks only rows that are written from now on. VALIDATE checks the others without locking them.
ADD_CONSTRAINTS = """
    ALTER TABLE public.tasks_task
        DROP CONSTRAINT IF EXISTS task_due,
        DROP CONSTRAINT IF EXISTS task_tags,
        ADD CONSTRAINT task_due CHECK (
            due_day IS NULL AND due_at IS NULL OR public.tasks_is_due(due_day, due_at)
        ) NOT VALID,
        ADD CONSTRAINT task_tags CHECK (tags = '{}' OR public.tasks_are_tags(tags)) NOT VALID
"""


def fold_existing(_apps: Any, schema_editor: Any) -> None:
    """In batches, so that no request waits long for a task that is being folded."""
    start = 0
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(END_OF_BATCH, [start])
            (end,) = cursor.fetchone()
            if end is None:
                return
            cursor.execute(FOLD_BATCH, [start, end])
            start = end


class Migration(migrations.Migration):
    """Adds due dates, tags, and what search and sorting compare, while the service is in use."""

    atomic = False

    dependencies = [("tasks", "0007_times_of_every_field")]
    operations = [
        migrations.RunSQL(EXCLUSIVELY, RESET),
        migrations.RunSQL(
            COLUMNS,
            NO_COLUMNS,
            [
                migrations.AddField("task", "due_day", models.DateField(blank=True, null=True)),
                migrations.AddField("task", "due_at", models.DateTimeField(blank=True, null=True)),
                migrations.AddField(
                    "task",
                    "tags",
                    ArrayField(
                        models.TextField(), blank=True, db_default=Value("{}"), default=list
                    ),
                ),
                migrations.AddField(
                    "task",
                    "folded",
                    ArrayField(models.TextField(null=True), blank=True, editable=False, null=True),
                ),
                migrations.AddField(
                    "task",
                    "tags_folded",
                    ArrayField(models.TextField(), blank=True, editable=False, null=True),
                ),
            ],
        ),
        migrations.RunSQL(
            [IS_DUE, ARE_TAGS, casefold_sql(), FOLD, FOLD_TAGS, DERIVE],
            [
                "DROP FUNCTION IF EXISTS public.tasks_task_derive()",
                "DROP FUNCTION IF EXISTS public.tasks_fold(text[])",
                "DROP FUNCTION IF EXISTS public.tasks_fold(text, text)",
                "DROP FUNCTION IF EXISTS public.tasks_casefold(text)",
                "DROP FUNCTION IF EXISTS public.tasks_are_tags(text[])",
                "DROP FUNCTION IF EXISTS public.tasks_is_due(date, timestamptz)",
            ],
        ),
        migrations.RunSQL([*TRIGGERS], [*EARLIER_TRIGGERS]),
        migrations.RunSQL(
            ADD_CONSTRAINTS,
            [
                f"ALTER TABLE public.tasks_task DROP CONSTRAINT IF EXISTS {constraint.name}"
                for constraint in CONSTRAINTS
            ],
            [migrations.AddConstraint("task", constraint) for constraint in CONSTRAINTS],
        ),
        migrations.RunSQL(BESIDE_OTHERS, EXCLUSIVELY),
        *(
            migrations.RunSQL(
                f"ALTER TABLE public.tasks_task VALIDATE CONSTRAINT {constraint.name}",
                migrations.RunSQL.noop,
            )
            for constraint in CONSTRAINTS
        ),
        migrations.RunPython(fold_existing, migrations.RunPython.noop),
        IndexConcurrently(
            "task",
            GinIndex(
                fields=("tags_folded",),
                name="task_tags",
                condition=Q(tags_folded__isnull=False),
                gin_pending_list_limit=256,
            ),
        ),
        IndexConcurrently(
            "task", models.Index(DUE, name="task_due", condition=Q(IsNull(DUE, rhs=False)))
        ),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
