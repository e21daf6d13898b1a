"""Two members of staff, or staff and the user, change the same task: nothing is lost silently."""

from html import unescape
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction

from tasks import history
from tasks.models import Task
from tests.people import Person
from tests.tasks.admin.conftest import member_of
from tests.tasks.admin.pages import ACT, LIST, SCRIPT, change_page, messages_in
from tests.tasks.admin.test_change import errors_in, form_of

pytestmark = pytest.mark.django_db

CHOOSE = (
    "Nothing is saved yet, because somebody else has changed this task since you opened it. Choose "
    "a value for each field below, then save again."
)


def changes_in(response: Any) -> list[tuple[str, str, str, str | None, str]]:
    """Field, value when the page was opened, value now, value entered, and who changed it."""
    form = response.context["adminform"].form
    return [(c.name, c.shown, c.theirs, c.mine, c.by) for c in form.foreign_changes]


def resent(response: Any, **choices: str) -> dict[str, Any]:
    """The form of a page with conflicts, as a browser sends it."""
    form = response.context["adminform"].form
    sent = {key: text for key, text in form.data.items() if not key.startswith("keep-")}
    mine = [change for change in form.foreign_changes if change.mine is not None]
    shown = {f"shown-{change.name}": change.shown_text for change in mine}
    kept = {f"keep-{name}": choice for name, choice in choices.items()}
    return {**sent, **shown, **kept, "conflict": [change.name for change in mine]}


@pytest.fixture
def task(alice: Person) -> Task:
    alice.create(description="Two litres", tags=["home"])
    return Task.objects.get()


def test_the_same_field_changed_by_a_colleague_and_the_user(
    support: Any, alice: Person, task: Task
) -> None:
    colleague = member_of("administrator")
    form = form_of(support, task)
    theirs = form_of(colleague, task)
    colleague.post(change_page(task), {**theirs, "title": f"Buy {SCRIPT}", "tags": "home, shop"})
    alice.patch(alice.task(task.pk), {"description": "Three litres", "priority": "high"})
    before = Task.objects.values().get()

    page = support.post(
        change_page(task), {**form, "title": "Buy beer", "description": "One litre"}
    )

    assert Task.objects.values().get() == before
    assert LogEntry.objects.count() == 1
    assert errors_in(page) == {"__all__": [CHOOSE]}
    assert changes_in(page) == [
        ("title", "Buy milk", f"Buy {SCRIPT}", "Buy beer", "administrator"),
        ("description", "Two litres", "Three litres", "One litre", ""),
        ("priority", "medium", "high", None, ""),
        ("tags", "home", "home, shop", None, "administrator"),
    ]
    html = page.content.decode()
    assert SCRIPT not in html
    assert "<legend>Title</legend>" in html
    assert "Changed by <strong>administrator</strong>, <time datetime=" in html
    assert "Changed by <strong>the user</strong>, or by a command, since you opened" in html

    saved = support.post(change_page(task), resent(page, title="mine", description="theirs"))

    assert saved.status_code == 302
    after = Task.objects.get()
    assert (after.title, after.description) == ("Buy beer", "Three litres")
    assert (after.priority, after.tags) == ("high", ["home", "shop"])
    line = history.lines(history.of_task(task.pk))[0]
    assert line.changes == [("title", f"Buy {SCRIPT}", "Buy beer")]
    assert line.entry.user == support.user


def test_without_a_choice_nothing_is_saved(support: Any, alice: Person, task: Task) -> None:
    form = form_of(support, task)
    alice.patch(alice.task(task.pk), {"title": "Buy bread", "due_date": "2026-01-31"})
    page = support.post(
        change_page(task), {**form, "title": "Buy beer", "due_date": "2026-02-01", "tags": "x"}
    )

    page = support.post(change_page(task), resent(page, due_date="mine", title="both"))

    assert errors_in(page) == {"__all__": [CHOOSE]}
    assert changes_in(page) == [("title", "Buy milk", "Buy bread", "Buy beer", "")]
    assert support.post(change_page(task), resent(page, title="theirs")).status_code == 302
    after = Task.objects.get()
    assert (after.title, str(after.due_date), after.tags) == ("Buy bread", "2026-02-01", ["x"])


def test_a_change_after_the_choice_is_a_conflict_again(
    support: Any, alice: Person, task: Task
) -> None:
    form = form_of(support, task)
    alice.patch(alice.task(task.pk), {"title": "Buy bread"})
    page = support.post(change_page(task), {**form, "title": "Buy beer"})
    alice.patch(alice.task(task.pk), {"title": "Buy cake"})

    page = support.post(change_page(task), resent(page, title="mine"))

    assert changes_in(page) == [("title", "Buy milk", "Buy cake", "Buy beer", "")]
    assert Task.objects.get().title == "Buy cake"
    support.post(change_page(task), resent(page, title="mine"))
    assert Task.objects.get().title == "Buy beer"


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        ({"title": "Buy beer"}, {"title": "Buy beer"}),
        ({"complete": True}, {"complete": "on"}),
        ({"description": None}, {"description": ""}),
        ({"tags": ["a", "b"]}, {"tags": " a,b"}),
        ({"due_date": "2026-01-31T12:00:00Z"}, {"due_date": "2026-01-31 13:00 +01:00"}),
        ({"title": "Buy bread"}, {"priority": "high"}),
    ],
)
def test_the_same_value_or_another_field_is_no_conflict(
    support: Any, alice: Person, task: Task, theirs: dict[str, Any], mine: dict[str, str]
) -> None:
    form = form_of(support, task)
    alice.patch(alice.task(task.pk), theirs)

    assert support.post(change_page(task), {**form, **mine}).status_code == 302


