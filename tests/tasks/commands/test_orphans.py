"""`purge_tasks --orphans`: the tasks of users whom Better Auth does not know any more."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks import orphans, people
from tasks.management import maintenance
from tasks.management.commands import purge_tasks
from tasks.models import Task
from tasks.people import NoPeople, source
from tests.better_auth.users import BetterAuthUsers
from tests.commands import Run, Terminal, ended, run, start

pytestmark = pytest.mark.django_db

USERS = 20
UNKNOWN = "Unknown to Better Auth: gone\n"


def make(user_id: str, number: int = 1) -> None:
    Task.objects.bulk_create(Task(user_id=user_id, title=f"Task {n}") for n in range(number))


@pytest.fixture
def users(better_auth: BetterAuthUsers) -> BetterAuthUsers:
    """20 users with a task each, and `gone`, who has three and another one in the trash."""
    for n in range(USERS):
        better_auth.add(f"user{n}")
        make(f"user{n}")
    make("gone", 4)
    Task.objects.filter(pk=Task.objects.latest("pk").pk).trash()
    return better_auth


def purge(*arguments: str) -> Run:
    return run("purge_tasks", "--orphans", *arguments)


def owners() -> set[str]:
    return set(Task.objects.alive().values_list("user_id", flat=True))


def refused(gone: int, of: int, problem: str) -> str:
    return (
        f"{gone} of {of} users with tasks are not in Better Auth's table: {problem}. Check with "
        "manage.py doctor that it is the right table. If these users are really gone, add "
        f"--allow-many {gone}."
    )


TENTH = "more than a tenth of all users with tasks would be gone"
EMPTY = "Better Auth's table of users is empty"


@pytest.mark.usefixtures("users")
def test_their_tasks_go_to_the_trash_and_can_be_restored() -> None:
    before = list(Task.objects.order_by("pk").values())
    Task.objects.filter(user_id="user0").update(deleted_at=datetime(2026, 1, 1, tzinfo=UTC))
    already = list(Task.objects.trashed().order_by("pk").values())

    assert purge("--dry-run") == Run(0, "Would be moved to the trash: 3 tasks.\n", UNKNOWN)
    assert Task.objects.trashed().count() == len(already)
    result = purge("--yes")

    assert (result.status, result.out) == (0, "Moved to the trash: 3 tasks.\n")
    assert len(Task.objects.all()) == len(before)
    assert owners() == {f"user{n}" for n in range(1, USERS)}
    restore = re.fullmatch(
        rf"{UNKNOWN}To bring them back: manage.py (restore_tasks) --deleted-at (\S+)\n", result.err
    )
    assert restore
    assert run(restore[1], f"--deleted-at={restore[2]}") == Run(0, "Restored: 3 tasks.\n")
    assert list(Task.objects.trashed().order_by("pk").values()) == already
    assert "gone" in owners()


@pytest.mark.usefixtures("users")
def test_the_receipt_names_the_users_and_the_time() -> None:
    receipt = purge("--yes", "--json").json()

    deleted_at = receipt.pop("deleted_at")
    assert receipt == {
        "command": "purge_tasks",
        "users": ["gone"],
        "dry_run": False,
        "ended": "finished",
        "moved_to_trash": {"tasks": 3},
    }
    at = datetime.fromisoformat(deleted_at)
    assert Task.objects.filter(user_id="gone", deleted_at=at).count() == 3
    again = purge("--yes", "--json").json()
    assert (again["users"], again["moved_to_trash"]) == ([], {"tasks": 0})
    assert purge("--yes") == Run(0, "Moved to the trash: 0 tasks.\n")


def test_a_restore_by_time_can_be_limited_to_a_user(users: BetterAuthUsers) -> None:
    make("gone too", 1)
    at = purge("--yes", "--json").json()["deleted_at"]

    assert run("restore_tasks", f"--deleted-at={at}", "--user=gone too").out == (
        "Restored: 1 task.\n"
    )
    assert "gone" not in owners()
    assert run("restore_tasks").err.endswith(
        "Name the user with --user, or a run with --deleted-at."
    )


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_nothing_is_done_without_a_second_word_where_many_would_be_gone(
    users: BetterAuthUsers, yes: tuple[str, ...]
) -> None:
    make("gone2")
    make("gone3")
    before = owners()

    assert purge("--dry-run") == Run(
        0,
        "Would be moved to the trash: 5 tasks.\n",
        "Unknown to Better Auth: gone, gone2, gone3\n"
        f"Without --dry-run, this is refused. {refused(3, 23, TENTH)}\n",
    )
    for more in ((), ("--allow-many", "2")):
        assert purge("--yes", *more) == Run(1, "", f"{refused(3, 23, TENTH)} Nothing was done.")
    assert purge("--allow-many", "3").status == 2  # nobody to ask, and no --yes
    assert owners() == before
    assert purge("--yes", "--allow-many", "3").out == "Moved to the trash: 5 tasks.\n"
    assert owners() == before - {"gone", "gone2", "gone3"}


def test_an_empty_table_makes_nobody_an_orphan(users: BetterAuthUsers) -> None:
    users.execute('DELETE FROM "user"')
    before = owners()

    assert purge("--yes") == Run(1, "", f"{refused(21, 21, EMPTY)} Nothing was done.")
    assert purge("--yes", "--allow-many", "20").status == 1
    assert owners() == before
    assert purge("--yes", "--allow-many", "21").out == "Moved to the trash: 23 tasks.\n"
    assert owners() == set()


def test_a_tenth_is_not_too_many(users: BetterAuthUsers) -> None:
    make("gone2")
    Task.objects.filter(user_id__in=["user0", "user1"]).delete()  # 2 of 20 remain

    assert purge("--yes").out == "Moved to the trash: 4 tasks.\n"


@pytest.mark.parametrize("more", [(), ("--allow-many", "1000")])
@pytest.mark.parametrize(
    "sentence", ["Better Auth's table of users was not found in this database.", "Timed out."]
)
def test_without_a_table_nobody_is_an_orphan(sentence: str, more: tuple[str, ...]) -> None:
    make("alice")
    source.remember(NoPeople(sentence, is_expected="not found" in sentence))

    for how in ("--yes", "--dry-run"):
        assert purge(how, *more) == Run(1, "", f"{sentence} Nothing was done.")
    assert owners() == {"alice"}


@pytest.mark.parametrize(
    "arguments",
    [("--orphans", "--user", "gone"), ("--allow-many", "3"), ("--allow-many", "3", "--user", "a")],
)
def test_options_that_exclude_each_other(arguments: tuple[str, ...]) -> None:
    result = run("purge_tasks", "--yes", *arguments)

    assert result.status == 2
    assert result.err == "--allow-many needs --orphans, and --user excludes it."


@pytest.mark.parametrize("number", ["x", "-1", "1e3", "\u0663", "9" * 10])
def test_the_number_of_users_is_a_number(number: str) -> None:
    assert "--allow-many: must be a whole number" in purge(f"--allow-many={number}").err


def test_users_who_come_back_before_their_batch_keep_their_tasks(
    users: BetterAuthUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For instance because the operator restores the table while the command asks."""
    monkeypatch.setattr(purge_tasks, "USERS_PER_STEP", 1)
    monkeypatch.setattr(maintenance, "BATCH", 2)
    make("gone too", 5)
    find = orphans.find

    def then_back() -> Any:
        found = find()
        users.add("gone too")
        return found

    monkeypatch.setattr(orphans, "find", then_back)

    assert purge("--yes").out == "Moved to the trash: 3 tasks.\n"
    assert "gone too" in owners()


