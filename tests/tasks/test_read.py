"""GET /api/{user_id}/tasks/{task_id}"""

import pytest

from tests.people import Person, Sends, is_error

pytestmark = pytest.mark.django_db

NO_ID = ["abc", "01", "+1", "-1", "0", "1.0", "1_0", "٣", "9223372036854775808", "9" * 500, "%00"]


def test_the_owner_reads_a_task(alice: Person) -> None:
    created = alice.create(title="Buy milk", description="two litres")
    response = alice.get(alice.task(created["id"]))

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-cache"
    assert response.json() == created


def test_read_costs_one_statement(alice: Person, sends: Sends) -> None:
    created = alice.create()

    with sends(1):
        alice.get(alice.task(created["id"]))


def test_a_task_that_does_not_exist_is_404(alice: Person) -> None:
    response = alice.get(alice.task(2**63 - 1))

    assert is_error(response, 404, "NOT_FOUND", "There is no such task.")


@pytest.mark.parametrize("task_id", NO_ID)
def test_an_invalid_id_is_404_without_a_statement(
    alice: Person, task_id: str, sends: Sends
) -> None:
    with sends(0):
        response = alice.get(alice.task(task_id))

    assert is_error(response, 404, "NOT_FOUND", response.json()["detail"])
    assert response.json()["detail"].startswith("There is no such task")


def test_head_answers_like_get_without_the_body(alice: Person) -> None:
    path = alice.task(alice.create()["id"])
    got, head = alice.get(path), alice.client.head(path)

    assert head.status_code == 200
    assert head.content == b""
    assert {**head.headers, "X-Request-ID": ""} == {**got.headers, "X-Request-ID": ""}
