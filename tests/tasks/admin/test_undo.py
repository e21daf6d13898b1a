"""Undoing actions of staff: what comes back, what is left alone, and who may do it."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tasks import history
from tasks.admin import run
from tasks.models import ChangedTask, Task
from tasks.undo import rest_of, undo
from tests.commands import run as run_command
from tests.people import Person
from tests.tasks.admin.pages import ACT, HOME, LIST, SCRIPT, SIGN_IN, confirm, make, messages_in
from tests.tasks.admin.test_actions import post
from tests.tasks.admin.test_change import form_of

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2020, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)
BUTTON = '<button class="button">'
UNDONE = "3 tasks changed back."


def page_of(entry: LogEntry) -> str:
    return reverse("admin:tasks_task_action", args=[entry.pk])


def latest() -> LogEntry:
    return LogEntry.objects.latest("id")


def undo_by(client: Client, entry: LogEntry | None = None) -> list[str]:
    client.cookies.pop("messages", None)
    return messages_in(client.post(page_of(entry or latest())))


def rows(*without: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in without}
        for row in Task.objects.order_by("id").values()
    ]


def some_tasks() -> list[Task]:
    """Of each kind that an action treats in another way, of two users."""
    return [
        *make(2, priority="low", tags=["home"]),
        *make(1, "bob", priority="medium", complete=True, completed_at=LONG_AGO),
        *make(1, "bob", priority="high", deleted_at=LONG_AGO),
    ]


@pytest.mark.parametrize("action", ["complete", "reopen", "priority_medium", "trash", "restore"])
def test_an_undone_action_leaves_everything_as_it_was(support: Any, action: str) -> None:
    tasks = some_tasks()
    before, of_trash = rows("updated_at"), rows()
    post(support, action, tasks)
    entry, number = latest(), ChangedTask.objects.count()
    assert rows("updated_at") != before

    (message,) = undo_by(support)

    assert message == f"{number} task{'' if number == 1 else 's'} changed back."
    assert rows("updated_at") == before
    if action in ("trash", "restore"):
        assert rows() == of_trash
    undone = latest()
    assert (undone.user, undone.object_repr) == (
        support.user,
        message.removesuffix("."),
    ) or undone.object_id
    (line,) = history.lines([undone])
    assert (line.name, line.undoes) == ("undo", entry.pk)
    assert history.lines([LogEntry.objects.get(pk=entry.pk)])[0].undone_by == undone.pk


def test_a_change_of_every_field_by_the_form_is_undone(support: Any) -> None:
    (task,) = make(1, tags=["Home", "Café"], due_at=LONG_AGO, description="a\nb", priority="low")
    before = rows("updated_at")
    new = {
        "title": SCRIPT,
        "description": "",
        "complete": "on",
        "priority": "high",
        "due_date": "2026-01-31",
        "tags": "",
    }
    support.post(f"{LIST}{task.pk}/change/", {**form_of(support, task), **new})
    task.refresh_from_db()
    assert (task.title, task.due_day, task.tags) == (SCRIPT, date(2026, 1, 31), [])

    assert undo_by(support) == ["1 task changed back."]

    assert rows("updated_at") == before
    assert Task.objects.get().updated_at > task.updated_at
    (line,) = history.lines(history.of_task(task.pk)[:1])
    assert ("title", SCRIPT, "Task 0") in line.changes
    assert SCRIPT not in support.get(page_of(latest())).content.decode()


def by_user(task: Task, user: Person) -> None:
    assert user.patch(user.task(task.pk), {"description": "x"}).status_code == 200


def by_user_into_the_trash(task: Task, user: Person) -> None:
    assert user.delete(user.task(task.pk)).status_code == 204


def by_user_and_back(task: Task, user: Person) -> None:
    for complete in (False, True):
        assert user.patch(user.task(task.pk), {"complete": complete}).status_code == 200


def by_user_into_the_trash_and_back(task: Task, user: Person) -> None:
    by_user_into_the_trash(task, user)
    assert user.patch(user.task(task.pk), {"deleted": False}).status_code == 200


def by_command(task: Task, _: Person) -> None:
    Task.objects.filter(pk=task.pk).reassign("carol")


def by_sql(task: Task, _: Person) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET title = 'x' WHERE id = %s", [task.pk])


@pytest.mark.parametrize(
    "change",
    [
        by_user,
        by_user_and_back,
        by_user_into_the_trash,
        by_user_into_the_trash_and_back,
        by_command,
        by_sql,
    ],
)
def test_a_task_that_somebody_has_changed_since_is_left_alone(
    support: Any, alice: Person, change: Callable[[Task, Person], None]
) -> None:
    tasks = make(4, priority="low")
    post(support, "complete", tasks)
    change(tasks[0], alice)
    Task.objects.filter(pk=tasks[1].pk).delete()
    changed = Task.objects.filter(pk=tasks[0].pk).values().get()

    assert undo_by(support) == [
        "2 tasks changed back. 1 task has changed since and was left as it was. 1 no longer exists."
    ]

    assert Task.objects.filter(pk=tasks[0].pk).values().get() == changed
    assert [task.complete for task in Task.objects.filter(pk__in=[tasks[2].pk, tasks[3].pk])] == [
        False,
        False,
    ]


def test_an_undo_can_be_undone_and_actions_one_after_the_other(support: Any) -> None:
    tasks = make(3, priority="low")
    states, entries = [rows("updated_at", "completed_at")], []
    for action in ("complete", "priority_high", "trash"):
        post(support, action, tasks)
        states.append(rows("updated_at", "completed_at"))
        entries.append(latest())
    states = [
        [{k: v for k, v in row.items() if k != "deleted_at"} for row in state] for state in states
    ]

    for entry, state in zip(reversed(entries), reversed(states[:-1]), strict=True):
        assert undo_by(support, entry) == [UNDONE]
        assert [row | {"deleted_at": 0} for row in rows("updated_at", "completed_at")] == [
            row | {"deleted_at": 0} for row in state
        ]
        assert undo_by(support) == [UNDONE]
        assert undo_by(support) == [UNDONE]
    assert Task.objects.alive().filter(priority="low", complete=False).count() == 3


def test_an_earlier_action_is_not_undone_before_a_later_one(support: Any) -> None:
    tasks = make(3)
    post(support, "complete", tasks)
    first = latest()
    post(support, "priority_high", tasks)

    assert undo_by(support, first) == [
        "0 tasks changed back. 3 tasks have changed since and were left as they were."
    ]
    assert latest() != first
    assert LogEntry.objects.count() == 2


def test_a_second_click_does_nothing(support: Any) -> None:
    tasks = make(3)
    post(support, "complete", tasks)
    entry, stale = latest(), list(ChangedTask.objects.all())
    assert undo_by(support, entry) == [UNDONE]
    after = rows()

    assert undo_by(support, entry) == ["Nothing was changed: this action has been undone already."]
    # Somebody else has read what there is to do before the first click was done.
    done = undo(support.user.pk, entry, stale, history.Bulk("undo", "changed back"))

    assert (done.changed, done.changed_since, done.gone) == (0, 0, 0)
    assert rows() == after
    assert LogEntry.objects.count() == 2
    page = support.get(page_of(entry)).content.decode()
    assert f'href="{page_of(latest())}">undone</a>' in page
    assert BUTTON not in page


def test_an_interrupted_undo_can_be_run_again(
    support: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(support, "complete", make(7))
    monkeypatch.setattr(run, "BATCH_SIZE", 2)
    monkeypatch.setattr("tasks.admin.undo.BATCH_SIZE", 2)
    monkeypatch.setattr(run, "SECONDS_PER_REQUEST", 0)
    entry = latest()

    page = support.post(page_of(entry))
    assert "2 of 7 tasks are done." in page.content.decode()
    page = confirm(support, page, page_of(entry))
    assert "4 of 7 tasks are done." in page.content.decode()
    assert latest().object_repr == "4 tasks changed back"
    assert "Undo the rest: 3 tasks." in support.get(page_of(entry)).content.decode()
    again = support.post(page_of(entry))
    assert "2 of 3 tasks are done." in again.content.decode()
    while again.status_code == 200:
        again = confirm(support, again, page_of(entry))

    assert messages_in(again) == ["3 tasks changed back."]
    assert not Task.objects.filter(complete=True).exists()
    assert not rest_of(entry.pk).exists()
    assert messages_in(confirm(support, page, page_of(entry)))[-1] == "4 tasks changed back."
    assert LogEntry.objects.count() == 3


def test_a_bulk_action_is_one_entry_and_in_the_history_of_each_task(
    support: Any, viewer: Any
) -> None:
    tasks = make(3)
    done = post(support, "complete", None, f"{LIST}?user_id__exact=alice&q=task")
    done = confirm(support, done, f"{LIST}?user_id__exact=alice&q=task")
    (shown,) = [str(message) for message in get_messages(done.wsgi_request)]
    link = f'href="{page_of(latest())}">Undo</a>'
    assert shown == f"<span>3 tasks completed.</span> <a {link}"

    support.get(HOME)  # shows the message
    assert support.get(HOME).content.decode().count("3 tasks completed") == 1
    for task in tasks:
        html = support.get(f"{LIST}{task.pk}/history/").content.decode()
        assert "complete: <bdi>no</bdi> → <bdi>yes</bdi>" in html
        assert link in html
    of_user = f"{reverse('admin:tasks_task_owner')}?user_id=alice&show=history"
    assert support.get(of_user).content.decode().count(link) == 1
    assert link not in viewer.get(of_user).content.decode()
    page = viewer.get(page_of(latest())).content.decode()
    assert "user: alice, search: task" in page
    assert len(re.findall(r"<bdi>Task \d</bdi>", page)) == 3


def test_each_group_may_undo_what_it_may_do(viewer: Any, support: Any, administrator: Any) -> None:
    """Undoing what has moved tasks into the trash needs both permissions of the trash."""
    changer = viewer.user
    for action in ("complete", "trash"):
        tasks = make(1)
        post(support, action, tasks)
        entry = latest()
        before = rows()
        assert viewer.post(page_of(entry)).status_code == 403
        assert BUTTON not in viewer.get(page_of(entry)).content.decode()
        assert rows() == before
        assert viewer.put(page_of(entry)).status_code == 405
        anonymous = Client().post(page_of(entry), secure=True)
        assert anonymous["Location"].startswith(SIGN_IN)
    changer.user_permissions.add(*Permission.objects.filter(codename="change_task"))
    assert viewer.post(page_of(entry)).status_code == 403
    assert undo_by(viewer, LogEntry.objects.earliest("id")) == ["1 task changed back."]
    assert undo_by(administrator, entry) == ["1 task changed back."]
    assert LogEntry.objects.filter(user=changer).count() == 1


def test_what_cannot_be_undone_says_so(administrator: Any) -> None:
    tasks = make(2)
    page = post(administrator, "purge", tasks)
    assert "This cannot be undone." in page.content.decode()
    confirm(administrator, page)
    purged = latest()
    administrator.get(f"{LIST}export.csv").getvalue()
    exported = latest()
    (task,) = make(1)
    history.added(administrator.user.pk, task, {"title": (None, "x")})
    added = latest()
    old = LogEntry.objects.create(  # of an earlier release
        user=administrator.user,
        content_type=added.content_type,
        object_id=str(task.pk),
        object_repr="x",
        action_flag=2,
        change_message='[{"owner": "alice", "changed": {"fields": ["title"]}, '
        '"values": {"title": ["a", "b"]}}]',
    )

    for entry in (purged, exported, added, old):
        html = administrator.get(page_of(entry)).content.decode()
        assert "cannot be undone" in html
        assert BUTTON not in html
        answer = administrator.post(page_of(entry))
        assert (answer.status_code, "This action cannot be undone." in answer.content.decode()) == (
            400,
            True,
        )
    assert (
        "Deleting permanently cannot be undone."
        in administrator.get(page_of(purged)).content.decode()
    )
    assert Task.objects.count() == 1


@pytest.mark.parametrize("text", ["0", "x", str(10**18), str(10**30), "1%00", "-1"])
def test_no_address_causes_a_server_error(support: Any, text: str) -> None:
    address = f"{LIST}action/{text}/"
    assert [support.get(address).status_code, support.post(address).status_code] == [404, 404]


def test_pages_of_an_action_show_each_task_once(
    support: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = make(5)
    post(support, "complete", tasks)
    monkeypatch.setattr("tasks.admin.undo.PAGE_SIZE", 2)
    address, shown = page_of(latest()), []
    while address:
        html = support.get(address).content.decode()
        shown += re.findall(rf'<th scope="row"><a href="{LIST}(\d+)/change/">', html)
        more = re.search(r'<a href="\?(after=\d+)">', html)
        address = f"{page_of(latest())}?{more[1]}" if more else ""

    assert list(map(int, shown)) == [task.pk for task in tasks]
    assert support.get(f"{page_of(latest())}?after=x").status_code == 404


def test_tasks_that_were_reassigned_can_still_be_undone(support: Any) -> None:
    post(support, "complete", make(2))
    run_command("reassign_tasks", "--from=alice", "--to=bob", "--yes")

    assert undo_by(support) == ["2 tasks changed back."]


def test_what_was_erased_cannot_be_undone(support: Any) -> None:
    post(support, "priority_high", [*make(2), *make(1, "bob")])
    run_command("erase_user", "--user=alice", "--yes")

    assert "alice" not in support.get(page_of(latest())).content.decode()
    assert undo_by(support) == ["1 task changed back."]


def test_the_number_of_statements_does_not_depend_on_the_number_of_tasks(support: Any) -> None:
    numbers = []
    for number in (2, 90):
        tasks = make(number, deleted_at=timezone.now() - timedelta(days=1))
        post(support, "restore", tasks)
        with CaptureQueriesContext(connection) as sent:
            undo_by(support)
        numbers.append(len(sent))
    assert numbers[0] == numbers[1]


def test_a_button_of_one_task_makes_an_entry_of_this_task(support: Any) -> None:
    (task,) = make(1)
    support.post(f"{ACT}?task={task.pk}", {"action": "trash"})

    assert latest().object_id == str(task.pk)
    assert undo_by(support) == ["1 task changed back."]
    assert latest().object_id == str(task.pk)
    assert Task.objects.alive().count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_the_same_time_change_each_task_once(support: Any) -> None:
    post(support, "complete", make(300))
    entry = latest()
    start = Barrier(2)

    def click(_: int) -> int:
        try:
            rows = list(rest_of(entry.pk))
            start.wait(10)
            with transaction.atomic():
                bulk = history.Bulk("undo", "changed back", undoes=entry.pk)
                return undo(support.user.pk, entry, rows, bulk).changed
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(click, range(2))) == [0, 300]
    assert LogEntry.objects.count() == 2
    assert ChangedTask.objects.filter(entry=latest()).count() == 300
