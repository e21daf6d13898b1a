"""The audit: what is recorded of staff's work, who may read it, and how it is found."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks import audit, history
from tasks.audit import Filters, Position
from tasks.models import PageView, Task
from tests.better_auth.users import BetterAuthUsers
from tests.commands import run
from tests.tasks.admin.pages import HOME, LIST, OWNER, SCRIPT, SIGN_IN, change_page, confirm, make
from tests.tasks.admin.test_actions import post

pytestmark = pytest.mark.django_db

AUDIT = reverse("admin:tasks_pageview_changelist")
Page = PageView.Page
FILL_LOG = """
    INSERT INTO django_admin_log
        (action_time, user_id, content_type_id, object_id, object_repr, action_flag, change_message)
    SELECT now() - n * interval '1 min', %s, %s, n::text, 'Task', 2,
        '[{"owner": "user' || n %% 500 || '", "action": "'
        || CASE WHEN n %% 1000 = 0 THEN 'trash' ELSE 'change' END || '", "values": {}}]'
    FROM generate_series(1, 20000) AS n
"""
FILL_VIEWS = """
    INSERT INTO tasks_pageview (at, staff_id, page, user_id, filters)
    SELECT now() - n * interval '1 min', 1 + n %% 50, (ARRAY['list', 'task'])[1 + n %% 2],
        CASE WHEN n %% 2 = 0 THEN 'user' || n %% 500 ELSE '' END, '{}'
    FROM generate_series(1, 20000) AS n
