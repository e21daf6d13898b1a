"""What changed since: a client that only follows tokens ends with exactly the tasks of the user."""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core import signing
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from tasks import sync
from tasks.models import Task
from tests.commands import execute
from tests.people import Person, is_error
from tests.server import database_url

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "api"])

ROUNDS = 1000 if os.environ.get("CI") else 150
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(10**6)))
EXPIRED = "The changes since then are no longer known. Begin again with sync=*."
INVALID = "sync: is not a token of this user: begin again with sync=*"


class Reader:
    """A client with a copy of the tasks, which it keeps up to date by tokens."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.token = "*"
        self.tasks: dict[int, Any] = {}
        self.restarts = 0

    def ask(self, limit: int = 1000) -> Any:
        """One call. Returns the answer, or None after a restart."""
        query: dict[str, str | int] = {"sync": self.token, "limit": limit}
        response = self.person.client.get(self.person.tasks, query)
        if response.status_code == 410:
            self.restarts += 1
            self.token, self.tasks = "*", {}
            return None
        answer = response.json()
        assert answer.keys() == {"tasks", "deleted", "count", "sync", "more"}
        assert len(answer["tasks"]) + len(answer["deleted"]) <= limit
        deleted = {task["id"] for task in answer["deleted"]}
        assert not deleted & {task["id"] for task in answer["tasks"]}
        for task_id in deleted:
            self.tasks.pop(task_id, None)
        self.tasks |= {task["id"]: task for task in answer["tasks"]}
        self.token = answer["sync"]
        assert answer["more"] or answer["count"] == len(self.tasks)
        return answer

    def follow(self, limit: int = 1000) -> Any:
        """Until there is no more."""
        while (answer := self.ask(limit)) is None or answer["more"]:
            pass
        return answer

    def is_up_to_date(self) -> bool:
        everything = self.person.get(self.person.tasks).json()
        assert self.tasks == {task["id"]: task for task in everything["tasks"]}
        return True


@pytest.fixture
def reader(alice: Person) -> Reader:
    return Reader(alice)


@pytest.fixture
def writer() -> Iterator[psycopg.Connection[Any]]:
    """Another connection, with its own transactions."""
    with psycopg.connect(database_url()) as own:
        yield own


INSERT = "INSERT INTO tasks_task (user_id, title) VALUES ('alice', 'SQL') RETURNING id"


def test_the_first_call_returns_all_and_the_next_one_only_changes(
    alice: Person, reader: Reader
) -> None:
    first, second = alice.create(title="first"), alice.create(title="second")
    everything = reader.ask()
    assert everything["tasks"] == [second, first]
    assert (everything["deleted"], everything["count"], everything["more"]) == ([], 2, False)

    nothing = reader.ask()
    assert (nothing["tasks"], nothing["deleted"], nothing["count"]) == ([], [], 2)
    assert nothing["more"] is False

    changed = alice.patch(alice.task(first["id"]), {"complete": True}).json()
    alice.delete(alice.task(second["id"]))
    trashed = alice.get(f"{alice.tasks}?deleted=true").json()["tasks"][0]
    answer = reader.ask()
    assert answer["tasks"] == [changed]
    assert answer["deleted"] == [{"id": second["id"], "deleted_at": trashed["deleted_at"]}]
    assert answer["count"] == 1

    alice.patch(alice.task(second["id"]), {"deleted": False})
    assert second["id"] in [task["id"] for task in reader.ask()["tasks"]]
    assert reader.is_up_to_date()
    assert reader.restarts == 0


def test_an_answer_has_only_the_task_that_has_changed(alice: Person, reader: Reader) -> None:
    """Another transaction, such as one of another test, may bring others with it while it runs."""
    changed, *_ = (alice.create() for _ in range(3))
    reader.follow()
    answers = []
    for n in range(100):
        alice.patch(alice.task(changed["id"]), {"title": str(n)})
        answers.append([task["title"] for task in reader.ask()["tasks"]])

    assert [str(n) in titles for n, titles in enumerate(answers)] == [True] * 100
    assert [str(n) for n in range(100) if answers[n] == [str(n)]]


def test_an_answer_has_neither_tag_nor_link(alice: Person) -> None:
    alice.create()
    response = alice.get(f"{alice.tasks}?sync=*")

    assert "ETag" not in response
    assert "Link" not in response
    assert response["Cache-Control"] == "private, no-cache"
    again = alice.client.get(f"{alice.tasks}?sync=*", headers={"If-None-Match": "*"})
    assert again.status_code == 200


def test_an_empty_answer_is_small(alice: Person) -> None:
    Task.objects.bulk_create(Task(user_id="alice", title=f"Task {n}") for n in range(1000))
    reader = Reader(alice)
    reader.follow()

    response = alice.get(f"{alice.tasks}?sync={reader.token}")

    assert response.json()["count"] == 1000
    assert len(response.content) <= 200


def test_what_was_begun_before_the_token_and_committed_after_it_is_not_missed(
    reader: Reader, writer: psycopg.Connection[Any]
) -> None:
    """A time would miss it: the row is older than the token."""
    writer.execute(INSERT)
    reader.follow()
    reader.follow()
    writer.commit()

    assert [task["title"] for task in reader.follow()["tasks"]] == ["SQL"]
    assert reader.is_up_to_date()


def test_a_savepoint_is_not_missed(reader: Reader, writer: psycopg.Connection[Any]) -> None:
    """Its rows have a transaction id that no snapshot shows."""
    writer.execute("CREATE TEMPORARY TABLE something AS SELECT 1")  # takes a transaction id
    with writer.transaction():
        writer.execute(INSERT)
    Task.objects.create(user_id="bob", title="takes the next id")
    reader.follow()
    writer.commit()

    assert [task["title"] for task in reader.follow()["tasks"]] == ["SQL"]


def test_while_a_long_transaction_runs_an_empty_answer_stays_empty(
    alice: Person, reader: Reader, writer: psycopg.Connection[Any]
) -> None:
    writer.execute(INSERT.replace("alice", "bob"))
    alice.create()
    alice.delete(f"{alice.task(alice.create()['id'])}?permanent=true")
    reader.follow()

    assert reader.ask()["tasks"] == []
    assert reader.restarts == 0


def test_what_a_rollback_takes_back_is_not_told(
    reader: Reader, writer: psycopg.Connection[Any]
) -> None:
    reader.follow()
    writer.execute(INSERT)
    writer.rollback()

    assert reader.ask()["tasks"] == []


WRITES = {
    "bulk action of staff": lambda task: Task.objects.filter(pk=task.pk).trash(),
    "restore by staff": lambda task: (
        Task.objects.filter(pk=task.pk).trash(),
        Task.objects.filter(pk=task.pk).restore(),
    ),
    "save": lambda task: Task(pk=task.pk, user_id="alice", title="saved").save(),
    "SQL by hand": lambda task: execute("UPDATE tasks_task SET description = 'x'"),
    "a time set by hand": lambda task: execute("UPDATE tasks_task SET created_at = now()"),
    "a new owner": lambda task: Task.objects.filter(pk=task.pk).reassign("alice"),
    "a row of a backup": lambda task: execute(
        "INSERT INTO tasks_task (user_id, title, folded) VALUES ('alice', 'x', '{}')"
    ),
    "tasks of somebody else": lambda task: Task.objects.filter(user_id="bob").reassign("alice"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_every_writer_counts(reader: Reader, write: Any) -> None:
    task = Task.objects.create(user_id="alice", title="Buy milk")
    Task.objects.create(user_id="bob", title="his")
    reader.follow()

    write(task)

    answer = reader.ask()
    assert answer["tasks"] or answer["deleted"]
    assert reader.is_up_to_date()


def test_changes_of_others_are_not_told(bob: Person, reader: Reader) -> None:
    reader.follow()
    bob.delete(f"{bob.task(bob.create()['id'])}?permanent=true")
    bob.create()

    assert reader.ask()["tasks"] == []
    assert reader.restarts == 0


LOSSES = {
    "permanently": lambda person, task: person.delete(f"{task}?permanent=true"),
    "permanently from the trash": lambda person, task: (
        person.delete(task),
        person.delete(f"{task}?permanent=true"),
    ),
    "purged": lambda person, task: (
        person.delete(task),
        Task.objects.trashed().update(deleted_at=timezone.now() - timedelta(days=31)),
        call_command("purge_tasks", "--yes"),
    ),
    "erased": lambda person, task: call_command("erase_user", "--user=alice", "--yes"),
    "reassigned": lambda person, task: call_command(
        "reassign_tasks", "--from=alice", "--to=bob", "--yes"
    ),
    "deleted by SQL": lambda person, task: execute("DELETE FROM tasks_task"),
    "truncated": lambda person, task: execute("TRUNCATE tasks_task"),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES.keys())
def test_a_token_expires_when_a_task_is_lost(alice: Person, bob: Person, lose: Any) -> None:
    task = alice.create()
    bob.create()
    before, his = Reader(alice), Reader(bob)
    before.follow()
    his.follow()

    lose(alice, alice.task(task["id"]))

    response = alice.get(f"{alice.tasks}?sync={before.token}")
    assert is_error(response, 410, "SYNC_EXPIRED", EXPIRED)
    before.follow()
    assert before.restarts == 1
    assert before.is_up_to_date()
    assert before.ask()["tasks"] == []
    his.follow()
    assert his.is_up_to_date()


def test_a_token_is_valid_as_long_as_the_trash_keeps_tasks(alice: Person, settings: Any) -> None:
    def token(days: float) -> str:
        """As it was made so long ago."""
        made = signing.b62_encode(int(time.time() - days * 86_400))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(signing.TimestampSigner, "timestamp", lambda _: made)
            return str(alice.get(f"{alice.tasks}?sync=*").json()["sync"])

    assert alice.get(f"{alice.tasks}?sync={token(29.9)}").status_code == 200
    expired = alice.get(f"{alice.tasks}?sync={token(30.1)}")
    assert is_error(expired, 410, "SYNC_EXPIRED", EXPIRED)
    settings.TASKS_RETENTION_DAYS = 0
    assert alice.get(f"{alice.tasks}?sync={token(1000)}").status_code == 200


def position(reader: Reader) -> list[str]:
    reader.follow()
    found = sync.read(reader.token, "alice")
    assert found
    return found


def test_a_token_of_another_database_or_of_the_future_expires(
    alice: Person, reader: Reader
) -> None:
    alice.create()
    generation, snapshot, count = position(reader)
    later = str(int(snapshot.partition(":")[0]) + 1000)

    for other in (
        ["0123456789", snapshot, count],
        [generation, f"{later}:{later}:", count],
        [generation, f"{snapshot.partition(':')[0]}:{later}:", count],
    ):
        response = alice.get(f"{alice.tasks}?sync={sync.write(other, 'alice')}")
        assert is_error(response, 410, "SYNC_EXPIRED", EXPIRED)


@pytest.mark.parametrize("table", ["tasks_task", "tasks_change"])
def test_a_table_that_was_rebuilt_ends_all_tokens(
    alice: Person, reader: Reader, table: str
) -> None:
    alice.create()
    reader.follow()
    execute(f"VACUUM FULL {table}")

    assert reader.ask() is None
    reader.follow()
    assert reader.is_up_to_date()


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: "**",
        lambda token: token[:-1],
        lambda token: token[1:],
        lambda token: token.replace("~", "~1", 1),
        lambda token: token.partition("~")[0],
        lambda token: token + "x",
        lambda token: "%00",
        lambda token: "%F0%9F%8D%8E",
        lambda token: "x" * 5000,
    ],
)
def test_a_forged_token_is_422(alice: Person, reader: Reader, change: Any) -> None:
    reader.follow()
    response = alice.get(f"{alice.tasks}?sync={change(reader.token)}")

    assert is_error(response, 422, "VALIDATION_ERROR", INVALID)


def test_a_token_of_another_user_is_422(bob: Person, reader: Reader) -> None:
    reader.follow()

    response = bob.get(f"{bob.tasks}?sync={reader.token}")
    assert is_error(response, 422, "VALIDATION_ERROR", INVALID)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("complete=true", "complete"),
        ("offset=0", "offset"),
        ("cursor=x&sort=title", "cursor, sort"),
        ("deleted=true&limit=5", "deleted"),
    ],
)
def test_only_a_limit_may_be_beside_a_token(alice: Person, query: str, names: str) -> None:
    response = alice.get(f"{alice.tasks}?sync=*&{query}")
    message = f"sync: cannot be used together with {names}, only with limit"

    assert response.status_code == 422
    assert message in [f"sync: {item['msg']}" for item in response.json()["errors"]]
    assert alice.get(f"{alice.tasks}?sync=*&limit=5&_=17").status_code == 200


def test_a_change_stays_hot(alice: Person) -> None:
    """No index has the priority, or what every change sets."""
    statistics = (
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tasks_task'"
    )
    with psycopg.connect(database_url(), autocommit=True) as own:
        task_id = own.execute(INSERT).fetchone()[0]  # type: ignore[index]
        own.execute("SELECT pg_stat_force_next_flush()")
        before = own.execute(statistics).fetchone()
        for n in range(60):
            own.execute(
                "SELECT tasks_api.change_task('alice', %s, %s)",
                [task_id, json.dumps({"priority": ("low", "high")[n % 2]})],
            )
        own.execute("SELECT pg_stat_force_next_flush()")
        after = own.execute(statistics).fetchone()
    assert before
    assert after
    updates, hot = (new - old for new, old in zip(after, before, strict=True))

    assert updates == 60
    assert hot >= 55


def test_obsolete_changes_are_removed_without_reading_the_others() -> None:
    statistics = (
        "SELECT seq_scan, n_tup_del FROM pg_stat_user_tables WHERE relname = 'tasks_change'"
    )
    with psycopg.connect(database_url(), autocommit=True) as own:
        own.execute(INSERT)
        own.execute("VACUUM ANALYZE tasks_change")  # then PostgreSQL knows how small it is
        before = own.execute(statistics).fetchone()
        for _ in range(8):
            own.execute(INSERT)
            own.execute("SELECT tasks_forget_changes(hashtextextended('alice', 0), false)")
        own.execute("SELECT pg_stat_force_next_flush()")
        after = own.execute(statistics).fetchone()
    assert before
    assert after

    assert after[0] == before[0]
    assert after[1] >= before[1] + 8


def test_a_role_that_writes_by_sql_needs_only_the_documented_rights() -> None:
    """Those on both tables. FOR UPDATE, in the trigger, needs UPDATE."""
    with psycopg.connect(database_url()) as own:
        own.execute("CREATE ROLE tasks_writer")
        own.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON tasks_task, tasks_change TO tasks_writer"
        )
        own.execute("SET LOCAL ROLE tasks_writer")
        own.execute(INSERT)
        own.execute("UPDATE tasks_task SET user_id = 'bob'")
        assert own.execute("DELETE FROM tasks_task").rowcount == 1
        own.rollback()


class Writers:
    """Transactions that are open at the same time, and write at random."""

    def __init__(self, some: random.Random, stack: ExitStack, people: list[Person]) -> None:
        self.some = some
        self.people = people
        self.connections = [stack.enter_context(psycopg.connect(database_url())) for _ in range(3)]

    def step(self) -> None:
        self.some.choice(
            [self.by_sql, self.by_sql, self.by_sql, self.end, self.by_the_api, self.by_staff]
        )()

    def by_sql(self) -> None:
        own = self.some.choice(self.connections)
        if self.some.random() < 0.3:
            with own.transaction():
                self._statement(own)
                if self.some.random() < 0.3:
                    raise psycopg.Rollback
        else:
            self._statement(own)

    def _statement(self, own: psycopg.Connection[Any]) -> None:
        user = self.some.choice(["alice", "bob"])
        # Rows that another transaction has locked are left alone, or the test would wait forever.
        some_row = (
            "id = (SELECT id FROM tasks_task WHERE user_id = %(user)s "
            "ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED)"
        )
        statement = self.some.choices(
            [
                "INSERT INTO tasks_task (user_id, title) VALUES (%(user)s, 'new')",
                f"UPDATE tasks_task SET title = md5(random()::text) WHERE {some_row}",
                f"UPDATE tasks_task SET deleted_at = now() WHERE {some_row}",
                f"UPDATE tasks_task SET deleted_at = NULL WHERE {some_row}",
                f"UPDATE tasks_task SET user_id = 'alice' WHERE {some_row}",
                f"DELETE FROM tasks_task WHERE {some_row}",
            ],
            weights=[6, 6, 4, 3, 1, 1],
        )[0]
        own.execute(statement, {"user": user})

    def end(self) -> None:
        own = self.some.choice(self.connections)
        if self.some.random() < 0.8:
            own.commit()
        else:
            own.rollback()

    def by_the_api(self) -> None:
        person = self.some.choice(self.people)
        with psycopg.connect(database_url(), autocommit=True) as own:
            free = own.execute(
                "SELECT id FROM tasks_task WHERE user_id = %s AND deleted_at IS NULL "
                "ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED",
                [person.user_id],
            ).fetchone()
        if free is None or self.some.random() < 0.4:
            person.create()
        elif self.some.random() < 0.6:
            person.patch(person.task(free[0]), {"complete": self.some.random() < 0.5})
        else:
            person.delete(person.task(free[0]))

    def by_staff(self) -> None:
        with transaction.atomic():
            free = Task.objects.select_for_update(skip_locked=True).filter(user_id="alice")
            ids = [task.pk for task in free.order_by("?")[: self.some.randrange(4)]]
            Task.objects.filter(pk__in=ids).update(deleted_at=Now())

    def end_all(self) -> None:
        for own in self.connections:
            own.commit()


@contextmanager
def with_note(note: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise


def test_a_reader_that_only_follows_tokens_misses_nothing(alice: Person, bob: Person) -> None:
    """Writers of all kinds, with transactions that overlap, end in any order, or are taken back."""
    some = random.Random(SEED)
    readers = [Reader(alice), Reader(alice), Reader(bob)]
    with ExitStack() as stack, with_note(f"SEED={SEED}"):
        writers = Writers(some, stack, [alice, bob])
        for _ in range(ROUNDS):
            for _ in range(some.randrange(1, 8)):
                writers.step()
                if some.random() < 0.4:
                    some.choice(readers).ask(some.choice([1, 2, 5, 1000]))
            if some.random() < 0.1:
                writers.end_all()
                for reader in readers:
                    reader.follow(some.choice([1, 3, 1000]))
                    assert reader.is_up_to_date()
        writers.end_all()
        for reader in readers:
            reader.follow()
            assert reader.is_up_to_date()
        assert sum(reader.restarts for reader in readers) < ROUNDS / 2


def test_few_rows_are_kept(alice: Person) -> None:
    for _ in range(400):
        Task.objects.create(user_id="alice", title="x")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tasks_change")
        (rows,) = cursor.fetchone()

    assert rows < 350
