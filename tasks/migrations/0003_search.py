from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models


class Migration(migrations.Migration):
    """Lets staff search a large table; concurrently, so that the service goes on."""

    atomic = False

    replaces = [("tasks", "0004_search")]
    dependencies = [("tasks", "0002_trash")]
    operations = [
        # To wait for others is harmless: they read and write meanwhile.
        migrations.RunSQL("SET lock_timeout = '5min'", "RESET lock_timeout"),
        AddIndexConcurrently(
            "task",
            GinIndex(
                models.Func(
                    models.F("title"),
                    function="to_tsvector",
                    output_field=SearchVectorField(),
                    template="%(function)s('simple', %(expressions)s)",
                ),
                name="task_words",
                gin_pending_list_limit=256,
            ),
        ),
        AddIndexConcurrently("task", BrinIndex(models.F("created_at"), name="task_created")),
        # An index of an expression is known to the planner by the words in it, once they are counted.
        migrations.RunSQL("ANALYZE public.tasks_task", migrations.RunSQL.noop),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '5min'"),
    ]