"""


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    return re.sub(r"\s+", " ", response.content.decode())


def rows_of(client: Client, **query: Any) -> list[str]:
    """What the first page says, without tags."""
    html = text_of(client.get(AUDIT, query))
    rows = re.findall(r"<tr> <th scope=.row.>(.*?)</tr>", html)
    return [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", row))).strip() for row in rows]


def seen() -> list[tuple[str, str, int | None, dict[str, str]]]:
    views = PageView.objects.exclude(page=Page.SIGN_IN).order_by("id")
    return list(views.values_list("page", "user_id", "task_id", "filters"))


@pytest.mark.parametrize("group", ["viewer", "support"])
def test_other_groups_are_refused(group: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(group)

    assert [client.get(AUDIT).status_code, client.post(AUDIT).status_code] == [403, 405]
    assert AUDIT not in client.get(HOME).content.decode()
    assert Client().get(AUDIT, secure=True)["Location"].startswith(SIGN_IN)


def test_administrators_find_it_on_the_start_page(administrator: Any) -> None:
    assert f'href="{AUDIT}"' in administrator.get(HOME).content.decode()
    assert "3 records" in text_of(administrator.get(AUDIT)) or rows_of(administrator)
    for address in (f"{AUDIT}add/", f"{AUDIT}1/change/", f"{AUDIT}1/delete/"):
        assert administrator.get(address).status_code == 404


def test_the_permission_belongs_to_a_group_only_if_it_was_given(support: Any) -> None:
    """It needs no other permission, and shows no task."""
    support.user.groups.clear()
    auditor = Group.objects.create(name="auditor")
    auditor.permissions.add(*Group.objects.get(name="administrator").permissions.filter(
        codename="view_audit"
    ))  # fmt: skip
    support.user.groups.add(auditor)
    (task,) = make(1)

    assert support.get(AUDIT).status_code == 200
    assert support.get(change_page(task)).status_code == 403
    assert seen() == [(Page.AUDIT, "", None, {})]


def test_every_page_with_data_of_users_is_recorded(administrator: Any) -> None:
    task = Task.objects.create(pk=777, user_id="alice", title="Buy milk")
    make(2, "bob")
    post(administrator, "complete", [task])
    entry = LogEntry.objects.get()
    confirmation = post(administrator, "purge", [task])
    assert confirmation.status_code == 200
    owner = f"{OWNER}?user_id=alice"
    for address, record in (
        (LIST, (Page.LIST, "", None, {})),
        (f"{LIST}?user_id__exact=bob", (Page.LIST, "bob", None, {})),
        (f"{LIST}?user_id__exact=x&trash=in", (Page.LIST, "x", None, {"trash": "in"})),
        (f"{LIST}?q={task.pk}", (Page.LIST, "alice", None, {"search": "(text)"})),
        (f"{LIST}?tag=secret", (Page.LIST, "", None, {"tag": "(text)"})),
        (f"{LIST}?complete__exact=1", (Page.LIST, "alice", None, {"complete": "1"})),
        (change_page(task), (Page.TASK, "alice", task.pk, {})),
        (f"{LIST}{task.pk}/history/", (Page.HISTORY, "alice", task.pk, {})),
        (owner, (Page.USER, "alice", None, {"tab": "tasks"})),
        (f"{owner}&show=trash", (Page.USER, "alice", None, {"tab": "trash"})),
        (f"{LIST}people/?q=ada", (Page.PEOPLE, "", None, {})),
        (f"{LIST}action/{entry.pk}/", (Page.ACTION, "alice", None, {"action": str(entry.pk)})),
        (AUDIT, (Page.AUDIT, "", None, {})),
        (f"{AUDIT}?user=bob", (Page.AUDIT, "bob", None, {})),
    ):
        PageView.objects.all().delete()
        assert administrator.get(address).status_code == 200
        assert seen() == [record], address
        assert PageView.objects.get().staff_id == administrator.user.pk


def test_confirmations_are_recorded_since_they_name_tasks(administrator: Any) -> None:
    """Otherwise staff could read titles of any tasks by choosing these for an action."""
    tasks = make(2)
    administrator.get(f"{LIST}{tasks[0].pk}/delete/")
    post(administrator, "purge", tasks)
    page = administrator.post(f"{LIST}act/?user_id=alice", {"action": "trash"})
    confirm(administrator, page, f"{LIST}act/?user_id=alice")

    delete, trash = "Delete permanently", "Move to the trash"
    assert seen() == [
        (Page.CONFIRMATION, "", tasks[0].pk, {"action": delete, "tasks": "1"}),
        (Page.CONFIRMATION, "", None, {"action": delete, "tasks": "2"}),
        (Page.CONFIRMATION, "alice", None, {"action": trash, "tasks": "2"}),
    ]


def test_what_shows_nothing_is_not_recorded(viewer: Any) -> None:
    for address in (HOME, f"{LIST}99/change/", f"{LIST}?nothing=1", f"{OWNER}?user_id=", AUDIT):
        viewer.get(address)
    post(viewer, "trash", make(1))

    assert seen() == []


def test_no_text_and_no_person_is_recorded(support: Any, better_auth: BetterAuthUsers) -> None:
    better_auth.add("ada", "Ada Lovelace", "ada@example.com")
    make(1, "ada", tags=["Home"])
    Task.objects.create(user_id="bob", title="Secret Lovelace")
    for query in (
        {"q": "ada@example.com"},
        {"q": "lovelace"},
        {"q": "secret"},
        {"q": "nobody@example.com"},
        {"q": "secret", "user_id__exact": "bob"},
        {"tag": "home"},
    ):
        support.get(LIST, query)
    support.get(f"{LIST}people/", {"q": "lovelace"})

    assert [(page, user, filters) for page, user, _, filters in seen()] == [
        ("list", "ada", {"search": "(a user)"}),
        ("list", "", {"search": "(a user)"}),
        ("list", "bob", {"search": "(text)"}),
        ("list", "", {"search": "(text)"}),
        ("list", "bob", {"search": "(text)"}),
        ("list", "ada", {"tag": "(text)"}),
        ("people", "", {}),
    ]


def test_it_shows_who_did_what_with_links(administrator: Any, support: Any) -> None:
    task = Task.objects.create(user_id="alice", title=SCRIPT)
    support.post(f"{LIST}act/?task={task.pk}", {"action": "trash"})
    post(support, "restore", [task, *make(1, "bob")])
    support.get(change_page(task))
    support.get(f"{LIST}export.csv?complete__exact=0").getvalue()
    page = post(administrator, "purge", [task])
    confirm(administrator, page)
    root = User.objects.create_user("root", is_staff=True, is_superuser=True)
    administrator.force_login(root)
    administrator.post(reverse("admin:auth_group_add"), {"name": "night shift"})

    rows = [row.partition(" UTC ")[2] or row[17:] for row in rows_of(administrator)]

    assert rows == [
        "root Staff account or group night shift: Added.",
        "root Sign-in",
        f"administrator Delete permanently task {task.pk} alice",
        (
            "administrator View: confirmation of an action "
            f"task {task.pk} tasks: 1, action: Delete permanently"
        ),
        "support Export 2 tasks exported as csv · complete: 0",
        f"support View: task task {task.pk} alice",
        "support Restore from the trash · Undo 1 task restored",
        f"support Move to the trash · Undo task {task.pk} : in trash alice",
        "support Sign-in",
        "administrator Sign-in",
    ]
    html = text_of(administrator.get(AUDIT))
    assert SCRIPT not in html
    assert unescape(SCRIPT) not in unescape(re.sub(r"<script[^>]*>", "", html))
    for link in (change_page(task), f"{OWNER}?user_id=alice", f"?staff={support.user.pk}"):
        assert f'<a href="{link}">' in html


def test_each_filter(administrator: Any, support: Any) -> None:
    (mine,), (bobs,) = make(1), make(1, "bob")
    post(support, "complete", [mine, bobs])
    post(administrator, "trash", [bobs])
    administrator.get(change_page(mine))
    undo = LogEntry.objects.earliest("id").pk
    administrator.post(f"{LIST}action/{undo}/")
    LogEntry.objects.filter(user=support.user).update(
        action_time=datetime(2026, 1, 31, 12, tzinfo=UTC)
    )

    def found(**query: Any) -> list[str]:
        names = "|".join(re.escape(label) for label in [*history.LABELS.values(), *Page.labels])
        return [re.findall(names, row)[0] for row in rows_of(administrator, **query)]

    def without_audit(**query: Any) -> list[str]:
        return [action for action in found(**query) if action != "View: audit"]

    assert found(staff=support.user.pk) == ["Sign-in", "Complete"]
    assert found(action="trash") == ["Move to the trash"]
    assert found(action="undo") == ["Undo"]
    assert found(action="task") == ["View: task"]
    assert found(action="sign_in") == ["Sign-in"] * 2
    assert without_audit(action="view") == ["View: task"]
    assert without_audit(user="alice") == ["Undo", "View: task", "Complete"]
    assert without_audit(user="bob") == ["Move to the trash", "Complete"]
    assert without_audit(user="bob", staff=support.user.pk, action="complete") == ["Complete"]
    assert found(**{"from": "2026-01-31", "to": "2026-01-31"}) == ["Complete"]
    assert found(to="2026-01-30") == []
    assert "Complete" not in found(**{"from": "2026-02-01"})
    assert found(action="account") == found(staff=10**9) == []
    assert "No records match." in text_of(administrator.get(AUDIT, {"action": "purge"}))


def test_the_user_may_be_an_e_mail_address(
    administrator: Any, better_auth: BetterAuthUsers
) -> None:
    better_auth.add("ada", "Ada Lovelace", "ada@example.com")
    (task,) = make(1, "ada")
    administrator.get(change_page(task))

    assert len(rows_of(administrator, user="ada@example.com")) == 1
    refused = administrator.get(AUDIT, {"user": "nobody@example.com"})
    assert refused.status_code == 400
    assert "Better Auth has no user with this e-mail address." in refused.content.decode()


def test_pages_neither_repeat_nor_skip_a_record(
    administrator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many of the records are of the same time."""
    monkeypatch.setattr("tasks.admin.audit.PAGE_SIZE", 3)
    at = datetime.now(UTC) - timedelta(hours=1)
    staff = administrator.user.pk
    history.changed(staff, [(task, {}) for task in make(5)])
    for n in range(5):
        audit.viewed(staff, Page.TASK, task_id=n)
    LogEntry.objects.update(action_time=at)
    PageView.objects.update(at=at)
    LogEntry.objects.filter(object_repr="Task 1").update(action_time=at - timedelta(hours=1))
    PageView.objects.filter(task_id=3).update(at=at - timedelta(hours=2))
    filters = Filters(before=datetime.now(UTC) - timedelta(minutes=1))
    everything = [record.position for record in audit.records(filters, None, 100)]
    assert len(everything) == 5 + 5 + 1  # with the sign-in

    positions: list[Position] = []
    while page := audit.records(filters, positions[-1] if positions else None, 3):
        positions += [record.position for record in page]
    assert positions == everything == sorted(everything, reverse=True)
    assert [Position.parse(str(position)) for position in positions] == positions

    html = text_of(administrator.get(AUDIT))
    assert "11 records" in html
    older = re.search(r'<a href="([^"]*)" rel="next">Older', html)
    assert older
    html = text_of(administrator.get(unescape(f"{AUDIT}{older[1]}")))
    assert html.count('<th scope="row">') == 3
    assert "Newest" in html


