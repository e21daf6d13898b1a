"""The history of staff changes: of a task, of an owner, and of deleted tasks."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tasks import history
from tasks.models import USER_ID_LENGTH, Task

pytestmark = pytest.mark.django_db

FILL = """
    INSERT INTO django_admin_log
        (action_time, user_id, content_type_id, object_id, object_repr, action_flag, change_message)
    SELECT now(), %s, %s, (n %% 900)::text, 'Task', 2,
           CASE WHEN n %% 7 = 0 THEN 'message of another model'
                ELSE '[{"owner": "user' || n %% 500 || '", "changed": {"fields": []}}]' END
    FROM generate_series(1, 20000) AS n
"""


@pytest.fixture
def sam(db: None) -> User:
    return User.objects.create_user("sam", is_staff=True)


def create_task(user_id: str, title: str = "Buy milk") -> Task:
    return Task.objects.create(user_id=user_id, title=title)


def test_an_entry_says_who_did_what_to_which_task(sam: User) -> None:
    task = create_task("alice")
    history.changed(
        sam.pk, [(task, {"title": ("Buy milk", "Buy bread"), "complete": (False, True)})]
    )

    entry = history.of_task(task.pk).get()
    assert (entry.user, entry.action_flag, entry.object_repr) == (sam, CHANGE, "Buy bread")
    assert entry.get_edited_object() == task
    assert history.lines([entry]) == [
        history.Line(
            entry,
            "change",
            "Change",
            "alice",
            [("title", "Buy milk", "Buy bread"), ("complete", "no", "yes")],
        )
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(none)"),
        ("", ""),
        ([], "(none)"),
        (["home", "Caf\u00e9 \u2028"], "home, Caf\u00e9 \u2028"),
        (date(2026, 1, 31), "2026-01-31"),
        (date.min, "0001-01-01"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_values_of_every_type_are_readable(sam: User, value: Any, text: str) -> None:
    task = create_task("alice")
    history.changed(sam.pk, [(task, {"due_date": (value, "x"), "tags": ("x", value)})])

    (line,) = history.lines(history.of_task(task.pk))

    assert line.changes == [("due date", text, "x"), ("tags", "x", text)]
    assert line.entry.get_change_message() == "Changed due_date and tags."


def test_django_can_read_the_entries_too(sam: User) -> None:
    task = create_task("alice", title='{curly} "quoted" <script>')
    history.added(sam.pk, task, {"title": (None, task.title)})
    history.changed(sam.pk, [(task, {"title": ("a", "b"), "priority": ("low", "high")})])
    history.deleted(sam.pk, [task])

    assert [entry.get_change_message() for entry in history.of_task(task.pk)] == [
        'Deleted task “{curly} "quoted" <script>”.',
        "Changed title and priority.",
        "Added.",
    ]


@pytest.mark.parametrize(
    "user_id",
    [
        "alice",
        'a"b',
        "a\\b",
        "a/b",
        "ü\u2028😀",
        "<script>",
        '", "owner": "bob',
        "%",
        "null",
        "x" * USER_ID_LENGTH,
    ],
)
def test_the_entries_of_an_owner_are_found_for_any_user_id(sam: User, user_id: str) -> None:
    mine, other = create_task(user_id), create_task("bob")
    history.changed(sam.pk, [(mine, {"priority": ("low", "high")}), (other, {})])
    history.deleted(sam.pk, [mine])
    mine.delete()

    entries = history.of_owner(user_id)
    assert [entry.action_flag for entry in entries] == [DELETION, CHANGE]
    assert {line.owner for line in history.lines(entries)} == {user_id}


@pytest.mark.parametrize("message", ["", "some text", "[]", '[{"changed": {"fields": ["Title"]}}]'])
def test_entries_that_the_project_did_not_write_are_read_without_an_error(
    sam: User, message: str
) -> None:
    entry = LogEntry.objects.create(
        user=sam, object_id="1", object_repr="x", action_flag=CHANGE, change_message=message
    )

    assert history.lines([entry]) == [history.Line(entry, "", "Change", "", [])]
    assert not history.of_owner("alice").exists()


def test_the_number_of_statements_does_not_depend_on_the_number_of_tasks(
    sam: User, sends: Any
) -> None:
    tasks = Task.objects.bulk_create(Task(user_id="alice", title="x") for _ in range(1000))
    history.of_task(0).exists()  # so that the content type is cached

    with sends(3):
        history.changed(sam.pk, ((task, {"complete": (False, True)}) for task in tasks))

    assert LogEntry.objects.count() == 1000


def test_no_changes_need_no_statement(sam: User, sends: Any) -> None:
    history.of_task(0).exists()
    with sends(0):
        history.changed(sam.pk, [])


def test_entries_are_read_by_index(sam: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [sam.pk, ContentType.objects.get_for_model(Task).pk])
        cursor.execute("ANALYZE django_admin_log")

    for entries, index in (
        (history.of_task(7)[:100], "task_history_task"),
        (history.of_owner("user7")[:100], "task_history_owner"),
        (LogEntry.objects.filter(user__pk=sam.pk)[:10], "task_history_staff"),
    ):
        plan = entries.explain()
        assert index in plan
        assert "Seq Scan on django_admin_log" not in plan
