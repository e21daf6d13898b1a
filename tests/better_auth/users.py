"""Better Auth's table of users, in the database of the tests.

`user_table.sql` is what the migration of Better Auth (with its plugin `admin`) runs: see
`test_users.py`, which compares the two.
"""

from pathlib import Path
from typing import Any

from django.db import connection

from tasks.people import source

TABLE = (Path(__file__).parent / "user_table.sql").read_text()
NO_USERS = "Better Auth's table of users was not found in this database."
INSERT = """
    INSERT INTO {} (id, name, email, "emailVerified", banned, "banExpires", "createdAt")
    VALUES (%s, %s, %s, %s, %s, %s, '2026-01-31 12:00+00')
"""


class BetterAuthUsers:
    """id_type: `uuid` and `integer` are Better Auth's `generateId: "uuid"` and `"serial"`."""

    def __init__(self, id_type: str = "text") -> None:
        self.name = '"user"'
        self.execute(TABLE.replace('"id" text', f'"id" {id_type}'))

    def add(
        self,
        user_id: Any,
        name: str = "",
        email: str = "",
        *,
        verified: bool = True,
        banned: bool | None = None,
        ban_expires: Any = None,
    ) -> None:
        email = email or f"{user_id}@example.com"
        params = [user_id, name, email, verified, banned, ban_expires]
        self.execute(INSERT.format(self.name), *params)

    def execute(self, sql: str, *params: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, params or None)

    def again(self, id_type: str) -> None:
        """The same with another type of ids."""
        self.execute('DROP TABLE "user"')
        self.__init__(id_type)  # type: ignore[misc]
        source.forget()

    def drop(self) -> None:
        self.execute(f"DROP TABLE IF EXISTS {self.name}")
        self.execute("DROP SCHEMA IF EXISTS neon_auth CASCADE")
