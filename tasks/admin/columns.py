"""Columns that several pages of the admin show."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tasks.admin.clock import Clock
from tasks.models import Task

MAX_SHOWN_TAGS = 2
"""Tags of a task in a list. The page of the task shows all of them."""


def time_text(at: datetime) -> SafeString:
    """A time, which `staff.js` shows in the time zone of the browser. Without scripts it is UTC."""
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "minutes")
    return format_html('<time datetime="{}">{} UTC</time>', at.isoformat(), text)


def status_text(task: Task) -> SafeString:
    """In words, with a sign that does not depend on colours."""
    name, sign, word = ("done", "\u2713", "Done") if task.complete else ("open", "\u25cb", "Open")
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', name, sign, word
    )


def due_text(task: Task, clock: Clock) -> SafeString | str:
    """A day is the same day in every time zone, so `staff.js` must not find it."""
    if task.due_date is None:
        return "-"
    text = time_text(task.due_at) if task.due_at else str(task.due_day)
    if not clock.is_overdue(task):
        return format_html('<span class="due">{}</span>', text)
    return format_html('<span class="due overdue">{} <strong>overdue</strong></span>', text)


def tag_links(
    task: Task, others: Mapping[str, Any] | None = None, shown: int | None = None
) -> SafeString | str:
    """Links to the list of all tasks with the tag.

    others: more parameters of the list. shown: how many tags, if not all.
    """
    if not task.tags:
        return "-"
    path = reverse("admin:tasks_task_changelist")
    links = format_html_join(
        " ",
        '<a class="tag" dir="auto" href="{}?{}" title="{}">{}</a>',
        (
            (path, urlencode({**(others or {}), "tag": tag}, doseq=True), tag, tag)
            for tag in task.tags[:shown]
        ),
    )
    hidden = len(task.tags) - len(task.tags[:shown])
    return format_html("{} +{}", links, hidden) if hidden else links


def time_column(field: str, title: str) -> Any:
    @admin.display(description=title)
    def column(task: Task) -> str:
        at: datetime | None = getattr(task, field)
        return "-" if at is None else time_text(at)

    column.__name__ = field
    return column


def id_column(title: str) -> Any:
    @admin.display(description=title)
    def column(task: Task) -> str:
        return str(task.pk)

    column.__name__ = "id"
    return column


@admin.display(description="title")
def title_column(task: Task) -> SafeString:
    """On one line. What does not fit is on the page of the task, and under the mouse."""
    return format_html('<bdi title="{}">{}</bdi>', task.title, task.title)


title_column.__name__ = "title"


@admin.display(description="status")
def status_column(task: Task) -> SafeString:
    return status_text(task)


status_column.__name__ = "status"


def due_column(clock: Clock, title: str = "due") -> Any:
    @admin.display(description=title)
    def due(task: Task) -> str:
        return due_text(task, clock)

    return due


def tags_column(others: Mapping[str, Any] | None = None, shown: int | None = None) -> Any:
    @admin.display(description="tags")
    def tags(task: Task) -> str:
        return tag_links(task, others, shown)

    return tags
