"""The page of one user: tasks, trash, history, counts, and actions on all tasks."""

import re
from datetime import date
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import history
from tasks.admin import counting, owner
from tasks.models import USER_ID_LENGTH, ChangedTask, Task
from tests.tasks.admin.pages import (
    ACT,
    LIST,
    OWNER,
    SCRIPT,
    change_page,
    confirm,
    make,
    messages_in,
)

pytestmark = pytest.mark.django_db

STRANGE_USER_IDS = [
    "a/b",
    ".",
    "..",
    "../admin",
    "a//b",
    "ü ?#&;=%2F",
    " a ",
    '"',
    SCRIPT,
    "x" * USER_ID_LENGTH,
]


def page_of(user_id: str, **query: str) -> str:
    rest = "".join(f"&{name}={quote(value)}" for name, value in query.items())
    return f"{OWNER}?user_id={quote(user_id, safe='')}{rest}"


def text_of(response: Any) -> str:
    html: str = response.content.decode()
    return html


def tasks_on(html: str) -> list[int]:
    return [
        int(pk) for pk in re.findall(r'<th scope="row"[^>]*><a href="[^"]*/(\d+)/change/">', html)
    ]


def test_it_shows_the_tasks_and_counts_of_one_user(viewer: Any) -> None:
    first, second, third, complete, trashed = make(5)
    Task.objects.filter(pk=complete.pk).update(complete=True)
    Task.objects.filter(pk=trashed.pk).trash()
    make(2, "bob")

    html = text_of(viewer.get(page_of("alice")))

    assert tasks_on(html) == [complete.pk, third.pk, second.pk, first.pk]
    assert "4 tasks · 1 done · 1 in the trash" in html
    assert tasks_on(text_of(viewer.get(page_of("alice", show="trash")))) == [trashed.pk]


@pytest.mark.parametrize("tab", ["tasks", "trash"])
def test_it_shows_due_dates_and_tags(viewer: Any, tab: str) -> None:
    make(1, "a&b", due_day=date(2020, 1, 31), tags=["home", SCRIPT])
    make(1, "bob", tags=["home"])
    if tab == "trash":
        Task.objects.trash()

    html = text_of(viewer.get(page_of("a&b", show=tab)))

    assert '<span class="due overdue">2020-01-31 <strong>overdue</strong></span>' in html
    assert SCRIPT not in html
    link = re.search(r'<a class="tag" [^>]*href="([^"]*)"[^>]*>home</a>', html)
    assert link
    listed = viewer.get(unescape(link[1])).context["cl"].result_list
    assert [task.user_id for task in listed] == ["a&b"]


@pytest.mark.parametrize("user_id", STRANGE_USER_IDS, ids=range(len(STRANGE_USER_IDS)))
def test_any_user_id_has_a_page_and_is_escaped(support: Any, user_id: str) -> None:
    (task,) = make(1, user_id)
    make(1, "bob")
    for page in (LIST, change_page(task)):
        links = re.findall(rf'href="({OWNER}[^"]*)"', text_of(support.get(page)))
        html = text_of(support.get(unescape(links[-1])))
        assert tasks_on(html) == [task.pk]
        assert SCRIPT not in html

    (link,) = re.findall(r'<a href="([^"]*)">Show in the list</a>', html)
    listed = text_of(support.get(unescape(link)))
    assert re.findall(r'name="_selected_action" value="(\d+)"', listed) == [str(task.pk)]
    (form, _) = re.findall(rf'action="({ACT}[^"]*)"', html)
    confirmation = support.post(unescape(form), {"action": "trash"})
    answer = confirm(support, confirmation, unescape(form))

    assert messages_in(answer) == ["1 task moved to the trash."]
    assert list(Task.objects.trashed()) == [task]
    assert tasks_on(text_of(support.get(f"{answer['Location']}&show=trash"))) == [task.pk]
    html = text_of(support.get(f"{answer['Location']}&show=history"))
    assert "in trash: <bdi>no</bdi> → <bdi>yes</bdi>" in html
    assert SCRIPT not in html


@pytest.mark.parametrize("show", ["tasks", "trash", "history"])
def test_each_page_begins_after_the_previous_one(
    support: Any, monkeypatch: pytest.MonkeyPatch, show: str
) -> None:
    monkeypatch.setattr(owner, "PAGE_SIZE", 3)
    tasks = make(8)  # created in one statement at the same time, so the order depends on the ids
    history.changed(support.user.pk, [(task, {"in_trash": (False, True)}) for task in tasks])
    if show == "trash":
        Task.objects.trash()

    address, pages = page_of("alice", show=show), []
    while address:
        html = text_of(support.get(address))
        pages.append(tasks_on(html) or re.findall(r"<bdi>(Task \d)</bdi>", html))
        older = re.search(r'<a href="([^"]*)">Older</a>', html)
        address = f"{OWNER}{unescape(older[1])}" if older else ""

    assert [len(page) for page in pages] == [3, 3, 2]
    newest_first = [task.pk if show != "history" else task.title for task in reversed(tasks)]
    assert [row for page in pages for row in page] == newest_first


