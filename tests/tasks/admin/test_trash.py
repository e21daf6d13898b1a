"""The trash as a place of its own: order, filters, who deleted, and its two buttons."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils.html import strip_tags

from tasks.models import Deletion, Task
from tests.better_auth.users import BetterAuthUsers
from tests.people import Person
from tests.tasks.admin.pages import ACT, SCRIPT, TRASH, confirm, make, messages_in

pytestmark = pytest.mark.django_db

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
YESTERDAY = NOON - timedelta(1)


def trash(number: int, user_id: str = "alice", at: datetime = YESTERDAY) -> list[Task]:
    return make(number, user_id, deleted_at=at)


def found(**query: object) -> str:
    return f"{TRASH}?{urlencode(query)}"


def ids(page: Any) -> list[int]:
    return [task.pk for task in page.context["cl"].result_list]


def cells(page: Any, column: str) -> list[str]:
    """The texts of a column, from top to bottom."""
    pattern = rf'<td class="field-{column}[^"]*">(.*?)</td>'
    return [
        strip_tags(cell).strip() for cell in re.findall(pattern, page.content.decode(), re.DOTALL)
    ]


def button(page: Any, action: str) -> dict[str, str]:
    """What the form of a button above the list sends."""
    for form in re.findall(r'<form method="post">.*?</form>', page.content.decode(), re.DOTALL):
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        if fields.get("action") == action:
            return fields
    return {}


def test_what_was_deleted_last_comes_first_on_every_page(
    viewer: Client, django_assert_max_num_queries: Any
) -> None:
    make(1)
    at = [YESTERDAY, YESTERDAY, YESTERDAY - timedelta(hours=1), NOON - timedelta(9)]
    for n, time in enumerate(at):
        trash(60, f"user-{n}", time)
    expected = list(
        Task.objects.trashed()
        .order_by("-deleted_at", "-user_id", "-pk")
        .values_list("pk", flat=True)
    )

    address, seen = TRASH, []
    while address:
        with django_assert_max_num_queries(12):
            page = viewer.get(address)
        seen += ids(page)
        older = page.context["cl"].older_url
        address = f"{TRASH}{older}" if older else ""

    assert seen == expected
    assert "240 tasks in the trash" in page.content.decode()


def test_it_is_known_who_deleted(
    viewer: Client, administrator: Any, alice: Person, better_auth: BetterAuthUsers
) -> None:
    by_user, by_staff, by_command = make(1) + make(1, "bob") + make(1, "gone")
    for user in ("alice", "bob"):
        better_auth.add(user, user.title(), f"{user}@example.com")
    assert alice.delete(alice.task(by_user.pk)).status_code == 204
    administrator.post(f"{ACT}?task={by_staff.pk}", {"action": "trash"})
    call_command("purge_tasks", "--orphans", "--allow-many=3", "--yes")

    page = viewer.get(TRASH)
    shown = dict(zip(ids(page), cells(page, "who"), strict=True))

    assert shown == {
        by_user.pk: "the user",
        by_staff.pk: "staff: administrator",
        by_command.pk: "command: purge_tasks --orphans",
    }
    for by, task in (("user", by_user), ("staff", by_staff), ("command", by_command)):
        assert ids(viewer.get(found(by=by))) == [task.pk]


def test_it_is_the_user_again_after_a_restore(viewer: Client, support: Any, alice: Person) -> None:
    (task,) = make(1)
    support.post(f"{ACT}?task={task.pk}", {"action": "trash"})
    alice.patch(alice.task(task.pk), {"deleted": False})
    alice.delete(alice.task(task.pk))

    assert cells(viewer.get(TRASH), "who") == ["the user"]


def test_who_deleted_is_forgotten_with_the_tasks(viewer: Client) -> None:
    old, new = NOON - timedelta(31), NOON - timedelta(29)
    for at in (old, new):
        trash(1, at=at)
        Deletion.record(at, command="test")

    for arguments in (["--dry-run"], ["--user=alice", "--yes"]):
        call_command("purge_tasks", *arguments)
        assert Deletion.objects.count() == 2
    call_command("purge_tasks", "--yes")

    assert Deletion.objects.get().deleted_at == new
    assert cells(viewer.get(TRASH), "who") == ["command: test"]


def test_each_task_has_the_day_on_which_it_is_gone(viewer: Client, settings: Any) -> None:
    settings.TASKS_RETENTION_DAYS = 3
    for days in (0, 2, 3, 4):
        trash(1, f"user-{days}", NOON - timedelta(days))

    shown = cells(viewer.get(TRASH), "gone_on")

    gone_on = [str((NOON + timedelta(n)).date()) for n in (3, 1, 0, -1)]
    notes = ("in 3 days", "tomorrow", "today", "overdue")
    assert shown == [f"{day} ({note})" for day, note in zip(gone_on, notes, strict=True)]


def test_a_day_is_one_of_the_browser(viewer: Client) -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    (task,) = trash(1, at=late)
    query = {"deleted_at_from": "2026-02-01", "deleted_at_to": "2026-02-01"}
    assert ids(viewer.get(found(**query))) == []

    viewer.cookies["zone"] = "Europe/Berlin"

    assert ids(viewer.get(found(**query))) == [task.pk]


def test_what_one_user_lost_yesterday_is_back_with_one_button(support: Any) -> None:
    lost = trash(3)
    others = [*trash(2, "bob"), *trash(1, at=NOON - timedelta(5))]
    only = next(link for link in links(support.get(TRASH)) if "user_id__exact=alice" in link)
    yesterday = next(
        link for link in links(support.get(f"{TRASH}{only}")) if f"to={YESTERDAY.date()}" in link
    )
    address = f"{TRASH}{yesterday}"
    page = support.get(address)
    assert "Restore these 3 tasks" in page.content.decode()

    answer = support.post(address, button(page, "restore"))

    assert (answer.status_code, messages_in(answer)) == (302, ["3 tasks restored."])
    assert set(Task.objects.alive()) == set(lost)
    assert set(Task.objects.trashed()) == set(others)


def links(page: Any) -> list[str]:
    return [
        link.replace("&amp;", "&")
        for link in re.findall(r'href="(\?[^"]*)"', page.content.decode())
    ]


def test_a_button_is_only_for_its_own_address(support: Any) -> None:
    """The form of one user's page does not restore what belonged to others."""
    trash(1)
    trash(1, "bob")
    form = button(support.get(found(user_id__exact="alice")), "restore")

    page = support.post(TRASH, form)

    assert "Restore from the trash: 2 tasks" in page.content.decode()
    assert Task.objects.alive().count() == 0


