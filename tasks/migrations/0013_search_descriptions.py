from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models

from tasks.migrations._online import BESIDE_OTHERS, RESET, IndexConcurrently


class Migration(migrations.Migration):
    """Replaces the index of the words of titles, for the staff's search, while the service is in
    use. Servers of the release before go on searching titles, without an index.
    """

    atomic = False

    dependencies = [("tasks", "0012_saved_views")]
    operations = [
        migrations.RunSQL(BESIDE_OTHERS, RESET),
        IndexConcurrently(
            "task",
            GinIndex(
                models.Func(
                    models.F("title"),
                    models.Func(models.F("description"), template="coalesce(%(expressions)s, '')"),
                    arg_joiner=" || ' ' || ",
                    output_field=SearchVectorField(),
                    template="to_tsvector('simple', %(expressions)s)",
                ),
                name="task_search",
                gin_pending_list_limit=256,
            ),
        ),
        # As in 0003.
        migrations.RunSQL("ANALYZE public.tasks_task", migrations.RunSQL.noop),
        RemoveIndexConcurrently("task", "task_words"),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