@pytest.mark.parametrize("show", ["tasks", "trash"])
def test_the_time_can_be_sorted_in_both_directions(
    viewer: Any, monkeypatch: pytest.MonkeyPatch, show: str
) -> None:
    monkeypatch.setattr(owner, "PAGE_SIZE", 3)
    tasks = make(8)
    if show == "trash":
        Task.objects.trash()
    html = text_of(viewer.get(page_of("alice", show=show)))
    (link,) = re.findall(r'<a href="([^"]*)" title="Sort: oldest first">', html)

    address, rows = f"{OWNER}{unescape(link)}", []
    while address:
        html = text_of(viewer.get(address))
        rows += tasks_on(html)
        newer = re.search(r'<a href="([^"]*)">Newer</a>', html)
        address = f"{OWNER}{unescape(newer[1])}" if newer else ""

    assert rows == [task.pk for task in tasks]


ROWS = f"{ACT}?user_id=alice&rows=selected"


@pytest.mark.parametrize(
    ("show", "action", "message"),
    [
        ("tasks", "complete", "2 tasks completed."),
        ("tasks", "priority_high", "2 tasks set to high priority."),
        ("tasks", "trash", "2 tasks moved to the trash."),
        ("tasks", "purge", "2 tasks permanently deleted."),
        ("trash", "restore", "2 tasks restored."),
        ("trash", "purge", "2 tasks permanently deleted."),
    ],
)
def test_an_action_on_rows_affects_only_these(
    administrator: Any, show: str, action: str, message: str
) -> None:
    tasks = make(3)
    make(2, "bob")
    if show == "trash":
        Task.objects.trash()
    others = Task.objects.exclude(pk__in=[task.pk for task in tasks[:2]]).order_by("pk")
    before = list(others.values())
    html = text_of(administrator.get(page_of("alice", show=show)))
    (address,) = map(unescape, re.findall(r'action="([^"]*rows=selected)"', html))
    assert action in re.findall(r'<option value="(\w+)">', html)

    selected = {"_selected_action": [task.pk for task in tasks[:2]]}
    answer = administrator.post(address, {"action": action, "index": "0", **selected})
    if action == "purge":
        assert "Delete permanently: 2 tasks." in text_of(answer)
        answer = confirm(administrator, answer, address)

    assert messages_in(answer) == [message]
    assert answer["Location"] == page_of("alice", **({"show": show} if show == "trash" else {}))
    assert list(others.values()) == before


def test_rows_of_other_users_and_no_rows_are_never_changed(administrator: Any) -> None:
    make(1)
    (bobs,) = make(1, "bob")
    before = list(Task.objects.order_by("pk").values())

    answer = administrator.post(ROWS, {"action": "trash", "_selected_action": [bobs.pk]})
    assert messages_in(answer)[-1:] == ["0 tasks moved to the trash. 1 no longer exists."]
    answer = administrator.post(ROWS, {"action": "purge", "select_across": "1"})
    assert messages_in(answer)[-1:] == ["Select tasks first. Nothing was changed."]
    for rows, status in (("x", 400), ("9" * 50, 400)):
        answer = administrator.post(ROWS, {"action": "trash", "_selected_action": [rows]})
        assert answer.status_code == status
    answer = administrator.post(f"{ACT}?user_id=alice&rows=all", {"action": "trash"})
    assert answer.status_code == 404

    assert list(Task.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    ("group", "refused"),
    [("viewer", ["complete", "trash", "restore", "purge"]), ("support", ["purge"])],
)
def test_rows_have_only_the_actions_that_a_group_may(
    group: str, refused: list[str], request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)
    html = text_of(client.get(page_of("alice")))

    assert ("_selected_action" in html) == (group != "viewer")
    for action in refused:
        assert f'<option value="{action}">' not in html
        answer = client.post(ROWS, {"action": action, "_selected_action": [task.pk]})
        assert answer.status_code == 403
    task.refresh_from_db()
    assert (task.complete, task.deleted_at) == (False, None)


def test_numbers_that_take_too_long_to_count_are_estimates(
    viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MILLISECONDS", 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_task (user_id, title)"
            " SELECT 'alice', 'Task ' || n FROM generate_series(1, 20000) AS n"
        )
        cursor.execute("ANALYZE tasks_task")

    assert re.search(
        r"about (19|20|21),000 tasks · about \d+ done ·", text_of(viewer.get(page_of("alice")))
    )


