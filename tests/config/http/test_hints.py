"""What is suggested in place of an unknown name."""

import pytest

from config.http.hints import (
    FIELD_ALIASES,
    FIELDS,
    PARAMETER_ALIASES,
    Aliases,
    snake_case,
    suggestions,
    unknown_field,
    unknown_parameter,
)
from tasks.query import ListQuery
from tasks.schemas import READ_ONLY

# More names than the service has today, so that no test depends on which ones those are.
TASK = ("title", "description", "complete", "priority", "due_date", "tags")
LIST = (
    *("complete", "priority", "tag", "due", "due_after", "due_before", "created_after"),
    *("created_before", "q", "deleted", "sort", "limit", "cursor", "offset"),
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        # close spellings
        ("titel", "title"),
        ("tilte", "title"),
        ("descripton", "description"),
        ("prioirty", "priority"),
        ("completet", "complete"),
        # other ways to write the same words
        ("dueDate", "due_date"),
        ("DueDate", "due_date"),
        ("due-date", "due_date"),
        ("Due Date", "due_date"),
        ("TITLE", "title"),
        # names that other services have
        ("completed", "complete"),
        ("done", "complete"),
        ("is_completed", "complete"),
        ("isCompleted", "complete"),
        ("isDone", "complete"),
        ("status", "complete"),
        ("due", "due_date"),
        ("deadline", "due_date"),
        ("dueAt", "due_date"),
        ("labels", "tags"),
        ("categories", "tags"),
        ("tag", "tags"),
        ("name", "title"),
        ("content", "title"),
        ("text", "title"),
        ("summary", "title"),
        ("subject", "title"),
        ("notes", "description"),
        ("note", "description"),
        ("body", "description"),
        ("details", "description"),
        ("desc", "description"),
    ],
)
def test_an_unknown_field_has_one_suggestion(name: str, meant: str) -> None:
    assert suggestions(name, TASK, FIELD_ALIASES) == (meant,)


@pytest.mark.parametrize(
    "name", ["", "colour", "date", "x", "t", "subtasks", "owner", "parent", "é", "x" * 10_000]
)
def test_a_name_that_resembles_no_field_has_no_suggestion(name: str) -> None:
    assert suggestions(name, TASK, FIELD_ALIASES) == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("compelte", ["complete"]),
        ("completed", ["complete"]),
        ("done", ["complete"]),
        ("status", ["complete"]),
        ("search", ["q"]),
        ("query", ["q"]),
        ("filter", ["q"]),
        ("keyword", ["q"]),
        ("sort_by", ["sort"]),
        ("sortBy", ["sort"]),
        ("order", ["sort"]),
        ("order_by", ["sort"]),
        ("orderBy", ["sort"]),
        ("ordering", ["sort"]),
        ("page", ["cursor", "offset"]),
        ("skip", ["offset"]),
        ("per_page", ["limit"]),
        ("page_size", ["limit"]),
        ("pageSize", ["limit"]),
        ("size", ["limit"]),
        ("tags", ["tag"]),
        ("label", ["tag"]),
        ("labels", ["tag"]),
        ("due_date_before", ["due_before"]),
        ("due_date_after", ["due_after"]),
        ("due_date", ["due_after", "due_before"]),
        ("dueBefore", ["due_before"]),
        ("limt", ["limit"]),
    ],
)
def test_an_unknown_parameter_has_suggestions(name: str, meant: list[str]) -> None:
    assert suggestions(name, LIST, PARAMETER_ALIASES) == tuple(meant)


def test_a_suggestion_that_does_not_exist_is_not_made() -> None:
    aliases = {"page": ("cursor", "offset"), "search": ("q",)}

    assert suggestions("page", ["offset", "limit"], aliases) == ("offset",)
    assert suggestions("search", ["offset", "limit"], aliases) == ()


@pytest.mark.parametrize(
    ("known", "aliases"), [(FIELDS, FIELD_ALIASES), (ListQuery.model_fields, PARAMETER_ALIASES)]
)
def test_no_known_name_is_taken_for_another(known: tuple[str, ...], aliases: Aliases) -> None:
    assert aliases.keys().isdisjoint(known)
    assert all(name == snake_case(name) for name in aliases)


def test_the_message_ends_with_the_question() -> None:
    assert unknown_field("completed") == "is not a known field; did you mean complete?"
    assert unknown_field("colour") == "is not a known field"


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_field_of_the_server_in_camel_case_is_recognised(name: str) -> None:
    first, *others = name.split("_")
    written = first + "".join(map(str.title, others))

    assert unknown_field(written) == f"is not a known field; did you mean {name}?"


@pytest.mark.parametrize(
    ("name", "known", "method", "message"),
    [
        ("page", LIST, "GET", "is not a known parameter; did you mean cursor or offset?"),
        ("colour", LIST, "GET", "is not a known parameter"),
        ("complete", [], "GET", "is not a known parameter; this call takes none"),
        ("title", [], "POST", "is not a known parameter; send title in the body"),
        ("completed", [], "PATCH", "is not a known parameter; send complete in the body"),
        ("colour", [], "PUT", "is not a known parameter; this call takes none"),
        ("hard", ["permanent"], "DELETE", "is not a known parameter; did you mean permanent?"),
        ("title", ["permanent"], "DELETE", "is not a known parameter"),
    ],
)
def test_the_message_of_a_parameter(name: str, known: list[str], method: str, message: str) -> None:
    assert unknown_parameter(name, known, method) == message
