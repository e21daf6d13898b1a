"""Says which tasks an action is about to change: continues "Delete permanently: 3 tasks"."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tasks.admin import people
from tasks.models import Task

MAX_NAMED = 10
NAMES = {SEARCH_VAR: "search", "owner": "user", "complete__exact": "status", "sort": "order"}
VALUES = {
    ("complete__exact", "1"): "done",
    ("complete__exact", "0"): "open",
    ("sort", "due"): "due first, without tasks that are not due",
    ("sort", "-due"): "due last, without tasks that are not due",
    ("owner", "gone"): "unknown to Better Auth",
}


@dataclass(frozen=True)
class Scope:
    """user: continues the sentence with the number of tasks. details: another sentence."""

    user: SafeString | str = ""
    details: SafeString | str = ""


def of_user(user_id: str, *, in_trash: bool) -> Scope:
    relation = "in the trash of" if in_trash else "of"
    return Scope(format_html(" {} {}", relation, people.owners([user_id]).name(user_id)))


def of_selection(ids: Sequence[str]) -> Scope:
    """The first tasks, each with its title and its user."""
    tasks = list(Task.objects.filter(pk__in=ids[:MAX_NAMED]).order_by("-id"))
    owners = people.owners({task.user_id for task in tasks})
    named = format_html_join(
        "",
        "<li>{} <bdi>{}</bdi>, of {}</li>",
        ((task.pk, task.title, owners.name(task.user_id)) for task in tasks),
    )
    more = f"and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
    return Scope(details=format_html("<ul>{}</ul>{}", named, more))


def of_filter(request: HttpRequest, *, in_trash: bool = False) -> Scope:
    """The filters of the list, and the users that a search has found.

    in_trash: whether it is the list of the trash.
    """
    filters = [
        (_readable(name), VALUES.get((name, text), text))
        for name, text in ((name, str(text)) for name, text in request.GET.items())
        if name not in (PAGE_VAR, ERROR_FLAG) and text.strip()
    ]
    if "trash" not in request.GET:
        filters.append(("in the trash", "yes" if in_trash else "no"))
    found = getattr(request, "people_found", people.Found())
    parts = format_html_join(" · ", "{}: <bdi>{}</bdi>", filters)
    if not found.people:
        return Scope(details=format_html("These are the tasks of all users with {}.", parts))
    owners = format_html_join(", ", "{}", ((name,) for name in found.names))
    text = "These are the tasks of all users with {}. The search also finds all tasks of {}."
    return Scope(details=format_html(text, parts, owners))


def _readable(name: str) -> str:
    return NAMES.get(name, name.removesuffix("__exact").replace("_", " "))
