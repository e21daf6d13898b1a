"""Finds the table in which Better Auth keeps its users, and says which of its columns can be read.

Better Auth calls the table `user`, and its columns as in `COLUMNS` (packages/core/src/db, and the
plugin `admin` for bans). Its Drizzle schemas have the columns in snake case. An app may rename the
table and its columns.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

OWN_DATABASE = "better_auth"
USER, USERS_SYNC = "user", "users_sync"
CANDIDATES = (("public", USER), ("neon_auth", USER), ("neon_auth", USERS_SYNC))
"""Where the table may be, in this order. The last was Neon Auth's before it became Better Auth."""

TEXT = frozenset({"text", "varchar", "bpchar", "citext"})
TIME = frozenset({"timestamp", "timestamptz", "date"})
BOOLEAN = frozenset({"bool"})
ID_TYPES = {
    **dict.fromkeys(("text", "varchar"), "text"),
    "bpchar": "bpchar",
    "uuid": "uuid",
    **dict.fromkeys(("int2", "int4", "int8"), "int8"),
}
"""Type of the column `id` -> the type that ids are cast to, so that its index can be used."""

COLUMNS: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "id": (frozenset(ID_TYPES), ("id",)),
    "email": (TEXT, ("email",)),
    "name": (TEXT, ("name",)),
    "emailVerified": (BOOLEAN, ("emailVerified", "email_verified")),
    "createdAt": (TIME, ("createdAt", "created_at")),
    "banned": (BOOLEAN, ("banned",)),
    "banExpires": (TIME, ("banExpires", "ban_expires")),
    "deletedAt": (TIME, ()),
}
"""Better Auth's name of a field -> the types and the names that its column may have."""
REQUIRED = frozenset({"id", "email"})
MARKS = {
    USER: REQUIRED | {"name", "emailVerified", "createdAt"},
    USERS_SYNC: REQUIRED | {"name", "createdAt", "deletedAt"},
}
"""What a table of this name must have, so that it is taken for Better Auth's without a setting."""

FIND = """
    SELECT namespace.nspname, class.relname, attname, typname, row_security_active(class.oid)
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type ON pg_type.oid = atttypid
    WHERE (namespace.nspname, class.relname) IN (SELECT * FROM unnest(%s::name[], %s::name[]))
      AND relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_schema_privilege(namespace.oid, 'USAGE')
      AND has_column_privilege(class.oid, attnum, 'SELECT')
"""


class NoPeople(Exception):
    """The users of Better Auth cannot be read. The message is a sentence for staff and operators.

    is_expected: there is no table, and no setting says that there should be one.
    """

    def __init__(self, sentence: str, *, is_expected: bool = False) -> None:
        super().__init__(sentence)
        self.is_expected = is_expected


@dataclass(frozen=True)
class Table:
    """columns: field -> column, for those that there are. id_type: a value of `ID_TYPES`."""

    schema: str
    name: str
    columns: Mapping[str, str]
    id_type: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def column(self, field: str, sql_type: str) -> str:
        """The column as this type; NULL if the table does not have it."""
        name = self.columns.get(field)
        return f"person.{quoted(name)}::{sql_type}" if name else f"NULL::{sql_type}"

    @property
    def exists(self) -> str:
        """The condition that the user was not deleted."""
        return f"{self.column('deletedAt', 'timestamptz')} IS NULL"


def quoted(name: str) -> str:
    """An identifier, in a statement that also has parameters."""
    return '"{}"'.format(name.replace('"', '""').replace("%", "%%"))


def configured_name() -> tuple[str, str] | None:
    """Schema and name of BETTER_AUTH_USER_TABLE."""
    text = settings.BETTER_AUTH_USER_TABLE
    if not text:
        return None
    schema, _, name = text.rpartition(".")
    return schema or "public", name


def find(cursor: Any) -> Table:
    """Raises NoPeople if there is no table that can be read."""
    configured = configured_name()
    names = [configured] if configured else list(CANDIDATES)
    cursor.execute(FIND, [[schema for schema, _ in names], [name for _, name in names]])
    found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    secured = set()
    for schema, name, column, column_type, has_row_security in cursor.fetchall():
        found[schema, name][column] = column_type
        secured |= {(schema, name)} if has_row_security else set()
    for key in names:
        columns = columns_of(found[key], key[1])
        if missing := (REQUIRED if configured else MARKS[key[1]]) - columns.keys():
            if configured:
                raise NoPeople(_incomplete(key, found[key], min(missing)))
            continue
        if key in secured:
            raise NoPeople(
                f"The row-level security of {'.'.join(key)} may hide users from this service. "
                "Read the table as its owner, or as a role with BYPASSRLS."
            )
        return Table(*key, columns, ID_TYPES[found[key][columns["id"]]])
    raise NoPeople(
        "Better Auth's table of users was not found in this database.",
        is_expected=not settings.BETTER_AUTH_USER_COLUMNS and not has_own_database(),
    )


def columns_of(types: Mapping[str, str], table: str) -> dict[str, str]:
    """Field -> column, for the columns that the table has, in a type that fits."""
    chosen = {}
    for field, (allowed, names) in COLUMNS.items():
        if field in settings.BETTER_AUTH_USER_COLUMNS:
            names = (settings.BETTER_AUTH_USER_COLUMNS[field],)  # noqa: PLW2901
        elif field == "deletedAt" and table == USERS_SYNC:
            names = ("deleted_at",)  # noqa: PLW2901
        for name in names:
            if types.get(name) in allowed:
                chosen[field] = name
                break
    return chosen


def has_own_database() -> bool:
    """Whether BETTER_AUTH_DATABASE_URL is set."""
    return OWN_DATABASE in settings.DATABASES


def _incomplete(key: tuple[str, str], types: Mapping[str, str], field: str) -> str:
    table = ".".join(key)
    if not types:
        return (
            f"BETTER_AUTH_USER_TABLE names {table}. The database has no such table, or this "
            "service may not read it."
        )
    return (
        f"{table} has no column for {field} that this service can read. "
        "Set BETTER_AUTH_USER_COLUMNS to the names of its columns."
    )
