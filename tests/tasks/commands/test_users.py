"""The options of commands that name a user: by id or by e-mail address."""

from pathlib import Path

import pytest

from authjwt.user_ids import RULE
from tasks import history
from tasks.models import Task
from tasks.people import NoPeople, source
from tests.better_auth.users import BetterAuthUsers
from tests.commands import Run, run

pytestmark = pytest.mark.django_db

WHO = "User: Ada Lovelace <ada@example.com>, id a1\n"


@pytest.fixture
def ada(better_auth: BetterAuthUsers) -> BetterAuthUsers:
    better_auth.add("a1", "Ada Lovelace", "ada@example.com")
    better_auth.add("b2", "Bob", "bob@example.com")
    return better_auth


@pytest.fixture
def tasks() -> list[Task]:
    """One of Ada's tasks is alive, and one is in the trash."""
    alive, trashed = (Task.objects.create(user_id="a1", title=title) for title in ("A", "B"))
    Task.objects.filter(pk=trashed.pk).trash()
    return [alive, trashed]


def unknown(text: str) -> str:
    return (
        f"Better Auth has no user with the e-mail address {text}, and nothing belongs to a user "
        f"with this id. Check the spelling, or write id:{text} if this is the id."
    )


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("user", ["a1", "ada@example.com", "Ada@Example.COM"])
def test_every_command_takes_both_says_who_it_is_and_names_the_id(
    ada: BetterAuthUsers, user: str, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.csv"

    exported = run("export_tasks", str(file), "--user", user)
    assert exported == Run(0, "Exported: 1 task.\n", WHO)
    assert ",a1," in file.read_text()
    titles = tmp_path / "titles.csv"
    titles.write_text("title\nBuy milk\n")
    assert run("import_tasks", str(titles), "--user", user).err == WHO
    assert Task.objects.latest("pk").user_id == "a1"
    restored = run("restore_tasks", "--user", user, "--json")
    assert (restored.err, restored.json()["user"], restored.json()["restored"]) == (
        WHO, "a1", {"tasks": 1},
    )  # fmt: skip
    purged = run("purge_tasks", "--user", user, "--completed-before", "0d", "--yes", "--json")
    assert (purged.err, purged.json()["user"]) == (WHO, "a1")
    moved = run("reassign_tasks", "--from", user, "--to", "BOB@example.com", "--yes", "--json")
    assert moved.err == f"{WHO}User: Bob <bob@example.com>, id b2\n"
    assert (moved.json()["from"], moved.json()["to"]) == ("a1", "b2")
    assert moved.json()["reassigned"]["tasks"] == 3
    erased = run("erase_user", "--user", user, "--yes")
    assert (erased.err, erased.json()["user"]) == (WHO, "a1")
    assert "example.com" not in erased.out


def test_a_misspelt_address_is_refused_by_every_command(
    ada: BetterAuthUsers, tmp_path: Path
) -> None:
    """A receipt about a user without tasks would be a wrong proof of an erasure."""
    text = "ada@exmaple.com"
    (tmp_path / "titles.csv").write_text("title\nBuy milk\n")
    for arguments in (
        ("erase_user", "--user", text, "--yes"),
        ("restore_tasks", "--user", text),
        ("purge_tasks", "--user", text, "--yes"),
        ("export_tasks", str(tmp_path / "tasks.csv"), "--user", text),
        ("import_tasks", str(tmp_path / "titles.csv"), "--user", text),
        ("reassign_tasks", "--from", "a1", "--to", text, "--yes"),
    ):
        result = run(*arguments)
        assert (result.status, result.out) == (1, ""), arguments
        assert result.err.endswith(unknown(text))
    assert not Task.objects.exists()


def test_two_spellings_of_a_user_are_the_same_user(ada: BetterAuthUsers) -> None:
    result = run("reassign_tasks", "--from", "a1", "--to", "ada@example.com", "--yes")

    assert result.status == 2
    assert result.err.endswith("--to must be another user than --from.")


def test_an_id_that_nobody_has_is_said(ada: BetterAuthUsers) -> None:
    assert run("restore_tasks", "--user", "gone") == Run(
        0, "Restored: 0 tasks.\n", "User: gone, unknown to Better Auth\n"
    )


def test_an_address_that_several_have_is_refused(ada: BetterAuthUsers) -> None:
    ada.add("one", "One", "Twin@example.com")
    ada.add("two", "Two", "tWin@example.com")

    result = run("restore_tasks", "--user", "twin@example.com")

    assert result.err == (
        "Several users have the e-mail address twin@example.com. Give an id: one, two."
    )


def test_an_id_may_look_like_an_address(ada: BetterAuthUsers) -> None:
    for user in ("carl@example.com", "ada@example.com"):
        task = Task.objects.create(user_id=user, title="Buy milk")
        Task.objects.filter(pk=task.pk).trash()

    carl = run("restore_tasks", "--user", "carl@example.com", "--json")
    assert carl.err == "User: carl@example.com, unknown to Better Auth\n"
    assert carl.json()["restored"] == {"tasks": 1}
    both = run("restore_tasks", "--user", "ada@example.com")
    assert both.status == 1
    assert both.err == (
        "ada@example.com is the e-mail address of the user a1, and tasks belong to a user with "
        "this id. Give id:a1 or id:ada@example.com."
    )
    literal = run("restore_tasks", "--user", "id:ada@example.com", "--json")
    assert literal.err == "User: ada@example.com, unknown to Better Auth\n"
    assert literal.json()["user"] == "ada@example.com"
    assert literal.json()["restored"] == {"tasks": 1}
    assert run("restore_tasks", "--user", "id:a1").err == WHO
    assert RULE in run("restore_tasks", "--user", "id:").err


def test_an_id_that_only_the_history_has_is_no_misspelling(
    ada: BetterAuthUsers, admin_user: object
) -> None:
    task = Task.objects.create(user_id="carl@example.com", title="Buy milk")
    history.deleted(admin_user.pk, [task])  # type: ignore[attr-defined]
    Task.objects.all().delete()

    erased = run("erase_user", "--user", "carl@example.com", "--yes").json()

    assert erased["erased"]["history_records"] == 1


@pytest.mark.usefixtures("tasks")
def test_without_a_table_every_text_is_an_id() -> None:
    assert run("restore_tasks", "--user", "a1") == Run(0, "Restored: 1 task.\n")
    assert run("restore_tasks", "--user", "a@example.com") == Run(0, "Restored: 0 tasks.\n")


def test_an_address_is_refused_while_people_cannot_be_read() -> None:
    source.remember(NoPeople("Better Auth's users could not be read in time."))

    assert run("restore_tasks", "--user", "a1") == Run(0, "Restored: 0 tasks.\n")
    assert run("restore_tasks", "--user", "ada@example.com") == Run(
        1,
        "",
        "Better Auth's users could not be read in time. So the e-mail address cannot be looked up. "
        "Give the id of the user instead, or id:ada@example.com if this is the id.",
    )


def test_a_name_cannot_control_the_terminal(ada: BetterAuthUsers) -> None:
    ada.add("eve", "Eve\x1b[2J\r\nUser: Ada\u202e", "eve@example.com")

    assert run("restore_tasks", "--user", "eve").err == (
        "User: Eve?[2J??User: Ada? <eve@example.com>, id eve\n"
    )
