"""The check of Better Auth's table of users, which the admin shows and the commands know."""

from collections.abc import Iterator

from django.db import Error

from authjwt.wording import count
from config.operator.diagnosis.check import Check
from tasks import people
from tasks.people import NoPeople, source, table

NAME = "users"


def checks() -> Iterator[Check]:
    source.forget()
    try:
        found, number = source.table(), people.number()
    except NoPeople as problem:
        if problem.is_expected:
            yield Check(NAME, "ok", f"{problem} The admin shows ids only.")
        else:
            yield Check(NAME, "wrong", str(problem), _advice())
    except Error:  # the lines of the database say why
        yield Check(NAME, "not reached", "")
    else:
        some = f"more than {people.MAX_COUNTED} users"
        users = count(number, "user") if number <= people.MAX_COUNTED else some
        place = "BETTER_AUTH_DATABASE_URL" if table.has_own_database() else "this database"
        yield Check(NAME, "ok", f"{users} in {found} of {place}, read-only")


def _advice() -> str:
    variables = "BETTER_AUTH_USER_TABLE and BETTER_AUTH_USER_COLUMNS"
    if table.has_own_database():
        return f"Set BETTER_AUTH_DATABASE_URL to the database of Better Auth. See also {variables}."
    return f"Set {variables} to the names in the schema of Better Auth, or remove them."
