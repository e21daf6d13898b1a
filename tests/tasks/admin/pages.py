"""Addresses of the admin's pages, and what staff do on them."""

import re
from html import unescape
from typing import Any

from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from tasks.models import Task

HOME = reverse("admin:index")
SIGN_IN = reverse("admin:login")
LIST = reverse("admin:tasks_task_changelist")
TRASH = reverse("admin:tasks_trash_changelist")
ACT = reverse("admin:tasks_task_act")
OWNER = reverse("admin:tasks_task_owner")
SCRIPT = "<script>alert(1)</script>"


def change_page(task: Task) -> str:
    return reverse("admin:tasks_task_change", args=[task.pk])


def make(number: int, user_id: str = "alice", **fields: Any) -> list[Task]:
    return Task.objects.bulk_create(
        Task(user_id=user_id, title=f"Task {n}", **fields) for n in range(number)
    )


def confirm(client: Client, page: Any, address: str = LIST) -> Any:
    """Sends the form of a confirmation or progress page as it is."""
    fields: dict[str, list[str]] = {}
    form = page.content.decode()
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(unescape(value))
    return client.post(address, fields)


def messages_in(response: Any) -> list[str]:
    """Without the link to undo an action."""
    shown = (str(message) for message in get_messages(response.wsgi_request))
    return [re.sub(r'<span>(.*)</span> <a href="[^"]*">Undo</a>', r"\1", text) for text in shown]
