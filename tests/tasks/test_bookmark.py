"""The header Bookmark, without a replica. `tests/wire/test_replica.py` has one."""

from typing import Any

import pytest

from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

BOOKMARK = "00000001000000001A2B3C48"
RULE = "must be * or the Bookmark that a write was answered with, as it came"


def get(person: Person, path: str, bookmark: str) -> Any:
    return person.client.get(path, headers={"Bookmark": bookmark})


@pytest.mark.parametrize("bookmark", ["*", " * ", BOOKMARK, "F" * 24])
def test_without_a_replica_it_changes_nothing(alice: Person, bookmark: str) -> None:
    task = alice.post(alice.tasks, {"title": "x"})
    path = alice.task(task.json()["id"])

    assert "Bookmark" not in task
    assert get(alice, path, bookmark).content == alice.get(path).content
    assert get(alice, alice.tasks, bookmark).content == alice.get(alice.tasks).content


@pytest.mark.parametrize(
    "bookmark",
    [
        *("", "1", BOOKMARK.lower(), BOOKMARK[1:], f"{BOOKMARK}0", f'"{BOOKMARK}"'),
        *(f"*, {BOOKMARK}", "\u0660" * 24, "-" * 24, "0" * 23 + "G", "'; DROP TABLE x --"),
    ],
)
def test_one_that_cannot_be_read_is_400(alice: Person, bookmark: str) -> None:
    for path in (alice.tasks, alice.task(7), f"{alice.tasks}?sync=*", f"{alice.tasks}?limit=x"):
        answer = get(alice, path, bookmark)
        assert is_error(answer, 400, "VALIDATION_ERROR", f"bookmark: {RULE}")
        assert answer.json()["errors"][0]["loc"] == ["header", "bookmark"]


def test_a_stranger_is_refused_before_it_is_read(alice: Person, bob: Person) -> None:
    assert get(bob, alice.tasks, "x").status_code == 403


def test_writes_ignore_it(alice: Person) -> None:
    answer = alice.client.post(
        alice.tasks, {"title": "x"}, content_type="application/json", headers={"Bookmark": "x"}
    )

    assert answer.status_code == 201
