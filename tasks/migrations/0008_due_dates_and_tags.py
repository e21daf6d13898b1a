from datetime import UTC, date, datetime
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


FOLD = """
    CREATE OR REPLACE FUNCTION public.tasks_task_fold() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        title text := public.tasks_casefold(new.title);
        description text := public.tasks_casefold(new.description);
    BEGIN
        new.folded := CASE WHEN (title, description) IS DISTINCT FROM
            (lower(new.title COLLATE "C"), lower(new.description COLLATE "C"))
            THEN ARRAY[title, description] END;
        new.tags_folded := (SELECT array_agg(public.tasks_casefold(tag)) FROM unnest(new.tags) AS tag);
        RETURN new;
    END
    $$
"""
# Triggers run in the order of their names. After `task_times_on_update`, so that `updated_at` does
# not depend on the folded columns. The condition spares most tasks the call.
TRIGGER = """
    CREATE OR REPLACE TRIGGER task_unicode BEFORE INSERT OR UPDATE ON public.tasks_task
    FOR EACH ROW WHEN (
        octet_length(new.title) <> length(new.title)
        OR octet_length(new.description) <> length(new.description)
        OR new.tags <> '{}' OR new.folded IS NOT NULL OR new.tags_folded IS NOT NULL
    )
    EXECUTE FUNCTION public.tasks_task_fold()
"""
# The trigger fills in the column.
FOLD_BATCH = """
    WITH batch AS (SELECT id FROM public.tasks_task WHERE id > %s ORDER BY id LIMIT 5000),
    folded AS (
        UPDATE public.tasks_task AS task SET title = title FROM batch
        WHERE task.id = batch.id AND folded IS NULL
            AND (public.tasks_casefold(title), public.tasks_casefold(description))
            IS DISTINCT FROM (lower(title COLLATE "C"), lower(description COLLATE "C"))
    )
    SELECT max(id) FROM batch
"""

CONSTRAINTS = {
    "task_due_day_or_time": models.CheckConstraint(
        name="task_due_day_or_time",
        condition=Q(due_day__isnull=True) | Q(due_at__isnull=True),
        violation_error_message="A task is due on a day or at a time, not both.",
    ),
    "task_due_year": models.CheckConstraint(
        name="task_due_year",
        condition=Q(due_day__range=(date.min, date.max))
        & Q(due_at__range=(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))),
        violation_error_message="A task is due in the years 0001 to 9999.",
    ),
    "task_tags": models.CheckConstraint(
        name="task_tags",
        condition=Q(tags=[])
        | Q(Func(F("tags"), function="tasks_are_tags", output_field=models.BooleanField())),
        violation_error_message=(
            "A task has at most 20 tags of 1 to 50 characters, without commas, control characters, "
            "and white space at the ends."
        ),
    ),
}
# Checks only rows that are written from now on. VALIDATE checks the others without locking them.
ADD_CONSTRAINTS = """
    ALTER TABLE public.tasks_task
        DROP CONSTRAINT IF EXISTS task_due_day_or_time,
        DROP CONSTRAINT IF EXISTS task_due_year,
        DROP CONSTRAINT IF EXISTS task_tags,
        ADD CONSTRAINT task_due_day_or_time CHECK (due_day IS NULL OR due_at IS NULL) NOT VALID,
        ADD CONSTRAINT task_due_year CHECK (
            due_day BETWEEN '0001-01-01'::date AND '9999-12-31'::date
            AND due_at BETWEEN '0001-01-01 00:00:00+00:00'::timestamptz
                AND '9999-12-31 23:59:59.999999+00:00'::timestamptz
        ) NOT VALID,
        ADD CONSTRAINT task_tags CHECK (tags = '{}' OR public.tasks_are_tags(tags)) NOT VALID
"""


def fold_existing(_apps: Any, schema_editor: Any) -> None:
    """In batches, so that no request waits long for a task that is being folded."""
    last = 0
    with schema_editor.connection.cursor() as cursor:
        while last is not None:
            cursor.execute(FOLD_BATCH, [last])
            (last,) = cursor.fetchone()


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
            [ARE_TAGS, casefold_sql(), FOLD],
            [
                "DROP FUNCTION IF EXISTS public.tasks_task_fold()",
                "DROP FUNCTION IF EXISTS public.tasks_casefold(text)",
                "DROP FUNCTION IF EXISTS public.tasks_are_tags(text[])",
            ],
        ),
        migrations.RunSQL(TRIGGER, "DROP TRIGGER IF EXISTS task_unicode ON public.tasks_task"),
        migrations.RunSQL(
            ADD_CONSTRAINTS,
            [
                f"ALTER TABLE public.tasks_task DROP CONSTRAINT IF EXISTS {name}"
                for name in CONSTRAINTS
            ],
            [migrations.AddConstraint("task", constraint) for constraint in CONSTRAINTS.values()],
        ),
        migrations.RunSQL(BESIDE_OTHERS, EXCLUSIVELY),
        *(
            migrations.RunSQL(
                f"ALTER TABLE public.tasks_task VALIDATE CONSTRAINT {name}", migrations.RunSQL.noop
            )
            for name in CONSTRAINTS
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
