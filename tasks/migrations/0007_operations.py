from pathlib import Path

from django.db import migrations

OPERATIONS = Path(__file__).parent.parent / "operations.sql"


class Migration(migrations.Migration):
    """Makes the operations, whatever there was of them before.

    A change of them gives this migration the next free number, so that it runs again.
    """

    dependencies = [("tasks", "0006_groups")]
    operations = [
        migrations.RunSQL([OPERATIONS.read_text(encoding="utf-8")], ["DROP SCHEMA api CASCADE"])
    ]
