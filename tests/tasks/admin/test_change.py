"""The page of one task: the form enforces the rules of the API and saves only edited fields."""

import re
from datetime import UTC, date, datetime
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks import history
from tasks.admin.change import TaskForm
from tasks.models import DESCRIPTION_LENGTH, TITLE_LENGTH, Task
from tests.people import Person
from tests.tasks.admin.pages import ACT, HOME, LIST, SCRIPT, change_page

pytestmark = pytest.mark.django_db


def history_page(task: Task) -> str:
    return reverse("admin:tasks_task_history", args=[task.pk])


def make(**fields: Any) -> Task:
    return Task.objects.create(**{"user_id": "alice", "title": "Buy milk", **fields})


def form_of(client: Client, task: Task) -> dict[str, str]:
    """The form as a browser sends it: single lines have no line breaks, others have CR LF."""
    html = client.get(change_page(task)).content.decode()
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


def errors_in(response: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return dict(found)


def test_only_the_edited_field_changes(support: Any) -> None:
    task = make(description="Two litres")
    before = Task.objects.values().get()

    answer = support.post(change_page(task), {**form_of(support, task), "title": " Buy bread\t"})

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
        {"title": "two\nlines", "description": "x\n" * (DESCRIPTION_LENGTH // 2)},
        {"title": SCRIPT, "description": '"</textarea>' + SCRIPT},
        {"complete": True, "priority": "high"},
        {"due_day": date(2026, 1, 31)},
        {"due_day": date.min},
        {"due_at": datetime(2026, 1, 31, 16, 30, tzinfo=UTC)},
        {"due_at": datetime(2026, 1, 31, 16, 30, 5, 7, tzinfo=UTC)},
        {"due_at": datetime.max.replace(tzinfo=UTC)},
        {"tags": ["Shopping", "home", "a  b", "Straße", "a\u2028b", SCRIPT, '"{x}']},
        {"tags": [f"{n}{'x' * 48}" for n in range(10, 30)]},
    ],
)
def test_untouched_fields_stay_exactly_the_same(support: Any, fields: dict[str, Any]) -> None:
    task = make(**fields)
    before = Task.objects.values().get()

    assert support.post(change_page(task), form_of(support, task)).status_code == 302

    assert Task.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_a_change_that_the_user_made_in_the_meantime_is_not_overwritten(
    support: Any, alice: Person
) -> None:
    alice.create(description="Two litres", due_date="2026-01-31", tags=["home"])
    task = Task.objects.get()
    form = form_of(support, task)
    new = {"due_date": "2026-02-01T12:00:00Z", "tags": ["work"], "complete": True}
    alice.patch(alice.task(task.pk), {"title": "Buy bread", "description": None, **new})

    support.post(change_page(task), {**form, "priority": "high"})

    after = Task.objects.get()
    assert (after.title, after.description, after.priority) == ("Buy bread", None, "high")
    assert (after.due_date, after.tags) == (datetime(2026, 2, 1, 12, tzinfo=UTC), ["work"])
    assert after.complete
    assert after.completed_at is not None
    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("priority", "medium", "high")]


def test_the_history_has_the_true_old_value(support: Any, alice: Person) -> None:
    alice.create()
    task = Task.objects.get()
    form = form_of(support, task)
    alice.patch(alice.task(task.pk), {"title": "Buy bread"})
    chosen = {"title": "Buy beer", "initial-title": "Buy bread", "keep-title": "mine"}

    support.post(change_page(task), {**form, **chosen})

    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("title", "Buy bread", "Buy beer")]


def test_a_task_is_locked_while_staff_change_it(support: Any) -> None:
    task = make()
    form = form_of(support, task)

    with CaptureQueriesContext(connection) as sent:
        support.post(change_page(task), {**form, "title": "Buy bread"})

    assert any(each["sql"].endswith("FOR UPDATE") for each in sent.captured_queries)


def test_completing_and_reopening_keep_the_times(support: Any) -> None:
    task = make()
    support.post(change_page(task), {**form_of(support, task), "complete": "on"})
    completed = Task.objects.get()
    assert completed.completed_at == completed.updated_at

    support.post(change_page(task), {**form_of(support, task), "title": "Buy bread"})
    assert Task.objects.get().completed_at == completed.completed_at

    form = form_of(support, task)
    del form["complete"]
    support.post(change_page(task), form)
    assert Task.objects.get().completed_at is None


