"""Cursors: no page repeats or skips a task, and no cursor fits another list."""

import base64
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tasks import cursor
from tasks.models import Task
from tasks.query import SORT_KEYS
from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

REFUSED = "cursor: is not of this list: begin again without it"


def fill(user_id: str, count: int) -> None:
    Task.objects.bulk_create(Task(user_id=user_id, title=f"Task {n}") for n in range(count))


def first_cursor(person: Person, query: str) -> str:
    answer = person.get(f"{person.tasks}?{query}").json()
    assert answer["next_cursor"]
    return str(answer["next_cursor"])


sorts = st.permutations(SORT_KEYS).flatmap(
    lambda names: st.lists(st.sampled_from(["", "-"]), min_size=1, max_size=3).map(
        lambda signs: ",".join(sign + name for sign, name in zip(signs, names, strict=False))
    )
)


@given(sort=sorts, limit=st.integers(1, 7), seed=st.integers(0, 10**9))
def test_no_task_is_repeated_or_skipped_while_others_change(
    alice: Person, sort: str, limit: int, seed: int
) -> None:
    """Between two pages, tasks are added, changed and deleted at random, the last one of the page
    before included. Each task that keeps its keys is on exactly one page.
    """
    Task.objects.all().delete()
    some = random.Random(seed)
    now = timezone.now()

    def new() -> Task:
        complete = some.random() < 0.5
        task = Task(
            user_id="alice",
            title=some.choice(["a", "B", "ä", "Ω", "z"]),
            complete=complete,
            priority=some.choice(["low", "medium", "high"]),
            created_at=now + timedelta(seconds=some.randrange(3)),
            updated_at=now + timedelta(seconds=some.randrange(3)),
            completed_at=now + timedelta(seconds=some.randrange(2)) if complete else None,
        )
        task.due_date = some.choice(
            [None, now.date(), now.date() + timedelta(1), now, now + timedelta(1)]
        )
        return task

    kept = {task.pk for task in Task.objects.bulk_create(new() for _ in range(20))}
    found: list[int] = []
    position: str | None = None
    while True:
        query: dict[str, Any] = {"sort": sort, "limit": limit}
        if position:
            query["cursor"] = position
        answer = alice.client.get(alice.tasks, query).json()
        found += [task["id"] for task in answer["tasks"]]
        position = answer["next_cursor"]
        if not position:
            break
        Task.objects.bulk_create(new() for _ in range(some.randrange(3)))
        for pk in some.sample(sorted(kept), min(len(kept), some.randrange(3))) + [
            pk for pk in found[-1:] if some.random() < 0.5
        ]:
            kept.discard(pk)
            if some.random() < 0.5:
                Task.objects.filter(pk=pk).update(deleted_at=now)
            else:
                Task.objects.filter(pk=pk).update(title="moved", priority="low", due_day=None)
        assert len(found) < 200

    assert len([pk for pk in found if pk in kept]) == len({*found} & kept)
    assert kept <= {*found}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("priority=high,medium,low", "priority=low,MEDIUM,high,low"),
        ("tag=a&tag=b", "tag=B&tag=%20a&tag=b"),
        ("q=Task%20TASK%20t", "q=t%20task"),
        ("sort=-created_at", ""),
        ("due_before=2027-01-01&due=any", "due=any&due_before=2027-01-01T01:00:00%2B01:00"),
        ("q=", "_=17"),
    ],
)
def test_a_cursor_binds_the_meaning_and_not_the_spelling(
    alice: Person, first: str, second: str
) -> None:
    Task.objects.bulk_create(
        Task(user_id="alice", title="Task", tags=["A", "b"], due_day="2026-01-01") for _ in range(3)
    )
    position = first_cursor(alice, f"{first}&limit=1")
    response = alice.get(f"{alice.tasks}?{second}&limit=2&cursor={position}")

    assert response.status_code == 200, response.content
    assert len(response.json()["tasks"]) == 2


@pytest.mark.parametrize(
    "other",
    [
        "sort=created_at",
        "sort=-created_at,title",
        "complete=false",
        "q=task",
        "tag=a",
        "priority=medium",
        "due=none",
        "created_after=2020-01-01",
    ],
)
def test_a_cursor_of_another_list_is_422(alice: Person, other: str) -> None:
    fill("alice", 3)
    position = first_cursor(alice, "limit=1")

    for query in (f"{other}&cursor={position}", f"cursor={first_cursor(alice, 'q=task&limit=1')}"):
        response = alice.get(f"{alice.tasks}?{query}")
        if other == "q=task" and query.startswith("cursor"):
            continue
        assert is_error(response, 422, "VALIDATION_ERROR", REFUSED)
        assert response.json()["errors"][0]["loc"] == ["query", "cursor"]


def test_a_cursor_of_another_user_is_422(alice: Person, bob: Person) -> None:
    fill("alice", 3)
    fill("bob", 3)
    position = first_cursor(alice, "limit=1")

    response = bob.get(f"{bob.tasks}?limit=1&cursor={position}")

    assert is_error(response, 422, "VALIDATION_ERROR", REFUSED)


def test_a_cursor_of_another_release_is_422(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    fill("alice", 3)
    position = first_cursor(alice, "limit=1")
    monkeypatch.setattr(cursor, "FORMAT", cursor.FORMAT + 1)

    assert is_error(alice.get(f"{alice.tasks}?cursor={position}"), 422, "VALIDATION_ERROR", REFUSED)


def test_a_cursor_of_another_secret_is_422_unless_it_is_a_fallback(alice: Person) -> None:
    fill("alice", 3)
    with override_settings(SECRET_KEY="the one before" * 4):
        position = first_cursor(alice, "limit=1")
        with override_settings(SECRET_KEY="new" * 20, SECRET_KEY_FALLBACKS=["the one before" * 4]):
            assert alice.get(f"{alice.tasks}?cursor={position}").status_code == 200

    assert is_error(alice.get(f"{alice.tasks}?cursor={position}"), 422, "VALIDATION_ERROR", REFUSED)


def test_a_changed_cursor_is_422(alice: Person) -> None:
    """Wherever it is changed, also if what it says makes sense."""
    fill("alice", 3)
    position = first_cursor(alice, "limit=1")
    content, _, signature = position.partition(".")
    last: list[Any] = json.loads(base64.urlsafe_b64decode(content + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([last[0] + 1, last[1]]).encode()).decode()
    changed = [
        position[:n] + ("A" if position[n] != "A" else "B") + position[n + 1 :]
        for n in range(len(position) - 1)
    ]

    for each in [
        *changed,
        position[:-5],
        f"{forged.rstrip('=')}.{signature}",
        content,
        f".{signature}",
    ]:
        response = alice.client.get(alice.tasks, {"cursor": each})
        assert is_error(response, 422, "VALIDATION_ERROR", REFUSED), each


def test_a_cursor_shows_nothing_but_what_the_page_showed(alice: Person) -> None:
    fill("alice", 3)
    answer = alice.get(f"{alice.tasks}?sort=title,priority&limit=2").json()
    content = answer["next_cursor"].partition(".")[0]
    last = answer["tasks"][-1]

    assert json.loads(base64.urlsafe_b64decode(content + "==")) == [
        last["id"],
        last["title"].casefold(),
        "2",
        None,
    ]
