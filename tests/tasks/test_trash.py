"""The trash: the API no longer shows a deleted task, and staff can restore it."""

import pytest

from tasks.models import Task
from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db


def test_a_deleted_task_keeps_its_row(alice: Person) -> None:
    given = alice.create(title="Buy milk", complete=True)
    before = Task.objects.values().get()

    alice.delete(alice.task(given["id"]))

    after = Task.objects.values().get()
    assert after["deleted_at"] is not None
    assert {**after, "deleted_at": None} == before


def test_every_endpoint_hides_a_deleted_task(alice: Person) -> None:
    task = alice.task(alice.create()["id"])
    alice.delete(task)

    assert alice.get(alice.tasks).json() == {"tasks": [], "count": 0, "next_cursor": None}
    for answer in (
        alice.get(task),
        alice.put(task, {"title": "Buy bread", "complete": False}),
        alice.patch(task, {"complete": True}),
        alice.delete(task),
    ):
        assert is_error(answer, 404, "NOT_FOUND", "There is no such task.")
    assert Task.objects.get().title == "Buy milk"


def test_a_deleted_task_is_not_counted(alice: Person) -> None:
    tasks = [alice.create()["id"] for _ in range(5)]
    for task in tasks[:2]:
        alice.delete(alice.task(task))

    page = alice.get(f"{alice.tasks}?limit=2").json()

    assert [task["id"] for task in page["tasks"]] == tasks[:2:-1]
    assert page["count"] == 3


def test_a_restored_task_is_unchanged(alice: Person) -> None:
    given = alice.create()
    alice.delete(alice.task(given["id"]))

    assert Task.objects.restore() == 1
    assert Task.objects.restore() == 0

    assert alice.get(alice.task(given["id"])).json() == given
    assert alice.get(alice.tasks).json() == {"tasks": [given], "count": 1, "next_cursor": None}


def test_trashing_twice_keeps_the_first_time(alice: Person) -> None:
    alice.create()

    assert Task.objects.trash() == 1
    first = Task.objects.get().deleted_at
    assert Task.objects.trash() == 0
    assert Task.objects.get().deleted_at == first


def test_every_task_is_alive_or_trashed() -> None:
    kept = Task.objects.create(user_id="alice", title="kept")
    gone = Task.objects.create(user_id="alice", title="gone")
    Task.objects.filter(pk=gone.pk).trash()

    assert list(Task.objects.alive()) == [kept]
    assert list(Task.objects.trashed()) == [gone]
    assert list(Task.objects.owned_by("alice").newest_first()) == [gone, kept]


@pytest.mark.usefixtures("_no_retention")
def test_without_retention_the_row_is_deleted_immediately(alice: Person, sends: Sends) -> None:
    task = alice.task(alice.create()["id"])

    with sends(1):
        assert alice.delete(task).status_code == 204

    assert not Task.objects.exists()
    assert alice.delete(task).status_code == 404


@pytest.mark.usefixtures("_no_retention")
def test_without_retention_the_api_does_not_see_older_trash(alice: Person) -> None:
    task = alice.task(alice.create()["id"])
    Task.objects.trash()

    assert alice.delete(task).status_code == 404
    assert Task.objects.trashed().count() == 1


@pytest.fixture
def _no_retention(settings: object) -> None:
    settings.TASKS_RETENTION_DAYS = 0  # type: ignore[attr-defined]
