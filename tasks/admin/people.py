"""Names and e-mail addresses of owners, for the pages of the admin.

Without Better Auth's users, the pages show ids as before, and say why. Users choose their names: so
each is escaped, and isolated by <bdi>, or its direction could turn the words around it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks import people
from tasks.admin.owner_url import owner_url
from tasks.people import MAX_FOUND, NoPeople, Person, source

COLOURS = 6


@dataclass(frozen=True)
class Owners:
    """people: id -> person. problem: why there are none; empty if they could be read."""

    people: Mapping[str, Person] = field(default_factory=dict)
    problem: str = ""

    def cell(self, user_id: str) -> SafeString:
        """Who the owner is, with a link to the page of this user."""
        person = self.people.get(user_id)
        if person is None:
            unknown = "" if self.problem else NOT_FOUND
            return format_html('<a href="{}">{}</a>{}', owner_url(user_id), user_id, unknown)
        link = format_html(
            '<a href="{}" title="{}, id {}"><bdi>{}</bdi></a>',
            owner_url(user_id),
            person.label,
            user_id,
            person.label,
        )
        if person.label == person.email or not person.email:
            return link
        return format_html('{} <bdi class="email">{}</bdi>', link, person.email)

    def name(self, user_id: str) -> SafeString:
        """Who the owner is, without a link, for a sentence."""
        person = self.people.get(user_id)
        if person is None:
            return format_html("<bdi>{}</bdi>", user_id)
        if person.label == person.email or not person.email:
            return format_html("<bdi>{}</bdi> (id <bdi>{}</bdi>)", person.label, user_id)
        text = "<bdi>{}</bdi> (<bdi>{}</bdi>, id <bdi>{}</bdi>)"
        return format_html(text, person.label, person.email, user_id)


NOT_FOUND = format_html(' <span class="unknown">{}</span>', "unknown to Better Auth")


@dataclass(frozen=True)
class Found:
    """What a search found: the people, if they are not too many."""

    people: Collection[Person] = ()
    are_too_many: bool = False
    problem: str = ""

    @property
    def ids(self) -> list[str]:
        return [person.id for person in self.people]

    @property
    def cells(self) -> list[SafeString]:
        return [self._owners.cell(person.id) for person in self.people]

    @property
    def names(self) -> list[SafeString]:
        return [self._owners.name(person.id) for person in self.people]

    @property
    def _owners(self) -> Owners:
        return Owners({person.id: person for person in self.people})


def owners(ids: Collection[str]) -> Owners:
    try:
        return Owners(people.by_ids(ids))
    except NoPeople as problem:
        return Owners(problem=str(problem))


def find(text: str) -> Found:
    try:
        found = people.search(text)
    except NoPeople as problem:
        return Found(problem=str(problem))
    return Found(are_too_many=True) if len(found) > MAX_FOUND else Found(found)


def id_of(text: str) -> str:
    """The id of the user with this e-mail address. Another text is an id already.

    Raises ValueError with a sentence for staff.
    """
    if "@" not in text:
        return text
    try:
        found = people.by_email(text)
    except NoPeople as problem:
        if problem.is_expected:
            return text
        raise ValueError(f"{problem} Enter the id of the user.") from None
    if len(found) > 1:
        ids = ", ".join(person.id for person in found)
        raise ValueError(f"Several users have this e-mail address. Enter an id: {ids}.")
    if not found:
        raise ValueError("Better Auth has no user with this e-mail address.")
    return found[0].id


def problem() -> str:
    """Why there are no names. Empty if they can be read."""
    try:
        source.table()
    except NoPeople as problem:
        return str(problem)
    return ""


def picture(person: Person) -> SafeString:
    """A circle with the initials, in a colour that stays the same for this user."""
    return format_html(
        '<svg class="avatar avatar-{}" viewBox="0 0 40 40" width="40" height="40" '
        'aria-hidden="true"><circle cx="20" cy="20" r="20"/>'
        '<text x="20" y="20" dy=".35em" text-anchor="middle">{}</text></svg>',
        crc32(person.id.encode()) % COLOURS,
        person.initials,
    )