@pytest.mark.parametrize(
    "query",
    [
        {"staff": "x"},
        {"staff": "9" * 30},
        {"action": "explode"},
        {"user": "a\0b"},
        {"user": "x" * 256},
        {"from": "2026-02-30"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01"},
        {"after": "x"},
        {"after": "0001-01-01T00:00:00+14:00~c~1"},
        {"after": "2026-01-31T00:00:00+00:00~x~1"},
        {"after": "2026-01-31T00:00:00+00:00~c~-1"},
        {"after": f"2026-01-31T00:00:00+00:00~c~{10**30}"},
        {"id__regex": "("},
    ],
)
def test_what_its_links_do_not_send_is_refused(administrator: Any, query: dict[str, str]) -> None:
    assert administrator.get(AUDIT, query).status_code == 400


def test_any_position_is_a_page(administrator: Any) -> None:
    for at in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"):
        for pk in (0, 2**63 - 1):
            assert administrator.get(AUDIT, {"after": f"{at}~c~{pk}"}).status_code == 200


@pytest.fixture
def _many(administrator: Any) -> None:
    task = ContentType.objects.get_for_model(Task).pk
    with connection.cursor() as cursor:
        cursor.execute(FILL_LOG, [administrator.user.pk, task])
        cursor.execute(FILL_VIEWS, [])
        cursor.execute("ANALYZE django_admin_log, tasks_pageview")


@pytest.mark.usefixtures("_many")
def test_it_reads_by_index_and_estimates_what_it_cannot_count(administrator: Any) -> None:
    old = Position(datetime.now(UTC) - timedelta(days=7), is_change=True, pk=0)
    for filters, indexes in (
        (Filters(), ("task_history_time", "task_views")),
        (Filters(staff_id=7), ("task_views_by_staff",)),
        (Filters(action="trash"), ("task_history_action",)),
        (Filters(action="task"), ("task_views",)),
        (Filters(user_id="user7"), ("task_history_owner", "task_views_of_user")),
    ):
        with CaptureQueriesContext(connection) as sent:
            audit.records(filters, None, 100)
            audit.records(filters, old, 100)
        plans = []
        with connection.cursor() as cursor:
            for query in sent.captured_queries:
                cursor.execute(f"EXPLAIN {query['sql']}")
                plans += [line for (line,) in cursor.fetchall()]
        plan = "\n".join(plans)
        assert "Seq Scan" not in plan, plan
        assert [index for index in indexes if index not in plan] == []

    assert audit.count(Filters()) in {
        f"About {number},000 records (an estimate)" for number in (39, 40, 41)
    }
    assert audit.count(Filters(action="trash")) == "20 records"
    assert "(an estimate)" in text_of(administrator.get(AUDIT))
    with CaptureQueriesContext(connection) as sent:
        text_of(administrator.get(AUDIT))
    assert len(sent) < 20


def test_old_views_are_purged_and_changes_stay(administrator: Any, settings: Any) -> None:
    history.changed(administrator.user.pk, [(task, {}) for task in make(1)])
    LogEntry.objects.update(action_time=datetime(2000, 1, 1, tzinfo=UTC))
    for days in (1, 20, 400):
        audit.viewed(administrator.user.pk, Page.LIST, filters={"days": str(days)})
        PageView.objects.filter(filters={"days": str(days)}).update(
            at=datetime.now(UTC) - timedelta(days=days)
        )

    assert run("purge_audit", "--yes").out == "Deleted: 1 page view.\n"
    settings.AUDIT_RETENTION_DAYS = 10
    assert run("purge_audit", "--dry-run").out == "Would be deleted: 1 page view.\n"
    assert run("purge_audit", "--yes").out == "Deleted: 1 page view.\n"
    assert run("purge_audit", "--yes", "--older-than", "12h").out == "Deleted: 1 page view.\n"
    assert PageView.objects.get().page == Page.SIGN_IN
    assert LogEntry.objects.count() == 1


def test_an_account_with_views_cannot_be_deleted(administrator: Any, viewer: Any) -> None:
    """It has signed in. The record of an account that SQL has deleted is still readable."""
    administrator.user.is_superuser = True
    administrator.user.save()
    page = administrator.post(f"/admin/auth/user/{viewer.user.pk}/delete/", {"post": "yes"})
    assert "the history of their changes must be kept" in page.content.decode()
    PageView.objects.update(staff_id=10**6)

    assert "deleted account 1000000" in " ".join(rows_of(administrator))
