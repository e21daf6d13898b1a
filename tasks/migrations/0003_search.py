from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models

from tasks.migrations._online import BESIDE_OTHERS, RESET, IndexConcurrently


class Migration(migrations.Migration):
    """Adds the indexes of the staff's search, concurrently, while the service is in use."""

    atomic = False

    replaces = [("tasks", "0004_search")]
    dependencies = [("tasks", "0002_trash")]
    operations = [
        migrations.RunSQL(BESIDE_OTHERS, RESET),
        IndexConcurrently(
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
        IndexConcurrently("task", BrinIndex(models.F("created_at"), name="task_created")),
        # The planner knows the words in an index of an expression only after ANALYZE has counted them.
        migrations.RunSQL("ANALYZE public.tasks_task", migrations.RunSQL.noop),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
