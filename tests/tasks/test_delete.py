"""DELETE /api/{user_id}/tasks/{task_id}"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from tests.people import Person, Sends, is_error


@pytest.mark.django_db
def test_the_owner_deletes_a_task(alice: Person) -> None:
    kept, gone = alice.create(), alice.create()
    response = alice.delete(alice.task(gone["id"]))

    assert response.status_code == 204
    assert response.content == b""
    assert response["Cache-Control"] == "private, no-store"
    assert "Content-Type" not in response.headers
    assert alice.get(alice.tasks).json() == {"tasks": [kept], "count": 1, "next_cursor": None}


@pytest.mark.django_db
def test_delete_costs_one_statement(alice: Person, sends: Sends) -> None:
    path = alice.task(alice.create()["id"])

    with sends(1):
        alice.delete(path)


@pytest.mark.django_db
def test_a_second_delete_is_404(alice: Person) -> None:
    path = alice.task(alice.create()["id"])
    alice.delete(path)

    assert is_error(alice.delete(path), 404, "NOT_FOUND", "There is no such task.")


@pytest.mark.django_db(transaction=True, databases=["default", "api"])
def test_of_parallel_deletes_exactly_one_succeeds(alice: Person) -> None:
    path = alice.task(alice.create()["id"])

    def delete(_: int) -> int:
        try:
            return int(Person("alice").delete(path).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(delete, range(8)))

    assert statuses == [204] + [404] * 7
