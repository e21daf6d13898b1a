from django.apps import AppConfig


class Tasks(AppConfig):
    name = "tasks"