@pytest.mark.parametrize("show", ["tasks", "trash", "history"])
def test_no_page_needs_a_statement_per_row(support: Any, show: str) -> None:
    numbers = []
    for user_id, number in (("alice", 2), ("bob", 90)):
        tasks = make(number, user_id)
        history.changed(support.user.pk, [(task, {"in_trash": (False, True)}) for task in tasks])
        if show == "trash":
            Task.objects.trash()
        with CaptureQueriesContext(connection) as sent:
            html = text_of(support.get(page_of(user_id, show=show)))
        assert html.count('<th scope="row"') == number
        numbers.append(len(sent))
    # Transaction and timeouts (3). Session, account, 2 for permissions, 3 counts with a timeout (4
    # more), the rows, and the record that somebody has seen them.
    assert numbers == [3 + 13, 3 + 13]


def test_the_history_remains_when_a_task_is_permanently_deleted(administrator: Any) -> None:
    (task,) = make(1)
    address = f"{ACT}?user_id=alice"
    page = administrator.post(address, {"action": "purge"})
    assert "Delete permanently: 1 task of <bdi>alice</bdi>." in text_of(page)
    assert messages_in(confirm(administrator, page, address)) == ["1 task permanently deleted."]

    html = text_of(administrator.get(page_of("alice", show="history")))

    assert re.search(rf"{task.pk} <bdi>Task 0</bdi>\s*</td>", html)
    assert "Delete permanently" in html


BUTTONS = {
    "viewer": ([], []),
    "support": (
        ["Complete all", "Move all to the trash"],
        ["Restore all"],
    ),
    "administrator": (
        ["Complete all", "Move all to the trash", "Delete all permanently"],
        ["Restore all", "Empty the trash"],
    ),
}


def buttons_of(html: str) -> list[str]:
    return re.findall(r'<button class="button[^>]*>([^<]*)</button>', html)


@pytest.mark.parametrize("group", BUTTONS)
def test_each_group_sees_the_buttons_that_it_is_allowed(
    group: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(group)
    (task, _) = make(2)
    Task.objects.filter(pk=task.pk).trash()
    pages = [text_of(client.get(page_of("alice", show=show))) for show in ("tasks", "trash")]

    assert tuple(map(buttons_of, pages)) == BUTTONS[group]
    for page in pages:
        red = re.findall(r'class="button permanent" name="action" value="(\w+)"', page)
        assert red == ["purge"] * (group == "administrator")


def test_an_empty_tab_has_no_buttons(administrator: Any) -> None:
    make(1)

    for show in ("trash", "history"):
        assert buttons_of(text_of(administrator.get(page_of("alice", show=show)))) == []


@pytest.mark.parametrize(
    ("show", "action", "message"),
    [
        ("tasks", "complete", "2 tasks completed."),
        ("tasks", "trash", "2 tasks moved to the trash."),
        ("tasks", "purge", "2 tasks permanently deleted."),
        ("trash", "restore", "3 tasks restored."),
        ("trash", "purge", "3 tasks permanently deleted."),
    ],
)
def test_an_action_affects_only_the_tasks_on_the_tab(
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
    (form, _) = re.findall(rf'action="({ACT}[^"]*)"', html)
    address = unescape(form)

    page = administrator.post(address, {"action": action})
    of = "of" if show == "tasks" else "in the trash of"
    assert f": {len(shown)} tasks {of} <bdi>alice</bdi>." in text_of(page)
    answer = confirm(administrator, page, address)

    assert messages_in(answer) == [message]
    assert answer["Location"] == page_of("alice", **({"show": show} if show == "trash" else {}))
    assert list(others.values()) == before
    (entry,) = history.of_owner("alice")
    assert entry.object_repr == message.removesuffix(".")
    changed = ChangedTask.objects.filter(entry=entry)
    assert {(row.task_id, row.user_id) for row in changed} == {(pk, "alice") for pk in shown}
    assert not history.of_owner("bob").exists()


def test_a_confirmation_for_the_trash_is_not_valid_for_the_tasks(administrator: Any) -> None:
    alive, trashed = make(2)
    Task.objects.filter(pk=trashed.pk).trash()
    address = f"{ACT}?user_id=alice"
    page = administrator.post(f"{address}&show=trash", {"action": "purge"})

    again = confirm(administrator, page, address)

    assert "1 task of <bdi>alice</bdi>." in text_of(again)
    assert Task.objects.count() == 2
    assert alive in Task.objects.alive()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user_id=",
        "user_id=%00",
        f"user_id={'x' * (USER_ID_LENGTH + 1)}",
        "user_id=a&show=nothing",
        "user_id=a&sort=newest",
        "user_id=a&show=history&sort=oldest",
        "user_id=a&before=x",
        "user_id=a&before=2020-01-01T00:00:00%2B00:00~x",
        "user_id=a&before=0001-01-01T00:00:00%2B14:00~7",
        "user_id=a&show=history&before=x",
    ],
)
def test_an_invalid_address_is_not_found(viewer: Any, query: str) -> None:
    assert viewer.get(f"{OWNER}?{query}").status_code == 404


def test_staff_without_a_group_are_refused(viewer: Any) -> None:
    viewer.user.groups.clear()

    assert viewer.get(page_of("alice")).status_code == 403