def test_a_description_that_is_cleared_is_none(support: Any) -> None:
    task = make(description="Two litres")
    support.post(change_page(task), {**form_of(support, task), "description": ""})

    assert Task.objects.get().description is None


HALF_PAST_FOUR = datetime(2026, 1, 31, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "due", "shown"),
    [
        ("2026-01-31", date(2026, 1, 31), "2026-01-31"),
        (" 2026-01-31 ", date(2026, 1, 31), "2026-01-31"),
        ("2026-01-31 16:30", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31 16:30 UTC", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31 16:30utc", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31 16:30:00", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31T16:30:00Z", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31t16:30z", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31T17:30:00+01:00", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-02-01 06:30 +14:00", HALF_PAST_FOUR, "2026-01-31 16:30 UTC"),
        ("2026-01-31 00:00", datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31 00:00 UTC"),
        (
            "2026-01-31T16:30:00.5Z",
            HALF_PAST_FOUR.replace(microsecond=500_000),
            "2026-01-31 16:30:00.500000 UTC",
        ),
        ("", None, ""),
        ("  ", None, ""),
    ],
)
def test_a_due_date_is_a_day_or_a_time_in_utc(
    support: Any, text: str, due: date | None, shown: str
) -> None:
    task = make(due_date=date(2020, 1, 1))

    answer = support.post(change_page(task), {**form_of(support, task), "due_date": text})

    assert answer.status_code == 302
    after = Task.objects.get()
    assert (type(after.due_date), after.due_date) == (type(due), due)
    assert form_of(support, task)["due_date"] == shown


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "America/New_York", "UTC", "Pacific/Kiritimati"])
def test_a_day_is_the_same_in_every_time_zone(support: Any, viewer: Any, zone: str) -> None:
    task = make(due_date=date(2026, 1, 31))
    for client in (support, viewer):
        client.cookies["zone"] = zone

    form = form_of(support, task)
    assert form["due_date"] == "2026-01-31"
    support.post(change_page(task), {**form, "due_date": "2026-02-01", "title": "Buy bread"})

    after = Task.objects.get()
    assert (after.due_day, after.due_at) == (date(2026, 2, 1), None)
    for client, page in ((support, LIST), (viewer, change_page(task))):
        html = client.get(page).content.decode()
        assert re.search(r'<span class="due[^"]*">2026-02-01', html)


