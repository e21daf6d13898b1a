"""The options of commands that name a user, by id or by e-mail address."""

from typing import Any

from django.core.management.base import CommandError

from tasks import history, people
from tasks.management.arguments import user_id
from tasks.models import Task
from tasks.people import NoPeople, Person

PREFIX = "id:"
"""In front of an id that could be taken for an e-mail address."""


def add_user(parser: Any, flag: str, help_text: str, **options: Any) -> None:
    parser.add_argument(
        flag,
        metavar="USER",
        type=user,
        help=f"{help_text}, by id or e-mail address ({PREFIX}… is always an id)",
        **options,
    )


def user(text: str) -> str:
    user_id(text.removeprefix(PREFIX))
    return text


def resolve(text: str, stderr: Any) -> str:
    """The id of the user that an operator means. Says on `stderr` who that is.

    An address that nobody has is taken for an id only if that id owns something, or if there is no
    table of users. A misspelt address must not look like a user without tasks.
    """
    is_email = "@" in text and not text.startswith(PREFIX)
    text = text.removeprefix(PREFIX)
    try:
        person = _by_email(text) if is_email else people.by_ids([text]).get(text)
    except NoPeople as problem:
        if is_email and not problem.is_expected:
            raise CommandError(
                f"{problem} So the e-mail address cannot be looked up. Give the id of the user "
                f"instead, or {PREFIX}{text} if this is the id."
            ) from None
        return text
    if person is None and is_email and not _owns(text):
        raise CommandError(
            f"Better Auth has no user with the e-mail address {text}, and nothing belongs to a "
            f"user with this id. Check the spelling, or write {PREFIX}{text} if this is the id."
        )
    if person and is_email and person.id != text and _owns(text):
        raise CommandError(
            f"{text} is the e-mail address of the user {person.id}, and tasks belong to a user "
            f"with this id. Give {PREFIX}{person.id} or {PREFIX}{text}."
        )
    stderr.write(f"User: {described(person) if person else f'{text}, unknown to Better Auth'}", str)
    return person.id if person else text


def described(person: Person) -> str:
    """One line without control characters, since users choose their own names."""
    line = f"{person.name} <{person.email}>, id {person.id}".strip()
    return "".join(char if char.isprintable() else "?" for char in line)


def _by_email(text: str) -> Person | None:
    found = people.by_email(text)
    if len(found) > 1:
        ids = ", ".join(person.id for person in found)
        raise CommandError(f"Several users have the e-mail address {text}. Give an id: {ids}.")
    return found[0] if found else None


def _owns(owner: str) -> bool:
    tasks = Task.objects.owned_by(owner)
    return tasks.alive().exists() or tasks.trashed().exists() or history.of_owner(owner).exists()