@pytest.mark.parametrize("seen", ["", "x", "-1", "9" * 50, "\0"])
def test_a_forged_form_overwrites_nothing(support: Any, task: Task, seen: str) -> None:
    form = {name: text for name, text in form_of(support, task).items() if "initial" not in name}

    page = support.post(change_page(task), {**form, "title": "Buy beer", "seen": seen})

    assert errors_in(page) == {"__all__": [CHOOSE]}
    assert Task.objects.get().title == "Buy milk"


def test_an_invalid_field_is_reported_beside_a_conflict(
    support: Any, alice: Person, task: Task
) -> None:
    form = form_of(support, task)
    alice.patch(alice.task(task.pk), {"due_date": "2026-01-31"})

    page = support.post(change_page(task), {**form, "due_date": "soon"})

    assert set(errors_in(page)) == {"__all__", "due_date"}
    assert changes_in(page) == [("due_date", "(none)", "2026-01-31", "soon", "")]


@pytest.mark.django_db(transaction=True)
def test_a_change_at_the_moment_of_saving_is_a_conflict(support: Any, task: Task) -> None:
    """The form waits for the other transaction, and then compares with what that has written."""
    form = {**form_of(support, task), "title": "Buy beer"}
    pages: list[Any] = []

    def save() -> None:
        try:
            pages.append(support.post(change_page(task), form))
        finally:
            connection.close()

    saving = Thread(target=save)
    with transaction.atomic():
        Task.objects.update(title="Buy bread")
        saving.start()
        wait_for_a_lock()
    saving.join()

    assert changes_in(pages[0]) == [("title", "Buy milk", "Buy bread", "Buy beer", "")]
    assert Task.objects.get().title == "Buy bread"


def wait_for_a_lock() -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with connection.cursor() as cursor:
        while cursor.execute(waiting).fetchone() == (0,):
            pass


def test_buttons_lose_no_edits(support: Any, task: Task) -> None:
    form = {**form_of(support, task), "title": "Buy <b>beer</b>", "action": "trash"}
    act = f"{ACT}?task={task.pk}"

    page = support.post(act, form)

    assert Task.objects.alive().get().title == "Buy milk"
    assert "You have edited this task, so nothing was done." in errors_in(page)["__all__"][0]
    html = page.content.decode()
    assert f'<form action="{change_page(task)}"' in html
    assert form_of_html(html)["title"] == "Buy <b>beer</b>"
    support.post(act, {**form, "title": "Buy milk"})
    assert Task.objects.trashed().exists()


def form_of_html(html: str) -> dict[str, str]:
    (title,) = [tag for tag in html.split("<input ") if 'name="title"' in tag]
    return {"title": unescape(title.split('value="')[1].split('"')[0])}


def test_edits_of_a_task_that_is_in_the_trash_now_are_reported(support: Any, task: Task) -> None:
    form = {**form_of(support, task), "title": "Buy beer"}
    Task.objects.trash()

    for address in (change_page(task), f"{ACT}?task={task.pk}"):
        answer = support.post(address, {**form, "action": "trash"}, follow=True)
        assert messages_in(answer)[-1].startswith("This task is in the trash, so your changes")
    assert Task.objects.get().title == "Buy milk"


@pytest.mark.parametrize("action", ["trash", "purge"])
def test_buttons_of_a_task_keep_the_filters_of_the_list(
    administrator: Any, task: Task, action: str
) -> None:
    filters = "priority__exact=medium&q=milk"
    link = next(
        part.split('"')[0]
        for part in administrator.get(f"{LIST}?{filters}").content.decode().split('href="')
        if part.startswith(change_page(task))
    )
    html = administrator.get(unescape(link)).content.decode()
    assert f'<a href="{LIST}?{filters.replace("&", "&amp;")}">Tasks</a>' in html
    button = next(part for part in html.split("<button ") if f'value="{action}"' in part)
    act = unescape(button.split('formaction="')[1].split('"')[0])

    answer = administrator.post(act, {"action": action})

    if action == "purge":
        form = {"action": action, "progress": answer.content.decode().split('progress" value="')[1]}
        form = {**form, "progress": unescape(form["progress"].split('"')[0])}
        form["_selected_action"] = str(task.pk)
        answer = administrator.post(act, form)
        assert answer["Location"] == f"{LIST}?{filters}"
    else:
        assert answer["Location"] == unescape(link)