def test_a_time_replaces_a_day_and_a_day_a_time(support: Any) -> None:
    task = make(due_date=date(2026, 1, 31), tags=["home"])
    for text in ("2026-01-31 16:30", "2026-01-31", ""):
        support.post(change_page(task), {**form_of(support, task), "due_date": text})

    assert [line.changes for line in history.lines(history.of_task(task.pk))] == [
        [("due date", "2026-01-31", "(none)")],
        [("due date", "2026-01-31T16:30:00.000000Z", "2026-01-31")],
        [("due date", "2026-01-31", "2026-01-31T16:30:00.000000Z")],
    ]
    assert Task.objects.get().due_date is None


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("home, Shopping", ["home", "Shopping"]),
        (" Shopping,home ,, a  b,", ["Shopping", "home", "a  b"]),
        (",".join(map(str, range(20))), [str(n) for n in range(20)]),
        ("😀" * 50, ["😀" * 50]),
        ("HOME", ["HOME"]),
        (" , ", []),
    ],
)
def test_tags_keep_their_order_and_writing(support: Any, text: str, tags: list[str]) -> None:
    task = make(tags=["home", "Work"])

    answer = support.post(change_page(task), {**form_of(support, task), "tags": text})

    assert answer.status_code == 302
    assert Task.objects.get().tags == tags
    (line,) = history.lines(history.of_task(task.pk))
    assert line.changes == [("tags", "home, Work", ", ".join(tags) or "(none)")]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("x" * 51, f"The tag “{'x' * 51}” must have at most 50 characters."),
        ("x" * 5000, f"The tag “{'x' * 60}…” must have at most 50 characters."),
        ("home, Home", "Enter each tag once: “home” and “Home” are the same tag."),
        ("{x}, {X}", "Enter each tag once: “{x}” and “{X}” are the same tag."),
        ("Straße, STRASSE", "Enter each tag once: “Straße” and “STRASSE” are the same tag."),
        (",".join(map(str, range(21))), "Enter at most 20 tags. These are 21."),
        ("a\x07b", "The tag “a\x07b” must not contain control characters."),
    ],
)
def test_tags_that_break_a_rule_are_named(support: Any, tags: str, message: str) -> None:
    task = make(tags=["home"])

    answer = support.post(change_page(task), {**form_of(support, task), "tags": tags})

    assert errors_in(answer) == {"tags": [message]}
    assert Task.objects.get().tags == ["home"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"due_date": "tomorrow"}, "due_date"),
        ({"due_date": "2026-02-30"}, "due_date"),
        ({"due_date": "31.01.2026"}, "due_date"),
        ({"due_date": "2026-01-31 4:30 pm"}, "due_date"),
        ({"due_date": "2026-01-31 16:30 CET"}, "due_date"),
        ({"due_date": "2026-01-31 25:00"}, "due_date"),
        ({"due_date": "9999-12-31 23:59 -01:00"}, "due_date"),
        ({"due_date": "2026-01-31\x00"}, "due_date"),
        ({"tags": "a\x00b"}, "tags"),
        ({"title": ""}, "title"),
        ({"title": " \t\u2003\n"}, "title"),
        ({"title": "x" * (TITLE_LENGTH + 1)}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"description": "x" * (DESCRIPTION_LENGTH + 1)}, "description"),
        ({"description": "\x00"}, "description"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": ""}, "priority"),
    ],
)
def test_a_broken_rule_is_reported_at_its_field(
    support: Any, fields: dict[str, str], field: str
) -> None:
    task = make()
    before = Task.objects.values().get()

    answer = support.post(change_page(task), {**form_of(support, task), **fields})

    assert answer.status_code == 200
    assert list(errors_in(answer)) == [field]
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert Task.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_a_lone_surrogate_is_reported_at_its_field() -> None:
    fields = ("user_id", "title", "description", "due_date", "tags")
    form = TaskForm(dict.fromkeys(fields, "a\ud83db"))

    assert set(fields) <= set(form.errors)


