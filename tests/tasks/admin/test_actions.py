"""Actions on many tasks through the pages, and which groups are allowed to run them."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks import history
from tasks.admin import actions, run
from tasks.models import ChangedTask, Task
from tests.people import Person
from tests.tasks.admin.pages import (
    ACT,
    LIST,
    OWNER,
    SIGN_IN,
    change_page,
    confirm,
    make,
    messages_in,
)

pytestmark = pytest.mark.django_db


def post(client: Client, action: str, tasks: list[Task] | None, address: str = LIST) -> Any:
    """Runs an action from the list, on a selection or on all tasks that match (None)."""
    client.cookies.pop("messages", None)  # or those of several requests would add up
    data: dict[str, Any] = {"action": action, "index": "0", "select_across": "0"}
    data["_selected_action"] = [task.pk for task in tasks or []]
    if tasks is None:
        data |= {"select_across": "1", "_selected_action": ["0"]}
    return client.post(address, data)


def changes_of(task: Task) -> list[list[tuple[str, str, str]]]:
    return [line.changes for line in history.lines(history.of_task(task.pk), task.pk)]


# Field, old value, new value, sentence parts of the message, text in the history.
FIELD_ACTIONS: dict[str, tuple[str, Any, Any, str, str, str]] = {
    "complete": ("complete", False, True, "completed", "already complete", "no → yes"),
    "reopen": ("complete", True, False, "reopened", "already open", "yes → no"),
    "priority_high": (
        "priority", "low", "high", "set to high priority", "already high priority", "low → high",
    ),
    "priority_low": (
        "priority", "high", "low", "set to low priority", "already low priority", "high → low",
    ),
}  # fmt: skip


def times(*, complete: Any) -> dict[str, Any]:
    return {"completed_at": timezone.now()} if complete is True else {}


@pytest.mark.parametrize("action", FIELD_ACTIONS)
def test_a_field_is_set_and_the_message_counts_exactly(support: Any, action: str) -> None:
    field, old, new, done, unchanged, change = FIELD_ACTIONS[action]
    tasks = make(3, **{field: old}, **times(complete=old))
    already = make(2, **{field: new}, **times(complete=new))
    trashed = make(1, **{field: old}, **times(complete=old))
    Task.objects.filter(pk=trashed[0].pk).trash()
    others = make(1, "bob", **{field: old}, **times(complete=old))
    gone = make(1)
    Task.objects.filter(pk=gone[0].pk).delete()
    before = {row["id"]: row for row in Task.objects.values()}

    response = post(support, action, [*tasks, *already, *trashed, *gone])

    assert (response.status_code, response["Location"]) == (302, LIST)
    (message,) = messages_in(response)
    assert message == (
        f"3 tasks {done}. 2 were {unchanged}."
        " 1 was in the trash and not changed. 1 no longer exists."
    )
    for row in map(dict[str, Any], Task.objects.values()):
        if row["id"] in [task.pk for task in tasks]:
            assert row[field] == new
            assert row["updated_at"] > before[row["id"]]["updated_at"]
            assert (row["completed_at"] is not None) == row["complete"]
        else:
            assert row == before[row["id"]]
    old_text, _, new_text = change.partition(" → ")
    assert [changes_of(task) for task in tasks] == [[[(field, old_text, new_text)]]] * 3
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (support.user, f"3 tasks {done}")
    assert not history.of_owner(others[0].user_id)


def test_a_completed_task_keeps_its_time_of_completion(support: Any) -> None:
    (task,) = make(1, **times(complete=True), complete=True, priority="low")
    before = Task.objects.get().completed_at

    post(support, "priority_high", [task])

    assert Task.objects.get().completed_at == before


def test_a_clock_that_is_set_back_does_not_reverse_times(support: Any) -> None:
    ahead = timezone.now() + timedelta(hours=1)
    (task,) = make(1, updated_at=ahead)

    post(support, "complete", [task])

    after = Task.objects.get()
    assert after.updated_at == ahead + timedelta(microseconds=1)
    assert after.completed_at == after.updated_at


def test_a_task_is_unchanged_after_it_is_trashed_and_restored(support: Any, alice: Person) -> None:
    created = alice.create()
    task = Task.objects.get()

    assert messages_in(post(support, "trash", [task])) == ["1 task moved to the trash."]
    assert alice.get(alice.task(task.pk)).status_code == 404
    assert messages_in(post(support, "trash", [task])) == [
        "0 tasks moved to the trash. 1 was already in the trash."
    ]
    assert messages_in(post(support, "restore", [task])) == ["1 task restored."]
    assert alice.get(alice.task(task.pk)).json() == created
    assert messages_in(post(support, "restore", [task])) == [
        "0 tasks restored. 1 was not in the trash."
    ]
    assert changes_of(task) == [[("in trash", "yes", "no")], [("in trash", "no", "yes")]]


def test_a_selected_task_that_no_longer_matches_the_filter_is_counted_too(support: Any) -> None:
    one, other = make(2)
    Task.objects.filter(pk=one.pk).update(complete=True)

    answer = post(support, "complete", [one, other], f"{LIST}?complete__exact=0")

    assert messages_in(answer) == ["1 task completed. 1 was already complete."]


def test_deleting_permanently_asks_first_with_the_exact_number(administrator: Any) -> None:
    tasks = make(3)
    (other,) = make(1)

    page = post(administrator, "purge", tasks)
    assert page.status_code == 200
    assert "Delete permanently: 3 tasks." in page.content.decode()
    assert Task.objects.count() == 4
    done = confirm(administrator, page)

    assert (done.status_code, messages_in(done)) == (302, ["3 tasks permanently deleted."])
    assert list(Task.objects.all()) == [other]
    (line,) = history.lines(history.of_owner("alice"))
    assert (line.action, line.entry.object_repr) == (
        "Delete permanently",
        "3 tasks permanently deleted",
    )


@pytest.mark.parametrize("action", ["complete", "trash", "purge"])
@pytest.mark.parametrize(
    "query", ["priority__exact=high", "due=overdue", "tag=HOME", "due=overdue&tag=home&q=task"]
)
def test_everything_that_matches_the_filter_is_counted_and_confirmed(
    administrator: Any, action: str, query: str
) -> None:
    matching = make(5, priority="high", due_day=date(2020, 1, 31), tags=["Home"])
    other = make(2, priority="low", due_day=date(9999, 1, 31), tags=["Homes"])
    address = f"{LIST}?{query}"

    page = post(administrator, action, None, address)
    assert ": 5 tasks." in page.content.decode()
    assert LogEntry.objects.count() == 0
    done = confirm(administrator, page, address)

    assert messages_in(done)[0].startswith("5 tasks ")
    assert done["Location"] == address
    changed = ChangedTask.objects.filter(entry=LogEntry.objects.get())
    assert {row.task_id for row in changed} == {task.pk for task in matching}
    assert Task.objects.alive().filter(complete=False, pk__in=[t.pk for t in other]).count() == 2


def test_a_stopped_action_says_what_it_has_done(
    administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SECONDS_PER_REQUEST", 0)
    monkeypatch.setattr(run, "BATCH_SIZE", 2)
    make(5)
    page = confirm(administrator, post(administrator, "trash", None))
    html = page.content.decode()
    (progress,) = re.findall(r'name="progress" value="([^"]*)"', html)
    assert '<button name="stop"' in html

    sent = {"action": "trash", "progress": progress, "select_across": "1", "_selected_action": "0"}
    answer = administrator.post(LIST, {**sent, "stop": "1"})

    assert messages_in(answer) == [
        "2 tasks moved to the trash. You stopped the action. It has not reached the other 3."
    ]
    assert Task.objects.trashed().count() == 2


def test_tasks_created_after_the_confirmation_page_are_left_alone(administrator: Any) -> None:
    make(2)
    page = post(administrator, "purge", None)
    later = make(3)

    assert messages_in(confirm(administrator, page)) == ["2 tasks permanently deleted."]
    assert list(Task.objects.order_by("pk")) == later


def test_deleting_permanently_asks_again_when_the_number_has_grown(administrator: Any) -> None:
    make(2, priority="high")
    make(1, priority="low")
    make(1, priority="high")
    address = f"{LIST}?priority__exact=high"
    page = post(administrator, "purge", None, address)
    Task.objects.filter(priority="low").update(priority="high")

    again = confirm(administrator, page, address)
    assert "There are now more tasks than before." in again.content.decode()
    assert ": 4 tasks." in again.content.decode()
    assert Task.objects.count() == 4
    assert messages_in(confirm(administrator, again, address)) == ["4 tasks permanently deleted."]


def test_a_confirmation_is_valid_only_for_its_filter(administrator: Any) -> None:
    make(2)
    page = post(administrator, "purge", None, f"{LIST}?priority__exact=low")
    assert page.status_code == 302
    page = post(administrator, "purge", None, f"{LIST}?priority__exact=medium")

    other = confirm(administrator, page, LIST)

    assert other.status_code == 200
    assert Task.objects.count() == 2


def test_the_message_says_when_no_task_matches(administrator: Any) -> None:
    assert messages_in(post(administrator, "purge", None)) == ["0 tasks permanently deleted."]


def test_a_long_action_continues_in_the_next_request(
    support: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(7)
    monkeypatch.setattr(run, "BATCH_SIZE", 2)
    monkeypatch.setattr(run, "SECONDS_PER_REQUEST", 0)

    page = confirm(support, post(support, "trash", None))
    numbers = []
    while page.status_code == 200:
        numbers.append(Task.objects.trashed().count())
        assert f"{numbers[-1]} of 7 tasks are done." in page.content.decode()
        assert LogEntry.objects.get().object_repr == f"{numbers[-1]} tasks moved to the trash"
        page = confirm(support, page)

    assert ChangedTask.objects.filter(entry=LogEntry.objects.get()).count() == 7
    assert numbers == [2, 4, 6, 7]
    assert messages_in(page) == ["7 tasks moved to the trash."]


def test_a_batch_and_its_history_are_one_transaction(
    support: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = make(4)
    monkeypatch.setattr(run, "BATCH_SIZE", 2)
    changed = history.changed_in_bulk
    calls: list[Any] = []

    def fails_in_the_second_batch(staff_id: int, bulk: Any, changes: Any) -> None:
        changed(staff_id, bulk, changes)
        calls.append(changes)
        if len(calls) == 2:
            raise RuntimeError

    monkeypatch.setattr(history, "changed_in_bulk", fails_in_the_second_batch)
    with pytest.raises(RuntimeError):
        post(support, "trash", tasks)

    assert list(Task.objects.trashed().order_by("pk")) == tasks[:2]
    assert LogEntry.objects.get().object_repr == "2 tasks moved to the trash"
    assert ChangedTask.objects.count() == 2


def test_the_number_of_statements_does_not_depend_on_the_number_of_tasks(
    administrator: Any, django_assert_num_queries: Any
) -> None:
    few, many = make(2), make(90)
    numbers = []
    post(administrator, "complete", make(1))  # so that the content type is cached
    for tasks in (few, many):
        with CaptureQueriesContext(connection) as sent:
            post(administrator, "complete", tasks)
        numbers.append(len(sent))
    assert numbers[0] == numbers[1]
    page = post(administrator, "purge", many)
    with CaptureQueriesContext(connection) as sent:
        confirm(administrator, page)
    assert len(sent) < 30


ALLOWED = {
    "viewer": [],
    "support": [name for name in actions.ACTIONS if name != "purge"],
    "administrator": [*actions.ACTIONS],
}


@pytest.mark.parametrize("group", ALLOWED)
def test_each_group_sees_the_actions_that_it_is_allowed(
    group: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)

    listed = re.findall(r'<option value="(\w+)">', client.get(LIST).content.decode())
    page = client.get(change_page(task)).content.decode()

    assert listed == ALLOWED[group]
    Task.objects.trash()
    in_trash = client.get(change_page(task)).content.decode()
    for html, useful in ((page, {"trash", "purge"}), (in_trash, {"restore", "purge"})):
        buttons = re.findall(r'name="action" value="(\w+)"', html)
        assert set(buttons) == useful & set(ALLOWED[group])
    assert ("_save" in page) == (group != "viewer")
    assert "deletelink" not in page


@pytest.mark.parametrize("group", ALLOWED)
@pytest.mark.parametrize("action", actions.ACTIONS)
def test_each_group_is_refused_the_actions_that_it_is_not_allowed(
    group: str, action: str, request: pytest.FixtureRequest
) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)
    answers = [
        post(client, action, [task]),
        post(client, action, None),
        client.post(f"{ACT}?task={task.pk}", {"action": action}),
        client.post(f"{ACT}?user_id=alice", {"action": action}),
    ]

    if action in ALLOWED[group]:
        assert all(answer.status_code in (200, 302) for answer in answers)
    else:
        assert [answer.status_code for answer in answers] == [403] * 4
        assert Task.objects.alive().filter(complete=False, priority="medium").count() == 1
        assert not LogEntry.objects.exists()


@pytest.mark.parametrize("group", ALLOWED)
def test_djangos_own_deletion_is_disabled(group: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)

    assert post(client, "delete_selected", [task]).status_code == 403
    page = client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    if group == "administrator":
        assert "Delete permanently: 1 task." in page.content.decode()
        assert Task.objects.count() == 1
        assert messages_in(confirm(client, page, f"{LIST}{task.pk}/delete/")) == [
            "1 task permanently deleted."
        ]
    else:
        assert page.status_code == 403
        assert Task.objects.count() == 1


def test_anonymous_visitors_are_asked_to_sign_in() -> None:
    for address in (ACT, f"{OWNER}?user_id=alice", f"{LIST}1/delete/"):
        answer = Client().post(address, {"action": "purge"}, secure=True)
        assert answer.status_code == 302
        assert answer["Location"].startswith(SIGN_IN)


@pytest.mark.parametrize(
    ("address", "data", "status"),
    [
        (LIST, {"action": "trash", "_selected_action": "x"}, 400),
        (f"{ACT}?task=x", {"action": "trash"}, 400),
        (f"{ACT}?task=7", {"action": "explode"}, 400),
        (f"{ACT}?task=7", {}, 400),
        (ACT, {"action": "trash"}, 404),
        (f"{ACT}?user_id=", {"action": "trash"}, 404),
        (f"{ACT}?user_id=a%00b", {"action": "trash"}, 404),
        (f"{ACT}?user_id=a%0Ab", {"action": "trash"}, 404),
        (f"{ACT}?user_id=alice&show=history", {"action": "trash"}, 404),
        (f"{ACT}?task={10**18}", {"action": "trash"}, 302),
        (f"{ACT}?task={10**30}", {"action": "trash"}, 400),
        (f"{LIST}{10**30}/delete/", {}, 403),
        (LIST, {"action": "trash", "_selected_action": str(10**18)}, 302),
        (LIST, {"action": "trash", "_selected_action": str(10**30)}, 400),
        (LIST, {"action": "trash", "_selected_action": "1", "progress": "forged"}, 302),
    ],
)
def test_no_input_causes_a_server_error(
    support: Any, address: str, data: dict[str, str], status: int
) -> None:
    assert support.post(address, data).status_code == status


def test_a_button_acts_on_its_task(support: Any) -> None:
    (task,) = make(1)
    page = change_page(task)

    answer = support.post(f"{ACT}?task={task.pk}", {"action": "trash"}, follow=True)

    assert answer.redirect_chain == [(page, 302)]
    assert "1 task moved to the trash." in answer.content.decode()
    assert support.put(f"{ACT}?task={task.pk}").status_code == 405


SIGNED_OUT = "You were signed out, so nothing was changed. Try again."


@pytest.mark.parametrize(
    "address",
    [
        f"{ACT}?task={{}}",
        f"{ACT}?user_id=a%26b",
        f"{ACT}?user_id=a%26b&show=trash",
        f"{LIST}?priority__exact=high",
        f"{LIST}{{}}/change/",
        f"{LIST}{{}}/delete/",
    ],
)
def test_after_the_session_has_ended_a_button_leads_back_to_its_page(
    administrator: Any, address: str
) -> None:
    (task,) = make(1, "a&b", priority="high")
    address = address.format(task.pk)
    page = address.replace(f"{ACT}?task={task.pk}", change_page(task)).replace(ACT, OWNER)
    user = administrator.user
    administrator.logout()

    sign_in = administrator.post(
        address, {"action": "purge", "_selected_action": task.pk}, secure=True
    )
    assert sign_in["Location"].startswith(f"{SIGN_IN}?next=")
    user.set_password("correct horse")
    user.save()
    answer = administrator.post(
        sign_in["Location"],
        {"username": user.username, "password": "correct horse"},
        secure=True,
        follow=True,
    )

    assert answer.status_code == 200
    assert (
        answer.request["PATH_INFO"] + "?" * ("?" in page) + answer.request["QUERY_STRING"] == page
    )
    assert (SIGNED_OUT in answer.content.decode()) == (address != page)
    assert list(Task.objects.alive()) == [task]