def test_a_table_that_fails_midway_ends_the_run(
    users: BetterAuthUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_tasks, "USERS_PER_STEP", 1)
    make("gone too", 5)
    calls = iter([people.unknown, people.unknown])

    def unknown(ids: Any) -> set[str]:
        for ask in calls:
            return ask(ids)
        raise NoPeople("Better Auth's users could not be read in time.")

    monkeypatch.setattr(people, "unknown", unknown)

    result = purge("--yes")

    assert result.status == 1
    assert result.out == (
        "Moved to the trash: 3 tasks. The run then failed. Run the command again to do the rest.\n"
    )
    assert "gone too" in owners()


def test_owners_are_found_in_batches(
    users: BetterAuthUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for batch in (1, 7, 21, 100):
        monkeypatch.setattr(orphans, "BATCH", batch)
        found = orphans.find()
        assert (found.owners, found.gone) == (USERS + 1, {"gone"})
        assert orphans.find(in_trash=True).gone == {"gone"}


@pytest.mark.django_db(transaction=True)
def test_a_terminal_asks_and_a_pipe_refuses(users: BetterAuthUsers) -> None:
    piped = ended(start("purge_tasks", "--orphans"))
    assert (piped.status, piped.out) == (2, "")
    assert "They can be restored as long as they are in the trash." in piped.err

    terminal = Terminal("purge_tasks", "--orphans")
    terminal.read_until("to continue: ")
    assert "Will be moved to the trash: 3 tasks. They can be restored" in terminal.shown
    terminal.type("3\n")
    assert terminal.ended().status == 0
    assert "gone" not in owners()
