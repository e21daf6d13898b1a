"""The project's table, for the Django peers."""

from typing import Any

from django.db import models
from django.utils import timezone


class Task(models.Model):
    id = models.BigAutoField(primary_key=True)
    user_id = models.CharField(max_length=255)
    title = models.CharField(max_length=200)
    description = models.TextField(max_length=1000, null=True, blank=True)  # noqa: DJ001
    complete = models.BooleanField(default=False)
    priority = models.CharField(
        max_length=6,
        choices=[("low", "Low"), ("medium", "Medium"), ("high", "High")],
        default="medium",
    )
    completed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        managed = False
        db_table = "tasks_task"
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.completed_at = (self.completed_at or timezone.now()) if self.complete else None
        super().save(*args, **kwargs)

    def trash(self) -> None:
        self.deleted_at = timezone.now()
        super().save(update_fields=["deleted_at"])

    async def atrash(self) -> None:
        self.deleted_at = timezone.now()
        await super().asave(update_fields=["deleted_at"])
