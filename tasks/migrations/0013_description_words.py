from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models
from django.db.models import Q

from tasks.migrations._online import BESIDE_OTHERS, RESET, IndexConcurrently


class Migration(migrations.Migration):
    """Adds the index of the words of descriptions, while the service is in use."""

    atomic = False

    dependencies = [("tasks", "0012_saved_views")]
    operations = [
        migrations.RunSQL(BESIDE_OTHERS, RESET),
        IndexConcurrently(
            "task",
            GinIndex(
                models.Func(
                    models.F("description"),
                    function="to_tsvector",
                    output_field=SearchVectorField(),
                    template="%(function)s('simple', %(expressions)s)",
                ),
                name="task_description_words",
                condition=Q(description__isnull=False),
                gin_pending_list_limit=256,
            ),
        ),
        # As in 0003.
        migrations.RunSQL("ANALYZE public.tasks_task", migrations.RunSQL.noop),
        migrations.RunSQL(RESET, BESIDE_OTHERS),
    ]
