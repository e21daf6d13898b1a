"""What the list's filters, `q`, `sort` and pages select, compared with the same rules in Python."""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from itertools import pairwise, permutations
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models import Task
from tasks.query import SORT_KEYS
from tests.people import Person

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
TITLES = (
    "Buy milk",
    "buy MILK",
    "Äpfel",
    "äpfel",
    "STRASSE",
    "Straße 7",
    "ΟΔΥΣΣΕΎΣ",
    "100% of_it",
    "a\\b",
    "😀 Zoo",
    "\uffff last but for supplementary characters",
)
DESCRIPTIONS = (None, "", "MÜLL\nand milk", "\u13a0 per cent %", "_under_")
TAGS = ("home", "Büro", "ΟΔΌΣ", "x_y")
DUE = (
    None,
    "2026-06-14",
    "2026-06-15",
    "2026-06-16",
    "2026-06-15T00:00:00.000000Z",
    "2026-06-15T12:00:00.000000Z",
    "2026-06-14T23:59:59.999999Z",
)
RANK = {"low": 1, "medium": 2, "high": 3}


@pytest.fixture(autouse=True)
def _tasks() -> None:
    """With many ties, also in each time. Some belong to others, and some are in the trash."""
    some = random.Random(13)
    tasks = []
    for n in range(120):
        complete = some.random() < 0.5
        task = Task(
            user_id="alice" if n % 10 else "bob",
            title=some.choice(TITLES),
            description=some.choice(DESCRIPTIONS),
            complete=complete,
            priority=some.choice(tuple(RANK)),
            tags=some.sample(TAGS, some.randrange(4)),
            created_at=NOON + timedelta(hours=some.randrange(6)),
            updated_at=NOON + timedelta(hours=some.randrange(6), microseconds=some.randrange(2)),
            completed_at=NOON + timedelta(hours=some.randrange(6)) if complete else None,
            deleted_at=NOON if n % 15 == 7 else None,
        )
        if due := some.choice(DUE):
            parsed = datetime.fromisoformat(due)
            task.due_date = parsed if "T" in due else parsed.date()
        tasks.append(task)
    Task.objects.bulk_create(tasks)


def moment(text: str | None) -> datetime | None:
    """A day counts as its beginning in UTC."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def key_of(task: Mapping[str, Any], key: str) -> Any:
    if key == "title":
        return task["title"].casefold()
    if key == "priority":
        return RANK[task["priority"]]
    return moment(task[key])


RULES: dict[str, Callable[[Mapping[str, Any], Any], bool]] = {
    "complete": lambda task, value: task["complete"] is (value == "true"),
    "priority": lambda task, value: task["priority"] in value.lower().split(","),
    "tag": lambda task, value: (
        {tag.strip().casefold() for tag in value} <= {tag.casefold() for tag in task["tags"]}
    ),
    "due": lambda task, value: (task["due_date"] is not None) is (value == "any"),
    "q": lambda task, value: all(
        word in f"{task['title']}\n{task['description'] or ''}".casefold()
        for word in value.casefold().split()
    ),
}


def selects(task: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether a task satisfies one parameter."""
    if name in RULES:
        return RULES[name](task, value)
    field, _, end = name.rpartition("_")
    found = moment(task["due_date" if field == "due" else f"{field}_at"])
    bound = moment(value)
    if found is None or bound is None:
        return False
    return found >= bound if end == "after" else found < bound


