from pathlib import Path

from django.db import migrations

OPERATIONS = Path(__file__).parent.parent / "operations.sql"


class Migration(migrations.Migration):
    """Makes the operations. After a change of them another migration runs the same file again."""

    dependencies = [("tasks", "0001_initial")]
    operations = [
        migrations.RunSQL([OPERATIONS.read_text(encoding="utf-8")], ["DROP SCHEMA api CASCADE"])
    ]
