"""`Idempotency-Key`: a create that is repeated makes one task."""

import json
from typing import Any

import pytest
from django.core.management import call_command

from tasks.models import Task
from tests.people import Person, is_error

pytestmark = pytest.mark.django_db

REUSED = "This Idempotency-Key was sent before, with another body. Use a new key."
IN_TRASH = "The task of this Idempotency-Key is in the trash. To create another one, use a new key."
RULE = "must be 1 to 255 visible ASCII characters, without commas unless in quotes"


def create(person: Person, key: str, body: Any = None, **fields: Any) -> Any:
    if body is None:
        body = json.dumps({"title": "Buy milk", **fields})
    return person.client.post(
        person.tasks, body, content_type="application/json", headers={"Idempotency-Key": key}
    )


def test_the_same_key_and_body_get_the_same_task(alice: Person) -> None:
    first, second = create(alice, "abc"), create(alice, "abc")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    for name in ("Location", "ETag", "Cache-Control", "Vary"):
        assert second[name] == first[name]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Task.objects.count() == 1


def test_a_replay_shows_the_task_as_it_is_now(alice: Person) -> None:
    task = alice.task(create(alice, "abc").json()["id"])
    changed = alice.patch(task, {"title": "Buy bread"})
    replayed = create(alice, "abc")

    assert replayed.content == changed.content
    assert replayed["ETag"] == changed["ETag"]


@pytest.mark.parametrize(
    "body",
    [
        '{"complete": false, "title": "Buy milk"}',
        '{"title":"Buy milk"}',
        '{ "title" : "  Buy milk " }',
        '{"title": "Buy milk", "priority": "MEDIUM", "description": null, "tags": []}',
        '{"title": "Buy milk", "due_date": null}',
        '{"title": "Buy milk", "id": 7, "created_at": "x", "deleted_at": null}',
    ],
)
def test_a_body_that_means_the_same_is_the_same(alice: Person, body: str) -> None:
    first = create(alice, "abc")

    assert create(alice, "abc", body).content == first.content


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "buy milk"},
        {"description": ""},
        {"complete": True},
        {"priority": "high"},
        {"due_date": "2026-01-31"},
        {"tags": ["home"]},
    ],
    ids=str,
)
def test_another_body_is_refused(alice: Person, fields: dict[str, Any]) -> None:
    create(alice, "abc")

    answer = create(alice, "abc", **fields)
    assert is_error(answer, 422, "IDEMPOTENCY_KEY_REUSED", REUSED)
    assert Task.objects.count() == 1


def test_the_order_of_refusals(alice: Person) -> None:
    """A key that cannot be read, an invalid body, another body, the trash."""
    alice.delete(alice.task(create(alice, "abc").json()["id"]))

    assert create(alice, "a,b", title="").status_code == 400
    assert create(alice, "abc", title="").json()["error_code"] == "VALIDATION_ERROR"
    assert create(alice, "abc", title="x").json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"
    assert is_error(create(alice, "abc"), 410, "GONE", IN_TRASH)
    assert Task.objects.count() == 1


def test_a_restored_task_is_replayed_and_a_lost_one_frees_its_key(alice: Person) -> None:
    task = create(alice, "abc").json()["id"]
    alice.delete(alice.task(task))
    alice.patch(alice.task(task), {"deleted": False})
    assert create(alice, "abc").json()["id"] == task

    alice.delete(f"{alice.task(task)}?permanent=true")
    again = create(alice, "abc")
    assert "Idempotent-Replayed" not in again
    assert again.json()["id"] != task


def test_a_refused_create_keeps_nothing(alice: Person) -> None:
    assert create(alice, "abc", title="").status_code == 422

    assert "Idempotent-Replayed" not in create(alice, "abc", title="Buy bread")


def test_each_user_has_keys_of_their_own(alice: Person, bob: Person) -> None:
    assert create(alice, "abc").json()["id"] != create(bob, "abc", title="x").json()["id"]


def test_without_a_key_every_create_makes_a_task(alice: Person) -> None:
    alice.create()
    alice.create()

    assert Task.objects.filter(idempotency_key=None).count() == 2


SAME = {
    "abc": ['"abc"', " abc\t"],
    "x" * 255: [f'"{"x" * 255}"'],
    'a"b': [r'"a\"b"'],
    r"a\b": [r'"a\\b"'],
    "!#$~[]{}()/:;<=>?@": ['"!#$~[]{}()/:;<=>?@"'],
}


@pytest.mark.parametrize("key", SAME)
def test_a_key_may_be_bare_or_in_quotes(alice: Person, key: str) -> None:
    first = create(alice, key).json()["id"]

    assert {create(alice, spelling).json()["id"] for spelling in SAME[key]} == {first}
    assert Task.objects.get().idempotency_key == key


def test_a_comma_may_be_in_quotes(alice: Person) -> None:
    assert create(alice, '"a,b"').status_code == 201
    assert Task.objects.get().idempotency_key == "a,b"


@pytest.mark.parametrize(
    "key",
    [
        *("", " ", '""', "a b", '"a b"', "a,b", "a, a", '"a", "a"', '"a","a"', '"abc', '"a"b'),
        *("é", "\x7f", "a\x00", "x" * 256, f'"{"x" * 256}"', r'"a\b"', '"abc";x=1'),
    ],
)
def test_a_bad_key_is_400_and_nothing_happens(alice: Person, key: str) -> None:
    answer = create(alice, key)

    assert is_error(answer, 400, "VALIDATION_ERROR", f"idempotency-key: {RULE}")
    assert answer.json()["errors"] == [
        {"loc": ["header", "idempotency-key"], "msg": RULE, "type": "header"}
    ]
    assert not Task.objects.exists()


def test_other_methods_ignore_the_header(alice: Person) -> None:
    task = alice.task(alice.create()["id"])
    headers = {"Idempotency-Key": "a,b"}

    assert alice.client.get(alice.tasks, headers=headers).status_code == 200
    for method in (alice.client.patch, alice.client.put):
        body = {"title": "x", "complete": True}
        answer = method(task, body, content_type="application/json", headers=headers)
        assert answer.status_code == 200
    assert alice.client.delete(task, headers=headers).status_code == 204


def test_a_new_owner_can_repeat_the_requests(alice: Person, bob: Person) -> None:
    """Except those with a key that the new owner has used too."""
    hers = [create(alice, key).json()["id"] for key in ("one", "two")]
    his = create(bob, "two", title="his").json()["id"]
    call_command("reassign_tasks", "--from=alice", "--to=bob", "--yes")

    assert create(bob, "one").json()["id"] == hers[0]
    assert create(bob, "two", title="his").json()["id"] == his
    assert Task.objects.get(pk=hers[1]).idempotency_key is None


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_leaves_keys_out(alice: Person, tmp_path: Any, form: str) -> None:
    create(alice, "needle-of-the-key")
    path = tmp_path / f"tasks.{form}"
    call_command("export_tasks", str(path))

    assert b"Buy milk" in path.read_bytes()
    assert b"needle" not in path.read_bytes()
    assert b"idempotency" not in path.read_bytes()