def in_order(tasks: Iterable[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    keys = [(key.removeprefix("-"), key.startswith("-")) for key in sort.split(",")]

    def compare(one: dict[str, Any], other: dict[str, Any]) -> int:
        for name, descending in keys:
            a, b = key_of(one, name), key_of(other, name)
            if a == b:
                continue
            if a is None or b is None:
                return 1 if a is None else -1
            return (1 if a > b else -1) * (-1 if descending else 1)
        return int(one["id"] - other["id"]) * (-1 if keys[-1][1] else 1)

    return sorted(tasks, key=cmp_to_key(compare))


def get(person: Person, parameters: Mapping[str, Any]) -> dict[str, Any]:
    response = person.get(f"{person.tasks}?{urlencode(parameters, doseq=True)}")
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def pages(person: Person, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All pages, by their cursors."""
    answer = get(person, parameters)
    found: list[dict[str, Any]] = answer["tasks"]
    count = answer["count"]
    while answer["next_cursor"]:
        answer = get(person, {**parameters, "cursor": answer["next_cursor"]})
        assert answer["count"] == count
        assert answer["tasks"]
        found += answer["tasks"]
    assert len(found) == count
    return found


times = st.sampled_from(
    [
        "2026-06-14",
        "2026-06-15",
        "2026-06-16",
        "2026-06-15T00:00:00Z",
        "2026-06-15T15:00:00+02:00",
        "2026-06-15T14:00:00.000001Z",
    ]
)
sorts = st.permutations(SORT_KEYS).flatmap(
    lambda names: st.lists(st.sampled_from(["", "-"]), min_size=1, max_size=3).map(
        lambda signs: ",".join(sign + name for sign, name in zip(signs, names, strict=False))
    )
)
words = st.lists(
    st.sampled_from(
        [
            "milk",
            "MÜLL",
            "ss",
            "SS",
            "strasse",
            "\u03c3",
            "ς",
            "%",
            "_",
            "\\",
            "pf",
            "😀",
            "\uffff",
            "zz",
        ]
    ),
    max_size=3,
).map(" ".join)
queries = st.fixed_dictionaries(
    {},
    optional={
        "complete": st.sampled_from(["true", "false"]),
        "priority": st.sampled_from(["low", "HIGH", "high,Medium", "low,low", "high,medium,low"]),
        "tag": st.lists(
            st.sampled_from(["home", " HOME", "BÜRO ", "οδός", "xay"]), min_size=1, max_size=2
        ),
        "due": st.sampled_from(["any", "none"]),
        "q": words,
        **{
            f"{field}_{end}": times
            for field in ("due", "created", "updated", "completed")
            for end in ("after", "before")
        },
    },
)


@given(query=queries, sort=st.none() | sorts, limit=st.integers(1, 60), offset=st.integers(0, 60))
def test_a_list_is_what_its_parameters_say(
    alice: Person, query: dict[str, Any], sort: str | None, limit: int, offset: int
) -> None:
    everything = get(alice, {})["tasks"]
    expected = in_order(
        [task for task in everything if all(selects(task, *each) for each in query.items())],
        sort or "-created_at",
    )
    parameters = {**query, **({"sort": sort} if sort else {})}

    assert get(alice, parameters)["tasks"] == expected
    assert pages(alice, {**parameters, "limit": limit}) == expected
    page = get(alice, {**parameters, "limit": limit, "offset": offset})
    assert page["tasks"] == expected[offset : offset + limit]
    assert page["count"] == len(expected)


def test_the_pages_of_every_sort_hold_each_task_once(alice: Person) -> None:
    everything = get(alice, {})["tasks"]
    assert len(everything) == 100
    for length in (1, 2):
        for names in permutations(SORT_KEYS, length):
            for first, last in (("", ""), ("-", ""), ("", "-"), ("-", "-"))[
                : 4 if length > 1 else 2
            ]:
                keys = [*names]
                keys[0] = first + keys[0]
                keys[-1] = (last if length > 1 else "") + keys[-1]
                sort = ",".join(keys)
                assert pages(alice, {"sort": sort, "limit": 35}) == in_order(everything, sort), sort


def test_neighbouring_ranges_share_no_task_and_lose_none(alice: Person) -> None:
    bounds = ["2026-06-15", "2026-06-15T12:00:00Z", "2026-06-16"]
    found = pages(alice, {"due_before": bounds[0]})
    for after, before in pairwise(bounds):
        found += pages(alice, {"due_after": after, "due_before": before})
    found += pages(alice, {"due_after": bounds[-1]})

    assert sorted(task["id"] for task in found) == sorted(
        task["id"] for task in pages(alice, {"due": "any"})
    )


def test_contradictions_find_nothing(alice: Person) -> None:
    for query in (
        {"due": "none", "due_after": "2026-01-01"},
        {"due_after": "2026-06-16", "due_before": "2026-06-15"},
        {"complete": "false", "completed_after": "2026-01-01"},
    ):
        assert get(alice, query) == {"tasks": [], "count": 0, "next_cursor": None}


def test_a_blank_q_is_as_none(alice: Person) -> None:
    assert get(alice, {"q": ""}) == get(alice, {"q": " \u3000"}) == get(alice, {})
