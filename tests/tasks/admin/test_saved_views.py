"""Each colleague's saved filters of the task list."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tasks.admin import saved_views
from tasks.models import SavedView
from tests.tasks.admin.conftest import member_of
from tests.tasks.admin.pages import LIST, SCRIPT, make, messages_in

pytestmark = pytest.mark.django_db

SAVE = reverse("admin:tasks_task_save_view")
DELETE = reverse("admin:tasks_task_delete_view")
QUERY = "priority__exact=high&tag=a%26b&q=garden&trash=all"


def save(client: Client, name: str = "Mine", query: str = QUERY) -> Any:
    return client.post(SAVE, {"name": name, "query": query})


def views() -> list[tuple[str, str, str]]:
    rows = SavedView.objects.order_by("pk")
    return list(rows.values_list("staff__username", "name", "query"))


def links_of(client: Client) -> list[str]:
    html = client.get(LIST).content.decode()
    return [unescape(link) for link in re.findall(r'class="view" href="([^"]*)"', html)]


def test_a_view_is_saved_from_the_list_and_leads_back_to_it(viewer: Any) -> None:
    make(1, priority="high")
    html = viewer.get(f"{LIST}?priority__exact=high&p=9999999").content.decode()
    (query,) = re.findall(r'name="query" value="([^"]*)"', html)

    answer = save(viewer, f" {SCRIPT} ", unescape(query))

    assert views() == [("viewer", SCRIPT, "priority__exact=high")]
    assert answer["Location"] == f"{LIST}?priority__exact=high"
    assert messages_in(answer) == [f"The view \u2068{SCRIPT}\u2069 is saved."]
    (link,) = links_of(viewer)
    page = viewer.get(f"{LIST}{link}")
    assert SCRIPT not in page.content.decode()
    assert 'aria-current="page"><bdi>' in page.content.decode()
    assert len(page.context["cl"].result_list) == 1


def test_each_colleague_has_separate_views(viewer: Any) -> None:
    colleague = member_of("support")
    save(viewer)
    save(colleague, query="trash=in")
    save(colleague, query="sort=due")

    assert views() == [("viewer", "Mine", QUERY), ("support", "Mine", "sort=due")]
    assert links_of(viewer) == [f"?{QUERY}"]
    assert links_of(colleague) == ["?sort=due"]
    assert colleague.post(DELETE, {"name": "Other"}).status_code == 404
    assert colleague.post(DELETE, {"name": "Mine"})["Location"] == f"{LIST}?"
    assert colleague.post(DELETE, {"name": "Mine"}).status_code == 404
    assert views() == [("viewer", "Mine", QUERY)]
    with connection.cursor() as cursor:  # as an earlier release does, which has no views
        cursor.execute("DELETE FROM auth_user_groups WHERE user_id = %s", [viewer.user.pk])
        cursor.execute("DELETE FROM auth_user WHERE id = %s", [viewer.user.pk])
    assert views() == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "https://example.com/?trash=in",
        "//example.com",
        "/admin/auth/user/",
        "../../auth/user/?q=x",
        "javascript:alert(1)",
        "trash=maybe",
        "sort=title",
        "title__regex=(",
        "owner__id=1",
        "tag=" + "x" * 3000,
        "priority__exact=%00",
        "trash=in\r\nLocation: https://example.com",
    ],
)
def test_a_query_that_the_list_would_refuse_is_refused(viewer: Any, query: str) -> None:
    answer = save(viewer, query=query)

    assert answer.status_code == 400
    assert views() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x00b", "a\nb", "\x1b[31m"])
def test_a_name_that_is_no_name_is_refused_with_a_message(viewer: Any, name: str) -> None:
    answer = save(viewer, name)

    assert messages_in(answer) == ["Enter a name of at most 60 characters for the view."]
    assert answer["Location"] == f"{LIST}?{QUERY}"
    assert views() == []


def test_views_are_limited(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 2)
    for name in ("a", "b", "c", "b"):
        answer = save(viewer, name)

    assert [name for _, name, _ in views()] == ["a", "b"]
    assert messages_in(answer)[2:] == [
        "You have 2 views already. Delete one first.",
        "The view \u2068b\u2069 is saved.",
    ]


@pytest.mark.parametrize("address", [SAVE, DELETE])
def test_who_may_not_see_tasks_may_not_save_views(viewer: Any, address: str) -> None:
    viewer.user.groups.clear()

    assert viewer.post(address, {"name": "Mine", "query": QUERY}).status_code == 403
    assert Client().post(address, {"name": "Mine", "query": QUERY}).status_code in (301, 302)
    assert views() == []


def test_after_a_sign_in_the_list_says_that_nothing_was_saved(viewer: Any) -> None:
    for address in (SAVE, DELETE):
        answer = viewer.get(address)
        assert answer["Location"].startswith(LIST)
        assert messages_in(answer)[-1].startswith("You were signed out, so nothing was changed.")
    assert viewer.put(SAVE).status_code == 405
