"""Columns that several pages of the admin show."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.utils.html import format_html

from tasks.models import Task


def time_column(field: str, title: str) -> Any:
    """A time, which `staff.js` shows in the time zone of the browser. Without scripts it is UTC."""

    @admin.display(description=title)
    def column(task: Task) -> str:
        at: datetime | None = getattr(task, field)
        if at is None:
            return "-"
        text = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), text)

    column.__name__ = field
    return column