@pytest.mark.parametrize(
    "fields",
    [{"title": "😀" * TITLE_LENGTH}, {"description": "x\r\n" * (DESCRIPTION_LENGTH // 2)}],
)
def test_text_of_the_maximum_length_is_accepted(support: Any, fields: dict[str, str]) -> None:
    task = make()

    assert support.post(change_page(task), {**form_of(support, task), **fields}).status_code == 302
    assert len(getattr(Task.objects.get(), *fields)) in (TITLE_LENGTH, DESCRIPTION_LENGTH)


def test_times_and_owner_are_read_only(support: Any) -> None:
    task = make()
    before = Task.objects.values().get()
    sent = {name: "2020-01-01 00:00:00" for name in before if name.endswith("_at")}

    support.post(change_page(task), {**form_of(support, task), **sent, "user_id": "bob", "id": "7"})

    assert Task.objects.values().get() == before


def test_the_message_says_when_the_task_no_longer_exists(support: Any) -> None:
    task = make()
    form = form_of(support, task)
    Task.objects.all().delete()

    answer = support.post(change_page(task), {**form, "title": "Buy bread"}, follow=True)

    assert "exist. Perhaps it was deleted?" in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_task_in_the_trash_is_read_only_until_it_is_restored(support: Any) -> None:
    task = make()
    form = form_of(support, task)
    Task.objects.trash()

    answer = support.post(change_page(task), {**form, "title": "Buy bread"}, follow=True)

    html = answer.content.decode()
    assert "This task is in the trash, so your changes were not saved. Restore it" in html
    assert 'name="title"' not in html
    assert 'value="restore"' in html
    assert Task.objects.get().title == "Buy milk"


def test_a_viewer_can_read_but_not_change(viewer: Any) -> None:
    task = make()

    html = viewer.get(change_page(task)).content.decode()
    answer = viewer.post(change_page(task), {"title": "Buy bread", "priority": "low"})

    assert 'name="title"' not in html
    assert answer.status_code == 403
    assert Task.objects.get().title == "Buy milk"


def test_a_viewer_sees_due_date_and_tags_as_in_the_list(viewer: Any) -> None:
    task = make(due_date=HALF_PAST_FOUR, tags=["home", "a&b"])

    html = viewer.get(change_page(task)).content.decode()

    assert '<time datetime="2026-01-31T16:30:00+00:00">2026-01-31 16:30 UTC</time>' in html
    assert f'href="{LIST}?tag=home" title="home">home</a>' in html
    assert f'href="{LIST}?tag=a%26b" title="a&amp;b">a&amp;b</a>' in html


def test_only_an_administrator_can_add(viewer: Any, support: Any, administrator: Any) -> None:
    form = {"user_id": "a /b", "title": " Buy milk ", "complete": "on", "priority": "high"}
    form |= {"due_date": "2026-01-31 16:30", "tags": "home, Shopping"}
    for client in (viewer, support):
        assert client.post(f"{LIST}add/", form).status_code == 403
    for user_id in ("", " a", "a ", "\u00a0a", "a\n"):
        assert administrator.post(f"{LIST}add/", {**form, "user_id": user_id}).status_code == 200

    assert administrator.post(f"{LIST}add/", form).status_code == 302

    task = Task.objects.get()
    assert (task.user_id, task.title, task.description) == ("a /b", "Buy milk", None)
    assert (task.due_date, task.tags) == (HALF_PAST_FOUR, ["home", "Shopping"])
    assert task.created_at == task.updated_at == task.completed_at
    (line,) = history.lines(history.of_task(task.pk))
    assert line.owner == "a /b"
    assert line.changes == [
        ("user id", "(none)", "a /b"),
        ("title", "(none)", "Buy milk"),
        ("complete", "(none)", "yes"),
        ("priority", "(none)", "high"),
        ("due date", "(none)", "2026-01-31T16:30:00.000000Z"),
        ("tags", "(none)", "home, Shopping"),
    ]


def test_text_is_escaped(support: Any) -> None:
    task = make(user_id=SCRIPT, title=SCRIPT, description=SCRIPT, tags=[SCRIPT])
    support.post(change_page(task), {**form_of(support, task), "title": f"{SCRIPT}2"})
    support.post(f"{ACT}?task={task.pk}", {"action": "trash"})

    for address in (LIST, change_page(task), history_page(task), HOME):
        html = support.get(address).content.decode()
        assert SCRIPT not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_history_of_a_task_is_on_its_page(support: Any, viewer: Any) -> None:
    task = make()
    support.post(
        change_page(task), {**form_of(support, task), "title": "Buy bread", "complete": "on"}
    )
    support.post(f"{ACT}?task={task.pk}", {"action": "trash"})

    html = viewer.get(history_page(task)).content.decode()

    assert "support" in html
    assert "title: <bdi>Buy milk</bdi> → <bdi>Buy bread</bdi><br>" in html
    assert "complete: <bdi>no</bdi> → <bdi>yes</bdi>" in html
    assert "in trash: <bdi>no</bdi> → <bdi>yes</bdi>" in html


def test_a_history_is_read_only(support: Any) -> None:
    answer = support.post(history_page(make()))

    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_changes_by_users_are_not_in_the_history(viewer: Any, alice: Person) -> None:
    alice.create()
    task = Task.objects.get()
    alice.patch(alice.task(task.pk), {"title": "Buy bread"})
    alice.delete(alice.task(task.pk))

    html = viewer.get(history_page(task)).content.decode()

    assert "No changes by staff." in html
    assert not LogEntry.objects.exists()


def test_the_history_of_a_task_needs_no_statement_per_entry(support: Any) -> None:
    few, many = make(), make()
    history.changed(support.user.pk, [(few, {"title": ("a", "b")})] * 2)
    history.changed(support.user.pk, [(many, {"title": ("a", "b")})] * 250)

    numbers = []
    for task in (few, many):
        with CaptureQueriesContext(connection) as sent:
            html = support.get(history_page(task)).content.decode()
        numbers.append(len(sent))
    assert numbers[0] == numbers[1]
    assert html.count("title: <bdi>a</bdi> → <bdi>b</bdi>") == 100
    assert '<a href="?p=3">' in html
