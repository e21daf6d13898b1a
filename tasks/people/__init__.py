"""The users of Better Auth, so that staff and operators see people, and not only ids.

Nothing here is a model, so no migration can touch the table. Names and e-mail addresses are
personal data, and must never be logged. Every function raises NoPeople if the users cannot be read.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.people import source
from tasks.people.table import NoPeople, Table, quoted

__all__ = ["MAX_FOUND", "NoPeople", "Person", "by_email", "by_ids", "number", "search", "unknown"]

MAX_FOUND = 20
MAX_COUNTED = 100_000
PATTERNS = {
    "uuid": re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE),
    "int8": re.compile("[0-9]{1,18}", re.ASCII),
}
"""Type of ids -> texts that PostgreSQL can cast to it. A text of another form is nobody's id."""

PERSON = {
    "id": "text",
    "email": "text",
    "name": "text",
    "createdAt": "timestamptz",
    "emailVerified": "boolean",
    "banned": "boolean",
    "banExpires": "timestamptz",
}
"""Better Auth's names of the fields of a person, in this order, with their types."""

# The parameter is cast, never the column, or no index could be used.
BY_IDS = """
    SELECT keys.number, {person}
    FROM unnest(%s::{id_type}[]) WITH ORDINALITY AS keys(id, number)
    JOIN {table} AS person ON person.{id} = keys.id
    WHERE {exists}
"""
UNKNOWN = """
    SELECT keys.number FROM unnest(%s::{id_type}[]) WITH ORDINALITY AS keys(id, number)
    WHERE NOT EXISTS (
        SELECT FROM {table} AS person WHERE person.{id} = keys.id AND {exists}
    )
"""
NUMBER = f"""
    SELECT count(*)
    FROM (SELECT FROM {{table}} AS person WHERE {{exists}} LIMIT {MAX_COUNTED + 1}) AS counted
"""  # noqa: S608  of constants
FOUND = f"""
    SELECT {{person}} FROM {{table}} AS person
    WHERE {{exists}} AND ({{condition}}) LIMIT {MAX_FOUND + 1}
"""  # noqa: S608  of constants

# Better Auth stores addresses in lower case, and has a unique index on them.
HAS_EMAIL = "person.{email} IN (%(text)s::text, lower(%(text)s::text))"
HAS_EMAIL_IN_ANY_CASE = "lower({email_text}) = lower(%(text)s::text)"
EMAIL_BEGINS = "starts_with(lower({email_text}), lower(%(text)s::text))"
NAME_BEGINS = "strpos(' ' || lower({name_text}), lower(' ' || %(text)s::text)) > 0"


@dataclass(frozen=True)
class Person:
    """since, is_verified: None if the table does not say. ban_expires: None if the ban does not."""

    id: str
    email: str
    name: str
    since: datetime | None
    is_verified: bool | None
    is_banned: bool
    ban_expires: datetime | None

    @property
    def label(self) -> str:
        return self.name.strip() or self.email or self.id

    @property
    def initials(self) -> str:
        words = re.findall(r"[^\W_]+", self.label)
        return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper() if words else "?"


def by_ids(ids: Collection[str]) -> dict[str, Person]:
    """The people with these ids. One query, however many."""
    table = source.table()
    keys = _keys(table, ids)
    rows = source.rows(_statement(BY_IDS, table), [keys]) if keys else []
    return {keys[position - 1]: _person(columns) for position, *columns in rows}


def by_email(email: str) -> list[Person]:
    """Ignoring case. Several only if the table has an address more than once."""
    table = source.table()
    return _found(table, HAS_EMAIL, email) or _found(table, HAS_EMAIL_IN_ANY_CASE, email)


def search(text: str) -> list[Person]:
    """People whose e-mail address, name, or a word of whose name begins with `text`.

    Ignoring case. If somebody has exactly this address, nobody else is found. At most
    MAX_FOUND + 1, so that the caller knows whether there are more.
    """
    table = source.table()
    text = " ".join(text.split())
    exact = _found(table, HAS_EMAIL, text) if "@" in text else []
    # Each condition costs as much as reading the whole table, and no address has a space.
    begins = NAME_BEGINS if " " in text else f"{EMAIL_BEGINS} OR {NAME_BEGINS}"
    return exact or _found(table, begins, text)


def unknown(ids: Collection[str]) -> set[str]:
    """Those ids that no user has."""
    table = source.table()
    keys = _keys(table, ids)
    rows = source.rows(_statement(UNKNOWN, table), [keys], source.COMMAND_TIMEOUT)
    return (set(ids) - set(keys)) | {keys[position - 1] for (position,) in rows}


def number() -> int:
    """How many users there are, up to MAX_COUNTED + 1."""
    ((found,),) = source.rows(_statement(NUMBER, source.table()), [])
    return int(found)


def _found(table: Table, condition: str, text: str) -> list[Person]:
    """Sorted by name."""
    if not text or "\0" in text:
        return []
    statement = _statement(FOUND, table, condition=_statement(condition, table))
    people = [_person(columns) for columns in source.rows(statement, {"text": text})]
    return sorted(people, key=lambda person: (person.label.casefold(), person.id))


def _statement(template: str, table: Table, **more: str) -> str:
    return template.format(
        table=table.sql,
        id=quoted(table.columns["id"]),
        id_type=table.id_type,
        email=quoted(table.columns["email"]),
        email_text=table.column("email", "text"),
        name_text=table.column("name", "text"),
        person=", ".join(table.column(field, sql_type) for field, sql_type in PERSON.items()),
        exists=table.exists,
        **more,
    )


def _keys(table: Table, ids: Collection[str]) -> list[str]:
    """The ids that a column of this type can have."""
    pattern = PATTERNS.get(table.id_type)
    return [key for key in ids if "\0" not in key and (not pattern or pattern.fullmatch(key))]


def _person(columns: Sequence[Any]) -> Person:
    """From the columns of PERSON."""
    key, email, name, since, is_verified, is_banned, ban_expires = columns
    has_ended = ban_expires is not None and ban_expires <= datetime.now(UTC)
    is_banned = bool(is_banned) and not has_ended
    return Person(key, email or "", name or "", since, is_verified, is_banned, ban_expires)
