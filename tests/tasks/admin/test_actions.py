"""What staff do with many tasks at once, through the pages, and what each group may not do."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks import history
from tasks.admin import actions, run
from tasks.models import Task
from tests.people import Person

pytestmark = pytest.mark.django_db

LIST = "/admin/tasks/task/"
ACT = f"{LIST}act/"


def make(number: int, user_id: str = "alice", **fields: Any) -> list[Task]:
    return Task.objects.bulk_create(
        Task(user_id=user_id, title=f"Task {n}", **fields) for n in range(number)
    )


def post(client: Client, action: str, tasks: list[Task] | None, address: str = LIST) -> Any:
    """As the list does: of a selection, or of everything that matches."""
    client.cookies.pop("messages", None)  # else they add up
    data: dict[str, Any] = {"action": action, "index": "0", "select_across": "0"}
    data["_selected_action"] = [task.pk for task in tasks or []]
    if tasks is None:
        data |= {"select_across": "1", "_selected_action": ["0"]}
    return client.post(address, data)


def press(client: Client, page: Any, address: str = LIST) -> Any:
    """Sends the form of a page as it stands there."""
    fields: dict[str, list[str]] = {}
    form = page.content.decode()
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(unescape(value))
    return client.post(address, fields)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def changes_of(task: Task) -> list[list[tuple[str, str, str]]]:
    return [line.changes for line in history.lines(history.of_task(task.pk))]


SETS: dict[str, tuple[str, Any, Any, str, str, str]] = {
    "complete": ("complete", False, True, "completed", "complete", "no → yes"),
    "reopen": ("complete", True, False, "reopened", "open", "yes → no"),
    "priority_high": (
        "priority", "low", "high", "set to high priority", "of high priority", "low → high",
    ),
    "priority_low": (
        "priority", "high", "low", "set to low priority", "of low priority", "high → low",
    ),
}  # fmt: skip


def times(*, complete: Any) -> dict[str, Any]:
    return {"completed_at": timezone.now()} if complete is True else {}


@pytest.mark.parametrize("action", SETS)
def test_a_field_is_set_and_the_message_counts_exactly(support: Any, action: str) -> None:
    field, old, new, done, already, change = SETS[action]
    tasks = make(3, **{field: old}, **times(complete=old))
    so = make(2, **{field: new}, **times(complete=new))
    trashed = make(1, **{field: old}, **times(complete=old))
    Task.objects.filter(pk=trashed[0].pk).trash()
    others = make(1, "bob", **{field: old}, **times(complete=old))
    gone = make(1)
    Task.objects.filter(pk=gone[0].pk).delete()
    before = {row["id"]: row for row in Task.objects.values()}

    response = post(support, action, [*tasks, *so, *trashed, *gone])

    assert (response.status_code, response["Location"]) == (302, LIST)
    (sentences,) = said(response)
    assert sentences == (
        f"3 tasks {done}. 2 were {already} already."
        " 1 was in the trash and stayed as before. 1 was not there any more."
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
    assert LogEntry.objects.count() == 3
    assert {entry.user for entry in LogEntry.objects.all()} == {support.user}
    assert not history.of_owner(others[0].user_id)


def test_what_was_completed_before_keeps_its_time(support: Any) -> None:
    (task,) = make(1, **times(complete=True), complete=True, priority="low")
    before = Task.objects.get().completed_at

    post(support, "priority_high", [task])

    assert Task.objects.get().completed_at == before


def test_a_clock_that_goes_back_does_not_turn_times_around(support: Any) -> None:
    ahead = timezone.now() + timedelta(hours=1)
    (task,) = make(1, updated_at=ahead)

    post(support, "complete", [task])

    after = Task.objects.get()
    assert after.updated_at == ahead + timedelta(microseconds=1)
    assert after.completed_at == after.updated_at


def test_the_trash_and_back(support: Any, alice: Person) -> None:
    given = alice.create()
    task = Task.objects.get()

    assert said(post(support, "trash", [task])) == ["1 task moved to the trash."]
    assert alice.get(alice.task(task.pk)).status_code == 404
    assert said(post(support, "trash", [task])) == [
        "0 tasks moved to the trash. 1 was in the trash already."
    ]
    assert said(post(support, "restore", [task])) == ["1 task restored."]
    assert alice.get(alice.task(task.pk)).json() == given
    assert said(post(support, "restore", [task])) == [
        "0 tasks restored. 1 was out of the trash already."
    ]
    assert changes_of(task) == [[("in trash", "yes", "no")], [("in trash", "no", "yes")]]


def test_what_does_not_match_the_filter_any_more_is_told_too(support: Any) -> None:
    one, other = make(2)
    Task.objects.filter(pk=one.pk).update(complete=True)

    answer = post(support, "complete", [one, other], f"{LIST}?complete__exact=0")

    assert said(answer) == ["1 task completed. 1 was complete already."]


def test_delete_for_good_asks_first_with_the_exact_number(administrator: Any) -> None:
    tasks = make(3)
    (kept,) = make(1)

    page = post(administrator, "purge", tasks)
    assert page.status_code == 200
    assert "Delete for good: 3 tasks." in page.content.decode()
    assert Task.objects.count() == 4
    done = press(administrator, page)

    assert (done.status_code, said(done)) == (302, ["3 tasks deleted for good."])
    assert list(Task.objects.all()) == [kept]
    assert [line.did for line in history.lines(history.of_owner("alice"))] == ["Deletion"] * 3


@pytest.mark.parametrize("action", ["complete", "trash", "purge"])
def test_everything_that_matches_the_filter_is_counted_and_confirmed(
    administrator: Any, action: str
) -> None:
    matching, other = make(5, priority="high"), make(2, priority="low")
    address = f"{LIST}?priority__exact=high"

    page = post(administrator, action, None, address)
    assert ": 5 tasks." in page.content.decode()
    assert LogEntry.objects.count() == 0
    done = press(administrator, page, address)

    assert said(done)[0].startswith("5 tasks ")
    assert done["Location"] == address
    assert {entry.object_id for entry in LogEntry.objects.all()} == {str(t.pk) for t in matching}
    assert Task.objects.alive().filter(complete=False, pk__in=[t.pk for t in other]).count() == 2


def test_what_was_made_after_the_number_was_shown_is_left_alone(administrator: Any) -> None:
    make(2)
    page = post(administrator, "purge", None)
    later = make(3)

    assert said(press(administrator, page)) == ["2 tasks deleted for good."]
    assert list(Task.objects.order_by("pk")) == later


def test_delete_for_good_asks_again_when_there_are_more(administrator: Any) -> None:
    make(2, priority="high")
    make(1, priority="low")
    make(1, priority="high")
    address = f"{LIST}?priority__exact=high"
    page = post(administrator, "purge", None, address)
    Task.objects.filter(priority="low").update(priority="high")

    again = press(administrator, page, address)
    assert "There are more of them meanwhile." in again.content.decode()
    assert ": 4 tasks." in again.content.decode()
    assert Task.objects.count() == 4
    assert said(press(administrator, again, address)) == ["4 tasks deleted for good."]


def test_a_confirmation_holds_for_its_filter_alone(administrator: Any) -> None:
    make(2)
    page = post(administrator, "purge", None, f"{LIST}?priority__exact=low")
    assert page.status_code == 302
    page = post(administrator, "purge", None, f"{LIST}?priority__exact=medium")

    other = press(administrator, page, LIST)

    assert other.status_code == 200
    assert Task.objects.count() == 2


def test_nothing_that_matches_is_said(administrator: Any) -> None:
    assert said(post(administrator, "purge", None)) == ["0 tasks deleted for good."]


def test_what_takes_longer_goes_on_in_the_next_request(
    support: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(7)
    monkeypatch.setattr(run, "BATCH", 2)
    monkeypatch.setattr(run, "SECONDS", 0)

    page = press(support, post(support, "trash", None))
    numbers = []
    while page.status_code == 200:
        numbers.append(Task.objects.trashed().count())
        assert f"{numbers[-1]} of 7 tasks are done." in page.content.decode()
        assert LogEntry.objects.count() == numbers[-1]
        page = press(support, page)

    assert numbers == [2, 4, 6, 7]
    assert said(page) == ["7 tasks moved to the trash."]


def test_a_batch_and_its_history_are_one(support: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = make(4)
    monkeypatch.setattr(run, "BATCH", 2)
    changed = history.changed
    calls: list[Any] = []

    def breaks(staff_id: int, changes: Any) -> None:
        changed(staff_id, changes)
        calls.append(changes)
        if len(calls) == 2:
            raise RuntimeError

    monkeypatch.setattr(history, "changed", breaks)
    with pytest.raises(RuntimeError):
        post(support, "trash", tasks)

    assert list(Task.objects.trashed().order_by("pk")) == tasks[:2]
    assert LogEntry.objects.count() == 2


def test_the_number_of_statements_does_not_depend_on_the_number_of_tasks(
    administrator: Any, django_assert_num_queries: Any
) -> None:
    few, many = make(2), make(90)
    numbers = []
    post(administrator, "complete", make(1))  # Django looks a content type up once
    for tasks in (few, many):
        with CaptureQueriesContext(
            connection,
        ) as sent:
            post(administrator, "complete", tasks)
        numbers.append(len(sent))
    assert numbers[0] == numbers[1]
    page = post(administrator, "purge", many)
    with CaptureQueriesContext(connection) as sent:
        press(administrator, page)
    assert len(sent) < 25


BUTTONS = {
    "viewer": [],
    "support": [name for name in actions.ACTIONS if name != "purge"],
    "administrator": [*actions.ACTIONS],
}


@pytest.mark.parametrize("group", BUTTONS)
def test_each_group_is_shown_what_it_may(group: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)

    listed = re.findall(r'<option value="(\w+)">', client.get(LIST).content.decode())
    page = client.get(f"{LIST}{task.pk}/change/").content.decode()

    assert listed == BUTTONS[group]
    Task.objects.trash()
    in_trash = client.get(f"{LIST}{task.pk}/change/").content.decode()
    for html, useful in ((page, {"trash", "purge"}), (in_trash, {"restore", "purge"})):
        shown = re.findall(r'name="action" value="(\w+)"', html)
        assert set(shown) == useful & set(BUTTONS[group])
    assert ("_save" in page) == (group != "viewer")
    assert "deletelink" not in page


@pytest.mark.parametrize("group", BUTTONS)
@pytest.mark.parametrize("action", actions.ACTIONS)
def test_each_group_is_refused_what_it_may_not(
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

    if action in BUTTONS[group]:
        assert all(answer.status_code in (200, 302) for answer in answers)
    else:
        assert [answer.status_code for answer in answers] == [403] * 4
        assert Task.objects.alive().filter(complete=False, priority="medium").count() == 1
        assert not LogEntry.objects.exists()


@pytest.mark.parametrize("group", BUTTONS)
def test_djangos_own_ways_to_delete_are_closed(group: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(group)
    (task,) = make(1)

    assert post(client, "delete_selected", [task]).status_code == 403
    page = client.post(f"{LIST}{task.pk}/delete/", {"post": "yes"})
    if group == "administrator":
        assert "Delete for good: 1 task." in page.content.decode()
        assert Task.objects.count() == 1
        assert said(press(client, page, f"{LIST}{task.pk}/delete/")) == ["1 task deleted for good."]
    else:
        assert page.status_code == 403
        assert Task.objects.count() == 1


def test_strangers_are_asked_to_sign_in() -> None:
    for address in (ACT, f"{LIST}owner/?user_id=alice", f"{LIST}1/delete/"):
        answer = Client().post(address, {"action": "purge"}, secure=True)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


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
def test_no_input_is_a_fault_of_the_server(
    support: Any, address: str, data: dict[str, str], status: int
) -> None:
    assert support.post(address, data).status_code == status


def test_one_task_by_its_buttons(support: Any) -> None:
    (task,) = make(1)
    page = f"{LIST}{task.pk}/change/"

    answer = support.post(f"{ACT}?task={task.pk}", {"action": "trash"}, follow=True)

    assert answer.redirect_chain == [(page, 302)]
    assert "1 task moved to the trash." in answer.content.decode()
    assert support.put(f"{ACT}?task={task.pk}").status_code == 405


SIGNED_OUT = "You had been signed out, so nothing was done. Try again."


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
def test_a_button_pressed_after_the_session_ended_leads_back_to_its_page(
    administrator: Any, address: str
) -> None:
    (task,) = make(1, "a&b", priority="high")
    address = address.format(task.pk)
    page = address.replace(f"{ACT}?task={task.pk}", f"{LIST}{task.pk}/change/")
    page = page.replace("/act/", "/owner/")
    user = administrator.user
    administrator.logout()

    asked = administrator.post(
        address, {"action": "purge", "_selected_action": task.pk}, secure=True
    )
    assert asked["Location"].startswith("/admin/login/?next=")
    user.set_password("correct horse")
    user.save()
    answer = administrator.post(
        asked["Location"],
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
