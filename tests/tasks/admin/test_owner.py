"""The page of one user: tasks, trash, history, counts, and what can be done with all of them."""

import re
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import history
from tasks.admin import owner
from tasks.models import Task
from tests.tasks.admin.test_actions import press, said

pytestmark = pytest.mark.django_db

LIST = "/admin/tasks/task/"
SCRIPT = "<script>alert(1)</script>"
STRANGE = [
    "a/b",
    ".",
    "..",
    "../admin",
    "a//b",
    "ü ?#&;=%2F",
    " a ",
    '"',
    SCRIPT,
    "x" * 255,
]


def page_of(user_id: str, **query: str) -> str:
    more = "".join(f"&{name}={quote(value)}" for name, value in query.items())
    return f"{LIST}owner/?user_id={quote(user_id, safe='')}{more}"


def make(number: int, user_id: str = "alice", **fields: Any) -> list[Task]:
    return Task.objects.bulk_create(
        Task(user_id=user_id, title=f"Task {n}", **fields) for n in range(number)
    )


def text_of(response: Any) -> str:
    html: str = response.content.decode()
    return html


def tasks_on(html: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'<th scope="row"><a href="[^"]*/(\d+)/change/">', html)]


def test_it_shows_the_tasks_and_counts_of_one_user(viewer: Any) -> None:
    first, second, third, done, trashed = make(5)
    Task.objects.filter(pk=done.pk).update(complete=True)
    Task.objects.filter(pk=trashed.pk).trash()
    make(2, "bob")

    html = text_of(viewer.get(page_of("alice")))

    assert tasks_on(html) == [done.pk, third.pk, second.pk, first.pk]
    assert "4 alive · 1 complete · 1 in the trash" in html
    assert tasks_on(text_of(viewer.get(page_of("alice", show="trash")))) == [trashed.pk]


@pytest.mark.parametrize("user_id", STRANGE, ids=range(len(STRANGE)))
def test_any_user_id_has_its_page_and_is_shown_as_text(support: Any, user_id: str) -> None:
    (task,) = make(1, user_id)
    make(1, "bob")
    for page in (LIST, f"{LIST}{task.pk}/change/"):
        links = re.findall(r'href="(/admin/tasks/task/owner/[^"]*)"', text_of(support.get(page)))
        html = text_of(support.get(unescape(links[-1])))
        assert tasks_on(html) == [task.pk]
        assert SCRIPT not in html

    (link,) = re.findall(r'<a href="([^"]*)">In the list</a>', html)
    listed = text_of(support.get(unescape(link)))
    assert re.findall(r'name="_selected_action" value="(\d+)"', listed) == [str(task.pk)]
    (form,) = re.findall(r'action="(/admin/tasks/task/act/[^"]*)"', html)
    confirmed = support.post(unescape(form), {"action": "trash"})
    answer = press(support, confirmed, unescape(form))

    assert said(answer) == ["1 task moved to the trash."]
    assert list(Task.objects.trashed()) == [task]
    assert tasks_on(text_of(support.get(f"{answer['Location']}&show=trash"))) == [task.pk]
    html = text_of(support.get(f"{answer['Location']}&show=history"))
    assert "in trash: no → yes" in html
    assert SCRIPT not in html


@pytest.mark.parametrize("show", ["tasks", "trash", "history"])
def test_pages_go_on_where_the_last_one_ended(
    support: Any, monkeypatch: pytest.MonkeyPatch, show: str
) -> None:
    monkeypatch.setattr(owner, "PAGE", 3)
    tasks = make(8)  # in one statement: at one time, so that ids decide
    history.changed(support.user.pk, [(task, {"in_trash": (False, True)}) for task in tasks])
    if show == "trash":
        Task.objects.trash()

    address, pages = page_of("alice", show=show), []
    while address:
        html = text_of(support.get(address))
        pages.append(tasks_on(html) or re.findall(r"</a> (Task \d)", html))
        older = re.search(r'<a href="([^"]*)">Older</a>', html)
        address = f"{LIST}owner/{unescape(older[1])}" if older else ""

    assert [len(page) for page in pages] == [3, 3, 2]
    newest_first = [task.pk if show != "history" else task.title for task in reversed(tasks)]
    assert [row for page in pages for row in page] == newest_first


def test_a_user_with_very_many_tasks_is_not_counted_to_the_end(
    viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "MOST_COUNTED", 4)
    make(5)
    make(5, "bob")
    Task.objects.filter(user_id="bob").trash()

    html = text_of(viewer.get(page_of("alice")))
    assert "more than 4 alive · not counted complete · 0 in the trash" in html
    assert "more than 4 in the trash" in text_of(viewer.get(page_of("bob")))


@pytest.mark.parametrize("show", ["tasks", "trash", "history"])
def test_no_page_asks_for_each_row(support: Any, show: str) -> None:
    numbers = []
    for user_id, number in (("alice", 2), ("bob", 90)):
        tasks = make(number, user_id)
        history.changed(support.user.pk, [(task, {"in_trash": (False, True)}) for task in tasks])
        if show == "trash":
            Task.objects.trash()
        with CaptureQueriesContext(connection) as sent:
            html = text_of(support.get(page_of(user_id, show=show)))
        assert html.count('<th scope="row">') == number
        numbers.append(len(sent))
    # a transaction and its timeouts; session, user, two of its rights, two counts, and the rows
    assert numbers == [3 + 7, 3 + 7]


