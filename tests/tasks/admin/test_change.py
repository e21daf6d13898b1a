"""The page of one task: the form keeps to the rules of the API, and to what staff touched."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks import history
from tasks.admin.change import TaskForm
from tasks.models import Task
from tests.people import Person

pytestmark = pytest.mark.django_db

LIST = "/admin/tasks/task/"
SCRIPT = "<script>alert(1)</script>"


def page_of(task: Task) -> str:
    return f"{LIST}{task.pk}/change/"


def make(**fields: Any) -> Task:
    return Task.objects.create(**{"user_id": "alice", "title": "Buy milk", **fields})


def shown(client: Client, task: Task) -> dict[str, str]:
    """The form as a browser sends it: one line loses its breaks, and others become CR LF."""
    html = client.get(page_of(task)).content.decode()
    form = {}
    for tag in re.findall(r"<input[^>]*>", html):
        attributes = {name: unescape(text) for name, text in re.findall(r'(\w+)="([^"]*)"', tag)}
        if attributes.get("type") == "checkbox" and "checked" not in tag:
            continue
        if attributes.get("type") in ("text", "hidden", "checkbox"):
            empty = "on" if attributes["type"] == "checkbox" else ""
            form[attributes["name"]] = attributes.get("value", empty)
    for name, text in re.findall(r'(?s)<textarea name="(\w+)"[^>]*>\n?(.*?)</textarea>', html):
        form[name] = unescape(text)
    form["title"] = re.sub("[\r\n]", "", form["title"])
    form |= {name: re.sub("\r\n|\r|\n", "\r\n", form[name]) for name in form if name != "title"}
    (form["priority"],) = re.findall(r'<option value="(\w+)" selected>', html)
    return form


def errors_at(response: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return dict(found)


def test_what_staff_change_is_changed_and_nothing_else(support: Any) -> None:
    task = make(description="Two litres")
    before = Task.objects.values().get()

    answer = support.post(page_of(task), {**shown(support, task), "title": " Buy bread\t"})

    assert (answer.status_code, answer["Location"]) == (302, LIST)
    after = Task.objects.values().get()
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, "title": "Buy bread", "updated_at": after["updated_at"]}
    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("title", "Buy milk", "Buy bread")]
    assert line.entry.user == support.user


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"description": ""},
        {"description": " two\nlines\r\n\rand more "},
        {"description": "\nafter a line break"},
        {"title": "two\nlines", "description": "x\n" * 500},
        {"title": SCRIPT, "description": '"</textarea>' + SCRIPT},
        {"complete": True, "priority": "high"},
    ],
)
def test_what_nobody_touched_stays_to_the_letter(support: Any, fields: dict[str, Any]) -> None:
    task = make(**fields)
    before = Task.objects.values().get()

    assert support.post(page_of(task), shown(support, task)).status_code == 302

    assert Task.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_what_the_user_changed_meanwhile_is_not_overwritten(support: Any, alice: Person) -> None:
    alice.create(description="Two litres")
    task = Task.objects.get()
    form = shown(support, task)
    alice.patch(alice.task(task.pk), {"title": "Buy bread", "description": None, "complete": True})

    support.post(page_of(task), {**form, "priority": "high"})

    after = Task.objects.get()
    assert (after.title, after.description, after.priority) == ("Buy bread", None, "high")
    assert after.complete
    assert after.completed_at is not None
    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("priority", "medium", "high")]


def test_the_history_has_what_was_really_there(support: Any, alice: Person) -> None:
    alice.create()
    task = Task.objects.get()
    form = shown(support, task)
    alice.patch(alice.task(task.pk), {"title": "Buy bread"})

    support.post(page_of(task), {**form, "title": "Buy beer"})

    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("title", "Buy bread", "Buy beer")]


def test_a_task_is_locked_while_staff_change_it(support: Any) -> None:
    task = make()
    form = shown(support, task)

    with CaptureQueriesContext(connection) as sent:
        support.post(page_of(task), {**form, "title": "Buy bread"})

    assert any(each["sql"].endswith("FOR UPDATE") for each in sent.captured_queries)


def test_completing_and_reopening_keep_the_times(support: Any) -> None:
    task = make()
    support.post(page_of(task), {**shown(support, task), "complete": "on"})
    done = Task.objects.get()
    assert done.completed_at == done.updated_at

    support.post(page_of(task), {**shown(support, task), "title": "Buy bread"})
    assert Task.objects.get().completed_at == done.completed_at

    form = shown(support, task)
    del form["complete"]
    support.post(page_of(task), form)
    assert Task.objects.get().completed_at is None


def test_a_description_that_is_cleared_is_none(support: Any) -> None:
    task = make(description="Two litres")
    support.post(page_of(task), {**shown(support, task), "description": ""})

    assert Task.objects.get().description is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"title": ""}, "title"),
        ({"title": " \t\u2003\n"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"description": "x" * 1001}, "description"),
        ({"description": "\x00"}, "description"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": ""}, "priority"),
    ],
)
def test_a_broken_rule_is_told_at_its_field(
    support: Any, fields: dict[str, str], place: str
) -> None:
    task = make()
    before = Task.objects.values().get()

    answer = support.post(page_of(task), {**shown(support, task), **fields})

    assert answer.status_code == 200
    assert list(errors_at(answer)) == [place]
    assert f'id="id_{place}_error"' in answer.content.decode()
    assert Task.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_half_of_a_character_is_refused_at_its_field() -> None:
    form = TaskForm({"user_id": "a\ud83d", "title": "a\ud83db", "description": "\udc00"})

    assert {"user_id", "title", "description"} <= set(form.errors)


@pytest.mark.parametrize("fields", [{"title": "😀" * 200}, {"description": "x\r\n" * 500}])
def test_what_just_fits_is_taken(support: Any, fields: dict[str, str]) -> None:
    task = make()

    assert support.post(page_of(task), {**shown(support, task), **fields}).status_code == 302
    assert len(getattr(Task.objects.get(), *fields)) in (200, 1000)


def test_times_and_owner_are_read_only(support: Any) -> None:
    task = make()
    before = Task.objects.values().get()
    moment = "2020-01-01 00:00:00"
    sent = {name: moment for name in before if name.endswith("_at")}

    support.post(page_of(task), {**shown(support, task), **sent, "user_id": "bob", "id": "7"})

    assert Task.objects.values().get() == before


def test_a_task_that_is_gone_is_said(support: Any) -> None:
    task = make()
    form = shown(support, task)
    Task.objects.all().delete()

    answer = support.post(page_of(task), {**form, "title": "Buy bread"}, follow=True)

    assert "exist. Perhaps it was deleted?" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_task_in_the_trash_is_read_only_until_it_is_restored(support: Any) -> None:
    task = make()
    form = shown(support, task)
    Task.objects.trash()

    answer = support.post(page_of(task), {**form, "title": "Buy bread"}, follow=True)

    html = answer.content.decode()
    assert "It is in the trash. Restore it to change it." in html
    assert 'name="title"' not in html
    assert 'value="restore"' in html
    assert Task.objects.get().title == "Buy milk"


def test_a_viewer_reads_and_is_refused_to_change(viewer: Any) -> None:
    task = make()

    html = viewer.get(page_of(task)).content.decode()
    answer = viewer.post(page_of(task), {"title": "Buy bread", "priority": "low"})

    assert 'name="title"' not in html
    assert answer.status_code == 403
    assert Task.objects.get().title == "Buy milk"


def test_only_an_administrator_adds(viewer: Any, support: Any, administrator: Any) -> None:
    given = {"user_id": " a/b ", "title": " Buy milk ", "complete": "on", "priority": "high"}
    for client in (viewer, support):
        assert client.post(f"{LIST}add/", given).status_code == 403
    assert administrator.post(f"{LIST}add/", {**given, "user_id": ""}).status_code == 200

    assert administrator.post(f"{LIST}add/", given).status_code == 302

    task = Task.objects.get()
    assert (task.user_id, task.title, task.description) == (" a/b ", "Buy milk", None)
    assert task.created_at == task.updated_at == task.completed_at
    (line,) = history.lines(history.of_task(task.pk))
    assert line.owner == " a/b "
    assert line.changes == [
        ("user id", "nothing", " a/b "),
        ("title", "nothing", "Buy milk"),
        ("complete", "nothing", "yes"),
        ("priority", "nothing", "high"),
    ]


def test_text_is_shown_as_text(support: Any) -> None:
    task = make(user_id=SCRIPT, title=SCRIPT, description=SCRIPT)
    support.post(page_of(task), {**shown(support, task), "title": f"{SCRIPT}2"})
    support.post(f"{LIST}act/?task={task.pk}", {"action": "trash"})

    for address in (LIST, page_of(task), f"{LIST}{task.pk}/history/", "/admin/"):
        html = support.get(address).content.decode()
        assert SCRIPT not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_history_of_a_task_is_on_its_page(support: Any, viewer: Any) -> None:
    task = make()
    support.post(page_of(task), {**shown(support, task), "title": "Buy bread", "complete": "on"})
    support.post(f"{LIST}act/?task={task.pk}", {"action": "trash"})

    html = viewer.get(f"{LIST}{task.pk}/history/").content.decode()

    assert "support" in html
    assert "title: Buy milk → Buy bread<br>complete: no → yes" in html
    assert "in trash: no → yes" in html


def test_a_history_is_only_read(support: Any) -> None:
    answer = support.post(f"{LIST}{make().pk}/history/")

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_what_users_do_is_not_in_the_history(viewer: Any, alice: Person) -> None:
    task = alice.create()["id"]
    alice.patch(alice.task(task), {"title": "Buy bread"})
    alice.delete(alice.task(task))

    html = viewer.get(f"{LIST}{task}/history/").content.decode()

    assert "Staff have changed nothing here." in html
    assert not LogEntry.objects.exists()


def test_the_history_of_a_task_costs_no_statement_per_entry(support: Any) -> None:
    few, many = make(), make()
    history.changed(support.user.pk, [(few, {"title": ("a", "b")})] * 2)
    history.changed(support.user.pk, [(many, {"title": ("a", "b")})] * 250)

    numbers = []
    for task in (few, many):
        with CaptureQueriesContext(connection) as sent:
            html = support.get(f"{LIST}{task.pk}/history/").content.decode()
        numbers.append(len(sent))
    assert numbers[0] == numbers[1]
    assert html.count("title: a → b") == 100
    assert '<a href="?p=3">' in html