def test_emptying_names_the_number_and_asks(administrator: Any) -> None:
    trash(3)
    make(2)
    page = administrator.get(TRASH)
    assert (
        '<button class="button permanent">Empty the trash: 3 tasks</button>'
        in page.content.decode()
    )

    question = administrator.post(TRASH, button(page, "purge"))

    text = question.content.decode()
    assert "Delete permanently: 3 tasks" in text
    assert "This cannot be undone." in text
    assert "in the trash: <bdi>yes</bdi>" in text
    assert Task.objects.trashed().count() == 3
    answer = confirm(administrator, question, TRASH)
    assert messages_in(answer) == ["3 tasks permanently deleted."]
    assert Task.objects.count() == Task.objects.alive().count() == 2
    assert "The trash is empty." in administrator.get(TRASH).content.decode()


@pytest.mark.parametrize(
    ("group", "action"), [("viewer", "restore"), ("viewer", "purge"), ("support", "purge")]
)
def test_who_lacks_the_right_has_no_button_and_gets_403(
    request: Any, administrator: Any, group: str, action: str
) -> None:
    tasks = trash(1)
    client = request.getfixturevalue(group)
    address = found(by="user")
    form = button(administrator.get(address), action)
    confirmation = administrator.post(address, form)

    assert button(client.get(address), action) == {}
    assert client.post(address, form).status_code == 403
    assert confirm(client, confirmation, address).status_code == 403
    selected = {"action": action, "_selected_action": [tasks[0].pk]}
    assert client.post(address, selected).status_code == 403
    assert Task.objects.trashed().count() == 1


@pytest.mark.parametrize("action", ["complete", "trash", "priority_high", "delete_selected"])
def test_it_has_no_other_action(administrator: Any, action: str) -> None:
    (task,) = trash(1)
    data = {"action": action, "_selected_action": [task.pk]}
    assert administrator.post(TRASH, data).status_code == 403
    for page in ("add/", f"{task.pk}/change/", f"{task.pk}/delete/", "act/"):
        assert administrator.get(f"{TRASH}{page}").status_code == 404


def test_without_the_right_to_see_tasks_there_is_no_trash(viewer: Client) -> None:
    viewer.user.groups.clear()  # type: ignore[attr-defined]
    assert viewer.get(TRASH).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"by": "somebody"},
        {"p": "7"},
        {"p": "2026-01-31~7"},
        {"p": "2026-01-31T00:00:00+00:00~x~alice"},
        {"p": "9999-12-31T23:59:59-23:59~7~alice"},
        {"p": "2026-01-31T00:00:00+00:00~7~\0"},
        {"deleted_at_from": "yesterday"},
        {"trash": "in"},
        {"title__startswith": "a"},
        {"q": "x" * 1001},
    ],
)
def test_what_no_link_sends_is_refused(viewer: Client, query: dict[str, str]) -> None:
    assert viewer.get(found(**query)).status_code == 400


@pytest.mark.parametrize("number", ["7", "9" * 19])
def test_a_search_finds_users_and_ids(
    viewer: Client, better_auth: BetterAuthUsers, number: str
) -> None:
    better_auth.add("alice", "Alice Liddell", "alice@example.com")
    (task, other) = [*trash(1), *trash(1, "bob")]
    for words in ("alice", "alice@example.com", "lidd", str(task.pk)):
        assert ids(viewer.get(found(q=words))) == [task.pk]
    assert ids(viewer.get(found(q="bob"))) == [other.pk]
    assert ids(viewer.get(found(q=f"{number}000"))) == []


def test_hostile_texts_stay_texts(viewer: Client, settings: Any) -> None:
    Task.objects.create(user_id=SCRIPT, title=f"\u202e{SCRIPT}", deleted_at=YESTERDAY)
    Deletion.record(YESTERDAY, command=SCRIPT)

    for address in (TRASH, found(user_id__exact=SCRIPT)):
        page = viewer.get(address)
        assert len(ids(page)) == 1
        assert SCRIPT not in page.content.decode()
