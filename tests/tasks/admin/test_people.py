"""Names and e-mail addresses of Better Auth's users on the pages of the admin."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from tasks import history, orphans
from tasks.admin.change import UserInput
from tasks.models import Task
from tasks.people import NoPeople, source
from tests.better_auth.users import NO_USERS, BetterAuthUsers
from tests.people import Sends
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

ADD = f"{LIST}add/"
PEOPLE = reverse("admin:tasks_task_people")
OVERRIDE = "\u202e"
UNKNOWN = '<span class="unknown">unknown to Better Auth</span>'


@pytest.fixture
def ada(better_auth: BetterAuthUsers) -> BetterAuthUsers:
    """A table with Ada, who has two tasks, and bob, whom it does not have, has one."""
    better_auth.add("ada", "Ada Lovelace", "ada@example.com")
    make(2, "ada")
    make(1, "bob")
    return better_auth


def text_of(response: Any) -> str:
    assert response.status_code == 200, response
    html: str = response.content.decode()
    return html


def owners_on(html: str) -> list[str]:
    return re.findall(r'<td class="field-owner[^"]*">(.*?)</td>', html)


def listed(client: Any, **query: str) -> list[str]:
    page = client.get(LIST, query)
    return [task.user_id for task in page.context["cl"].result_list]


# The list


def test_a_list_names_each_owner(viewer: Any, ada: BetterAuthUsers) -> None:
    bob, *adas = owners_on(text_of(viewer.get(LIST)))

    link = f'<a href="{OWNER}?user_id=ada" title="Ada Lovelace, id ada"><bdi>Ada Lovelace</bdi></a>'
    assert adas == [f'{link} <bdi class="email">ada@example.com</bdi>'] * 2
    assert bob == f'<a href="{OWNER}?user_id=bob">bob</a> {UNKNOWN}'


def test_the_number_of_statements_does_not_depend_on_the_people(
    viewer: Any, better_auth: BetterAuthUsers, sends: Sends
) -> None:
    for n in range(60):
        better_auth.add(f"user{n}", f"Ada {n}")
        make(1, f"user{n}")
    source.table()
    # For the transaction, the session, the account and its rights (7), its saved views, the ids,
    # the tasks, the people (5: a savepoint around one query and its limits), and the record that
    # somebody has seen the page.
    with sends(16):
        html = text_of(viewer.get(LIST))
    assert html.count('<bdi class="email">') == 60


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ada@example.com", ["ada", "ada"]),
        ("ADA@EXAMPLE.COM", ["ada", "ada"]),
        ("ada@", ["ada", "ada"]),
        ("Lovelace", ["ada", "ada"]),
        ("ada love", ["ada", "ada"]),
        ("ada", ["ada", "ada"]),
        ("bob", ["bob"]),
        ("nobody@example.com", []),
        ("milk", []),
    ],
)
def test_a_search_finds_the_tasks_of_people(
    viewer: Any, ada: BetterAuthUsers, query: str, found: list[str]
) -> None:
    assert listed(viewer, q=query) == found
    Task.objects.trash()
    assert listed(viewer, q=query) == []
    assert listed(viewer, q=query, trash="in") == found


def test_a_search_links_to_people_who_have_no_tasks(viewer: Any, ada: BetterAuthUsers) -> None:
    ada.add("new", "Grace Hopper", "grace@example.com")

    html = text_of(viewer.get(LIST, {"q": "hopper"}))

    title = "Grace Hopper, id new"
    link = f'<a href="{OWNER}?user_id=new" title="{title}"><bdi>Grace Hopper</bdi></a>'
    assert f"<li>{link}" in html


def test_a_search_with_too_many_people_says_so_and_adds_none(
    viewer: Any, better_auth: BetterAuthUsers
) -> None:
    for n in range(21):
        better_auth.add(f"user{n}", f"Milka {n}")
    make(1, "user7")
    Task.objects.create(user_id="bob", title="Buy milk for milka")

    html = text_of(viewer.get(LIST, {"q": "milka"}))

    assert "More than 20 users have a name or an e-mail address that begins like this." in html
    assert listed(viewer, q="milka") == ["bob"]


def test_the_export_of_a_search_has_the_tasks_of_people(support: Any, ada: BetterAuthUsers) -> None:
    response = support.get(f"{LIST}export.jsonl", {"q": "ada@example.com"})

    rows = [json.loads(line) for line in response.getvalue().splitlines()]
    assert [row["user_id"] for row in rows] == ["ada", "ada"]


# Other pages


def test_the_page_of_a_user_says_who_that_is(viewer: Any, better_auth: BetterAuthUsers) -> None:
    better_auth.add("ada", "Ada King Lovelace", "ada@example.com")

    html = text_of(viewer.get(OWNER, {"user_id": "ada"}))

    assert "<h2><bdi>Ada King Lovelace</bdi></h2>" in html
    assert '<bdi class="email">ada@example.com</bdi> · since' in html
    assert '<time datetime="2026-01-31T12:00:00+00:00">' in html
    assert "id <code>ada</code>" in html
    assert re.search(r'<svg class="avatar avatar-\d".*>AL</text></svg>', html)
    assert "banned" not in html
    assert "not verified" not in html


def test_the_page_of_a_user_says_who_is_banned_and_not_verified(
    viewer: Any, better_auth: BetterAuthUsers
) -> None:
    now = datetime.now(UTC)
    better_auth.add("ada", "Ada", banned=True, verified=False)
    better_auth.add("bob", "Bob", banned=True, ban_expires=now + timedelta(days=1))
    better_auth.add("eve", "Eve", banned=True, ban_expires=now - timedelta(days=1))

    ada, bob, eve = (
        text_of(viewer.get(OWNER, {"user_id": name})) for name in ("ada", "bob", "eve")
    )

    assert '<strong class="banned">banned</strong>' in ada
    assert "not verified" in ada
    assert '<strong class="banned">banned until <time' in bob
    assert 'class="banned"' not in eve


def test_a_task_and_its_history_name_the_owner(support: Any, ada: BetterAuthUsers) -> None:
    task = Task.objects.filter(user_id="ada")[0]

    for page in (change_page(task), reverse("admin:tasks_task_history", args=[task.pk])):
        html = text_of(support.get(page))
        assert "<bdi>Ada Lovelace</bdi></a> " in html
        assert "ada@example.com" in html


@pytest.mark.parametrize("show", ["tasks", "trash", "history"])
def test_a_name_or_address_cannot_break_a_page(
    support: Any, better_auth: BetterAuthUsers, show: str
) -> None:
    better_auth.add("eve", f"{OVERRIDE}{SCRIPT}'\"{{{{ x }}}}", f"{SCRIPT}@example.com")
    (task,) = make(1, "eve")
    for page in (
        LIST,
        f"{LIST}?q={quote(OVERRIDE)}",
        f"{OWNER}?user_id=eve&show={show}",
        change_page(task),
        reverse("admin:tasks_task_history", args=[task.pk]),
    ):
        html = text_of(support.get(page))
        assert SCRIPT not in html
        assert f"<bdi>{OVERRIDE}&lt;script&gt;" in html
    page = support.post(f"{ACT}?user_id=eve", {"action": "trash"})
    assert SCRIPT not in text_of(page)
    assert f"of <bdi>{OVERRIDE}&lt;script&gt;" in text_of(page)


# Without the table


def problems() -> list[tuple[NoPeople, str]]:
    return [
        (NoPeople(NO_USERS, is_expected=True), NO_USERS),
        (NoPeople("Better Auth's users could not be read in time."), "could not be read in time"),
    ]


@pytest.mark.parametrize(("problem", "sentence"), problems(), ids=["missing", "slow"])
def test_without_people_the_admin_works_and_says_why(
    administrator: Any, problem: NoPeople, sentence: str
) -> None:
    source.remember(problem)
    (task,) = make(1)

    for page in (LIST, f"{LIST}?q=alice", f"{OWNER}?user_id=alice"):
        html = text_of(administrator.get(page))
        assert sentence in unescape(html)
        assert "unknown to Better Auth" not in html.replace("Unknown to Better Auth", "")
    assert owners_on(text_of(administrator.get(LIST))) == [
        f'<a href="{OWNER}?user_id=alice">alice</a>'
    ]
    assert "owner=gone" not in text_of(administrator.get(LIST))
    text_of(administrator.get(change_page(task)))
    form = {"user_id": "zoe@example.com", "title": "Buy milk", "priority": "low"}
    answer = administrator.post(ADD, form)
    if problem.is_expected:
        assert Task.objects.latest("pk").user_id == "zoe@example.com"
        assert not [message for message in messages_in(answer) if "Better Auth" in message]
    else:
        assert f"{sentence}. Enter the id of the user." in unescape(text_of(answer))
        assert Task.objects.count() == 1
    assert administrator.get(PEOPLE, {"q": "zoe"}).json() == {"people": [], "are_too_many": False}


def test_a_table_that_breaks_while_staff_work_does_not_break_the_admin(
    viewer: Any, ada: BetterAuthUsers
) -> None:
    assert "Ada Lovelace" in text_of(viewer.get(LIST))
    ada.execute('ALTER TABLE "user" RENAME email TO mail')

    html = text_of(viewer.get(LIST, {"q": "ada"}))

    assert "Names and e-mail addresses are not available" in html
    assert len(owners_on(html)) == 2


# Add


def add(client: Any, user: str) -> Any:
    return client.post(ADD, {"user_id": user, "title": "Buy milk", "priority": "low"})


def test_a_task_is_added_for_an_e_mail_address(administrator: Any, ada: BetterAuthUsers) -> None:
    answer = add(administrator, "Ada@Example.com")

    assert answer.status_code == 302, answer.context["errors"]
    task = Task.objects.latest("pk")
    assert task.user_id == "ada"
    (line,) = history.lines(history.of_task(task.pk))
    assert line.owner == "ada"
    assert line.changes[0] == ("user id", "(none)", "ada")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nobody@example.com", "Better Auth has no user with this e-mail address."),
        ("twin@example.com", "Several users have this e-mail address. Enter an id: one, two."),
        (" ada@example.com", "Must not begin or end with white space."),
        ("ada ", "Must not begin or end with white space."),
    ],
)
def test_an_address_that_names_nobody_adds_nothing(
    administrator: Any, ada: BetterAuthUsers, text: str, sentence: str
) -> None:
    ada.add("one", "One", "Twin@example.com")
    ada.add("two", "Two", "tWin@example.com")

    assert sentence in text_of(add(administrator, text))
    assert Task.objects.count() == 3


def test_an_id_that_nobody_has_is_accepted_with_a_warning(
    administrator: Any, ada: BetterAuthUsers
) -> None:
    warning = "Better Auth has no user adda. Check the id: nobody may ever see this task."

    assert warning in messages_in(add(administrator, "adda"))
    assert Task.objects.latest("pk").user_id == "adda"
    administrator.cookies.pop("messages")
    assert len(messages_in(add(administrator, "ada"))) == 1


def test_the_form_suggests_people(administrator: Any, ada: BetterAuthUsers) -> None:
    html = text_of(administrator.get(ADD))
    assert f'data-people="{PEOPLE}"' in html
    assert str(UserInput().media) in html

    answer = administrator.get(PEOPLE, {"q": "love"})

    assert answer["Content-Type"] == "application/json"
    person = {"value": "ada@example.com", "name": "Ada Lovelace", "id": "ada"}
    assert answer.json() == {"people": [person], "are_too_many": False}
    for n in range(21):
        ada.add(f"user{n}", f"Grace {n}")
    assert administrator.get(PEOPLE, {"q": "g"}).json() == {"people": [], "are_too_many": True}
    for text in ("", "\0", "x" * 5000, "%"):
        assert administrator.get(PEOPLE, {"q": text}).json()["people"] == []


def test_only_staff_who_may_see_tasks_see_people(viewer: Any, ada: BetterAuthUsers) -> None:
    assert viewer.get(PEOPLE, {"q": "ada"}).status_code == 200
    viewer.user.groups.clear()
    assert viewer.get(PEOPLE, {"q": "ada"}).status_code == 403
    viewer.logout()
    assert viewer.get(PEOPLE, {"q": "ada"}).status_code == 302


# Users who are gone


def test_a_filter_finds_the_tasks_of_users_who_are_gone(support: Any, ada: BetterAuthUsers) -> None:
    Task.objects.filter(pk__in=[task.pk for task in make(1, "eve")]).trash()
    assert 'href="?owner=gone"' in text_of(support.get(LIST))

    assert listed(support, owner="gone") == ["bob"]
    assert listed(support, owner="gone", trash="all") == ["eve", "bob"]
    address = f"{LIST}?owner=gone"
    fields = {"action": "trash", "select_across": "1", "_selected_action": ["0"], "index": "0"}
    page = support.post(address, fields)
    assert (
        "These are the tasks of all users with user: <bdi>unknown to Better Auth</bdi> ·"
        in text_of(page)
    )
    assert messages_in(confirm(support, page, address)) == ["1 task moved to the trash."]
    assert {task.user_id for task in Task.objects.alive()} == {"ada"}


def test_a_user_who_is_back_is_not_gone(viewer: Any, ada: BetterAuthUsers) -> None:
    assert listed(viewer, owner="gone") == ["bob"]
    ada.add("bob", "Bob")
    orphans.forget()
    assert listed(viewer, owner="gone") == []


def test_the_filter_refuses_a_table_that_must_be_the_wrong_one(
    viewer: Any, ada: BetterAuthUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.admin.filters.MAX_GONE", 0)

    answer = viewer.get(LIST, {"owner": "gone"})

    assert answer.status_code == 400
    assert (
        "Too many users with tasks are unknown to Better Auth for this filter: 1."
        in answer.content.decode()
    )


# What a confirmation and the history say


def test_a_confirmation_shows_ids_as_they_are(administrator: Any) -> None:
    make(1, "1")
    everything = {"select_across": "1", "_selected_action": ["0"], "index": "0"}

    page = administrator.post(f"{LIST}?user_id__exact=1", {"action": "trash", **everything})

    assert "all users with user id: <bdi>1</bdi> · in the trash" in text_of(page)


def test_a_confirmation_names_tasks_user_and_filter(
    administrator: Any, ada: BetterAuthUsers
) -> None:
    who = "<bdi>Ada Lovelace</bdi> (<bdi>ada@example.com</bdi>, id <bdi>ada</bdi>)"
    bobs, second, _ = Task.objects.order_by("-pk")
    chosen = {"action": "purge", "index": "0", "_selected_action": [bobs.pk, second.pk]}
    everything = {"select_across": "1", "_selected_action": ["0"], "index": "0"}

    one = text_of(administrator.post(f"{ACT}?task={second.pk}", {"action": "purge"}))
    some = text_of(administrator.post(LIST, chosen))
    whole = text_of(administrator.post(f"{ACT}?user_id=ada", {"action": "purge"}))
    matching = text_of(
        administrator.post(
            f"{LIST}?q=ada&complete__exact=0&p=9999999", {"action": "complete", **everything}
        )
    )

    assert f"<li>{second.pk} <bdi>Task 1</bdi>, of {who}</li>" in one
    assert f"<li>{bobs.pk} <bdi>Task 0</bdi>, of <bdi>bob</bdi></li>" in some
    assert f"<li>{second.pk} <bdi>Task 1</bdi>, of {who}</li>" in some
    assert f"Delete permanently: 2 tasks of {who}." in whole
    assert (
        "These are the tasks of all users with search: <bdi>ada</bdi> · status: <bdi>open</bdi> · "
        f"in the trash: <bdi>no</bdi>. The search also finds all tasks of {who}."
    ) in matching


@pytest.mark.parametrize(
    ("query", "owner", "note"),
    [
        ({"user_id__exact": "ada", "trash": "all"}, "ada", "trash: all, user: ada"),
        ({"q": "ada@example.com"}, "ada", "user: ada"),
        ({"q": "nobody@example.com"}, "", "search: an e-mail address"),
        ({"q": "milk", "complete__exact": "0"}, "", "complete: 0, search: milk"),
        ({}, "", ""),
    ],
)
def test_an_export_is_in_the_history_without_names(
    support: Any, ada: BetterAuthUsers, query: dict[str, str], owner: str, note: str
) -> None:
    rows = support.get(f"{LIST}export.csv", query).getvalue().count(b"\r\n") - 1

    entry = LogEntry.objects.get()
    (line,) = history.lines([entry])
    assert (line.action, line.owner, line.note) == ("Export", owner, note)
    assert entry.user == support.user
    assert entry.object_repr == f"{rows} task{'' if rows == 1 else 's'} exported as csv"
    assert "example.com" not in entry.change_message
    assert entry.get_change_message() == "No fields changed."
    page = text_of(support.get(OWNER, {"user_id": "ada", "show": "history"}))
    assert (entry.object_repr in page) == (owner == "ada")
    assert entry.object_repr in text_of(support.get(reverse("admin:index")))


def test_the_log_names_the_member_of_staff(
    support: Any, ada: BetterAuthUsers, capsys: pytest.CaptureFixture[str]
) -> None:
    support.get(OWNER, {"user_id": "ada"})
    support.get(LIST, {"q": "ada@example.com"})
    support.get(f"{OWNER}?user_id=")
    support.logout()
    support.get(LIST)

    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line.get("staff") for line in lines] == ["support", "support", "support", None]
    assert "example.com" not in out
    assert "Lovelace" not in out