def test_the_history_goes_on_when_a_task_is_gone_for_good(administrator: Any) -> None:
    (task,) = make(1)
    address = f"{LIST}act/?user_id=alice"
    page = administrator.post(address, {"action": "purge"})
    assert "Delete for good: 1 task of <bdi>alice</bdi>." in text_of(page)
    assert said(press(administrator, page, address)) == ["1 task deleted for good."]

    html = text_of(administrator.get(page_of("alice", show="history")))

    assert re.search(rf"{task.pk} Task 0\s*</td>", html)
    assert "Deletion" in html


BUTTONS = {
    "viewer": ([], []),
    "support": (
        ["Complete: all", "Move to the trash: all"],
        ["Restore from the trash: all"],
    ),
    "administrator": (
        ["Complete: all", "Move to the trash: all", "Delete for good: all"],
        ["Restore from the trash: all", "Empty the trash"],
    ),
}


def buttons_of(html: str) -> list[str]:
    return re.findall(r'<button class="button[^>]*>([^<]*)</button>', html)


@pytest.mark.parametrize("group", BUTTONS)
def test_each_group_is_shown_what_it_may(group: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(group)
    (task, _) = make(2)
    Task.objects.filter(pk=task.pk).trash()
    pages = [text_of(client.get(page_of("alice", show=show))) for show in ("tasks", "trash")]

    assert tuple(map(buttons_of, pages)) == BUTTONS[group]
    for page in pages:
        red = re.findall(r'class="button for-good" name="action" value="(\w+)"', page)
        assert red == ["purge"] * (group == "administrator")


def test_where_nothing_is_shown_nothing_can_be_done_with_it(administrator: Any) -> None:
    make(1)

    for show in ("trash", "history"):
        assert buttons_of(text_of(administrator.get(page_of("alice", show=show)))) == []


@pytest.mark.parametrize(
    ("show", "action", "message"),
    [
        ("tasks", "complete", "2 tasks completed."),
        ("tasks", "trash", "2 tasks moved to the trash."),
        ("tasks", "purge", "2 tasks deleted for good."),
        ("trash", "restore", "3 tasks restored."),
        ("trash", "purge", "3 tasks deleted for good."),
    ],
)
def test_an_action_reaches_what_is_shown_of_this_user_and_nothing_else(
    administrator: Any, show: str, action: str, message: str
) -> None:
    alive, trashed = make(2), make(3)
    for user_id in ("bob", "alice "):
        bobs = make(2, user_id)
        Task.objects.filter(pk=bobs[0].pk).trash()
    Task.objects.filter(pk__in=[task.pk for task in trashed]).trash()
    shown = {task.pk for task in (alive if show == "tasks" else trashed)}
    others = Task.objects.exclude(pk__in=shown).order_by("pk")
    before = list(others.values())
    html = text_of(administrator.get(page_of("alice", show=show)))
    assert set(tasks_on(html)) == shown
    (form,) = re.findall(r'action="(/admin/tasks/task/act/[^"]*)"', html)
    address = unescape(form)

    page = administrator.post(address, {"action": action})
    of = "of" if show == "tasks" else "in the trash of"
    assert f": {len(shown)} tasks {of} <bdi>alice</bdi>." in text_of(page)
    answer = press(administrator, page, address)

    assert said(answer) == [message]
    assert answer["Location"] == page_of("alice", **({"show": show} if show == "trash" else {}))
    assert list(others.values()) == before
    assert {entry.object_id for entry in history.of_owner("alice")} == set(map(str, shown))
    assert not history.of_owner("bob").exists()


def test_a_confirmation_for_the_trash_is_none_for_the_tasks(administrator: Any) -> None:
    kept, trashed = make(2)
    Task.objects.filter(pk=trashed.pk).trash()
    address = f"{LIST}act/?user_id=alice"
    page = administrator.post(f"{address}&show=trash", {"action": "purge"})

    again = press(administrator, page, address)

    assert "1 task of <bdi>alice</bdi>." in text_of(again)
    assert Task.objects.count() == 2
    assert kept in Task.objects.alive()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user_id=",
        "user_id=%00",
        f"user_id={'x' * 256}",
        "user_id=a&show=nothing",
        "user_id=a&before=x",
        "user_id=a&before=2020-01-01T00:00:00%2B00:00~x",
        "user_id=a&before=0001-01-01T00:00:00%2B14:00~7",
        "user_id=a&show=history&before=x",
    ],
)
def test_what_is_no_place_is_not_found(viewer: Any, query: str) -> None:
    assert viewer.get(f"{LIST}owner/?{query}").status_code == 404


def test_staff_without_a_group_are_refused(viewer: Any) -> None:
    viewer.user.groups.clear()

    assert viewer.get(page_of("alice")).status_code == 403
