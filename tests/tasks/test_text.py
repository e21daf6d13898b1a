"""Text comes back as it was sent, and no input causes a server error."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.people import Person

pytestmark = pytest.mark.django_db

# Django rolls back after the test, not after each example, so examples must not count rows.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(title=text.map(str.strip).filter(bool).map(lambda title: title[:200].strip()))
@example(title="e\u0301 and é are two spellings")
@example(title="שלום \u202eabc")
@example(title="👩‍👩‍👧‍👦" * 28)
@example(title="\u200b")
@example(title="\ufeff")
@example(title="\uffff\U0010ffff")
def test_a_title_comes_back_as_it_was_sent(alice: Person, title: str) -> None:
    created = alice.create(title=title)

    assert created["title"] == title
    assert alice.get(alice.task(created["id"])).json()["title"] == title


@given(description=text)
@example(description=" \n\t ")
@example(description="\\ \" ' % %s %(id)s $1 ; -- </script>")
def test_a_description_comes_back_as_it_was_sent(alice: Person, description: str) -> None:
    description = description[:1000]
    created = alice.create(description=description)

    assert created["description"] == description
    assert alice.get(alice.task(created["id"])).json()["description"] == description


@given(space=st.text(st.characters(categories=["Zs", "Zl", "Zp", "Cc"])))
def test_the_database_agrees_on_what_white_space_is(alice: Person, space: str) -> None:
    space = space.replace("\x00", "")[:90]

    assert alice.create(title=f"{space}x{space}")["title"] == f"{space}x{space}".strip()


@given(
    body=st.dictionaries(
        st.sampled_from(["title", "description", "complete", "priority", "id"]) | st.text(),
        json_values,
    )
    | json_values
)
def test_no_json_causes_a_server_error(alice: Person, body: Any) -> None:
    task = alice.create()["id"]
    for send, path in (
        (alice.post, alice.tasks),
        (alice.put, alice.task(task)),
        (alice.patch, alice.task(task)),
    ):
        response = send(path, json.dumps(body))
        assert response.status_code in (200, 201, 400, 422), response.content
        response.json()


@given(body=st.binary())
def test_no_bytes_cause_a_server_error(alice: Person, body: bytes) -> None:
    response = alice.post(alice.tasks, body)

    assert response.status_code in (201, 400, 422), response.content


@given(path=st.text(), query=st.text())
def test_no_url_causes_a_server_error(alice: Person, path: str, query: str) -> None:
    raw = path.encode("utf-8", "replace").decode("latin-1")
    for address in (f"/{raw}", alice.tasks + raw, alice.task(raw)):
        response = alice.client.generic(
            "GET",
            "/",
            PATH_INFO=address,
            QUERY_STRING=query.encode("utf-8", "replace").decode("latin-1"),
        )
        assert response.status_code < 500, response.content
