from django.apps import AppConfig
from django.db.models.signals import post_migrate


class Tasks(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from tasks.isolation import grant  # noqa: PLC0415  wants the settings

        post_migrate.connect(grant, sender=self)
