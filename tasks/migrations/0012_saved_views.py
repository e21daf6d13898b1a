import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from tasks.migrations._online import BRIEFLY


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0011_trash_and_start_page"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(BRIEFLY, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(max_length=2000)),
                (
                    "staff",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("staff", "name"), name="savedview_name_of_staff"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            # Servers of an earlier release can delete an account, though they do not know the table.
            "ALTER TABLE tasks_savedview ADD CONSTRAINT savedview_staff "
            "FOREIGN KEY (staff_id) REFERENCES auth_user (id) ON DELETE CASCADE",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(migrations.RunSQL.noop, BRIEFLY),
    ]
