"""The address of the page of one user: how it is written, and how it is read."""

from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.urls import reverse

from authjwt.user_ids import is_user_id


def owner_url(user_id: str, tab: str = "tasks") -> str:
    """Has the user in the query, since browsers remove `.` and `..` from a path."""
    query = {"user_id": user_id} | ({} if tab == "tasks" else {"show": tab})
    return f"{reverse('admin:tasks_task_owner')}?{urlencode(query)}"


def owner_of(request: HttpRequest) -> str:
    user_id = request.GET.get("user_id", "")
    if not is_user_id(user_id):
        raise Http404
    return user_id


def action_tab_of(request: HttpRequest) -> str:
    """The tab on which a button was pressed. The history has none."""
    tab = request.GET.get("show", "tasks")
    if tab not in ("tasks", "trash"):
        raise Http404
    return tab
