"""`tags`: set together with the task, unique ignoring case, kept as they were written."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.models import WHITE_SPACE, Task
from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

tag_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","))


def test_tags_keep_their_order_and_writing(alice: Person) -> None:
    tags = ["Zoo", "apple", "Büro", "日本", "👩\u200d👧", "שלום\u202e", "e\u0301", "é"]
    created = alice.create(tags=tags)

    assert created["tags"] == tags
    assert alice.get(alice.task(created["id"])).json() == created


def test_tags_are_trimmed_like_titles(alice: Person) -> None:
    tags = [f"{space}tag{ord(space):x}{space}" for space in WHITE_SPACE]

    assert alice.create(tags=tags[:20])["tags"] == [tag.strip() for tag in tags[:20]]
    assert alice.create(tags=tags[20:])["tags"] == [tag.strip() for tag in tags[20:]]


def test_20_tags_of_50_characters_fit(alice: Person) -> None:
    tags = [f"{n:02}" + "😀" * 48 for n in range(20)]

    assert alice.create(tags=tags)["tags"] == tags


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ("", "must not be blank"),
        (" \u2003\t", "must not be blank"),
        ("x" * 51, "must have at most 50 characters"),
        ("a,b", "must not contain a comma"),
        ("a\nb", "must not contain control characters"),
        ("a\x9fb", "must not contain control characters"),
        ("a\x00b", "must not contain the character NUL or a lone surrogate"),
        ("a\ud83db", "must not contain the character NUL or a lone surrogate"),
        (5, "must be a string"),
        (None, "must be a string"),
        (["a"], "must be a string"),
    ],
)
def test_a_tag_that_breaks_a_rule_is_422(alice: Person, tag: Any, sentence: str) -> None:
    body = {"title": "x", "complete": False, "tags": ["home", tag]}
    for send, path in (
        (alice.post, alice.tasks),
        (alice.put, alice.task(1)),
        (alice.patch, alice.task(1)),
    ):
        response = send(path, body)
        assert is_error(response, 422, "VALIDATION_ERROR", f"tags: 1: {sentence}")
        assert response.json()["errors"][0]["loc"] == ["body", "tags", 1]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("home", "HOME"),
        ("Straße", "STRASSE"),
        ("\u03c2", "\u03a3"),  # both forms of the small sigma
        ("\ufb00", "FF"),
        ("\u24b6", "\u24d0"),
        ("\u01c4", "\u01c6"),
        ("\u212a", "k"),  # the Kelvin sign
        ("\U00010400", "\U00010428"),
        ("\u13a0", "\uab70"),
        (" a", "A "),
        ("{x}", "{X}"),
        ("{tag}", "{TAG}"),
        ("a", "a"),
    ],
)
def test_tags_that_differ_only_in_case_are_422(alice: Person, one: str, other: str) -> None:
    response = alice.post(alice.tasks, {"title": "x", "tags": [one, "between", other]})

    sentence = f"must not name a tag twice, ignoring case: {other.strip()}"
    assert is_error(response, 422, "VALIDATION_ERROR", f"tags: {sentence}")


@pytest.mark.parametrize(("one", "other"), [("é", "e\u0301"), ("I", "\u0131"), ("ae", "æ")])
def test_tags_that_only_look_alike_are_two(alice: Person, one: str, other: str) -> None:
    assert alice.create(tags=[one, other])["tags"] == [one, other]


def test_tags_are_replaced_as_a_whole(alice: Person) -> None:
    created = alice.create(tags=["a", "b"])
    task = alice.task(created["id"])

    same = alice.patch(task, {"tags": ["a", "b"]}).json()
    swapped = alice.patch(task, {"tags": ["b", "a"]}).json()
    emptied = alice.patch(task, {"tags": []}).json()

    assert same == created
    assert swapped["tags"] == ["b", "a"]
    assert swapped["updated_at"] > created["updated_at"]
    assert emptied["tags"] == []


@given(tags=st.lists(tag_texts, max_size=20))
@example(tags=["\\", '"', "{}", "{a}", "NULL", "%", "_", "'"])
def test_any_tags_come_back_as_they_were_sent_and_are_found(alice: Person, tags: list[str]) -> None:
    unique = {tag.strip()[:50].strip().casefold(): tag.strip()[:50].strip() for tag in tags}
    sent = [tag for tag in unique.values() if tag]
    sent = list({tag.casefold(): tag for tag in sent}.values())
    created = alice.create(tags=sent)

    assert created["tags"] == sent
    for tag in sent[:3]:
        response = alice.client.get(alice.tasks, {"tag": [tag.upper(), tag]})
        if tag.upper().casefold() == tag.casefold() and len(tag.upper()) <= 50:
            assert created["id"] in [task["id"] for task in response.json()["tasks"]]
