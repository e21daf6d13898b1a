"""The role of the API, which may call the operations and nothing else.

`migrate` makes it where it is missing: no superuser is needed, and where the user of DATABASE_URL
may not make roles, an administrator runs what `manage.py api_role --sql` prints. The user of
DATABASE_URL stays what it was, for the admin and the commands. So an endpoint that forgets whose
tasks it means, or that reaches for a table, is refused by PostgreSQL.

A role is known as ours by its comment, and any other one is never altered: roles belong to the
whole server, and one of that name may be somebody else's.

Row level security was measured beside it. It sets role and user for each transaction, and costs 15
to 25 % of a request where this costs 5; and it holds only for roles that do not bypass it, which
the owner that Neon hands out does.
"""

from collections.abc import Iterable
from contextlib import closing
from typing import Any, LiteralString

from django.db import Error, OperationalError, ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

TIMEOUTS = {
    "statement_timeout": "2s",
    "lock_timeout": "1500ms",
    "idle_in_transaction_session_timeout": "5s",
}
"""Settings of the role, so that they hold behind every pooler. In the words of SHOW."""

COMMENT = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %(name)s"
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in TIMEOUTS)
EVERYBODY_CONNECTS = "SELECT has_database_privilege('public', current_database(), 'CONNECT')"

PLAIN_TEXT_ONLY = "plaintext passwords"
"""Of the words in which Neon refuses an encrypted password, when the transaction commits."""


class Refusal(Exception):
    """What `migrate` leaves undone, in a sentence; `sql` is for an administrator to run."""

    def __init__(self, sentence: str, sql: str = "") -> None:
        super().__init__(sentence)
        self.sql = sql


class Role:
    """The role that the API signs in as; `connection` is of the owner of the tasks.

    is_derived: whether its name and password follow from DATABASE_URL, and `migrate` makes it;
    otherwise API_DATABASE_URL names a role that somebody else looks after.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.owner, self.database = row(connection, "SELECT current_user, current_database()")
        self.mark = f"better-auth-tasks: role of the API in the database {self.database}"
        api = self.connect()
        params = api.get_connection_params()
        self.name: str = params["user"]
        self.password: str = params.get("password") or ""
        self.is_derived: bool = api.settings_dict["ROLE_IS_DERIVED"]

    def connect(self) -> BaseDatabaseWrapper:
        """Another connection of the role, to this very database."""
        api = connections.create_connection("api")
        if api.settings_dict["ROLE_IS_DERIVED"]:
            api.settings_dict = {**api.settings_dict, "NAME": self.database}
        return api

    @property
    def is_owner(self) -> bool:
        """Whether API and admin share a role: then PostgreSQL keeps no users apart."""
        return bool(self.name == self.owner)

    @property
    def is_there(self) -> bool:
        return row(self.connection, COMMENT, name=self.name) is not None

    @property
    def is_marked(self) -> bool:
        return bool(row(self.connection, COMMENT, name=self.name) == (self.mark,))

    @property
    def takes_grants(self) -> bool:
        return self.is_marked if self.is_derived else self.is_there

    def ensure(self) -> None:
        """Makes what is missing, and touches nothing that is as it should be.

        Raises Refusal, with what an administrator can run.
        """
        if not self.is_derived:
            if not self.is_there:
                raise Refusal(f"There is no role {self.name}, which API_DATABASE_URL names.")
            return
        self._refuse_a_foreign_name()
        self._make_or_mend()
        try:
            self.timeouts()
        except OperationalError as error:
            raise Refusal(self._cannot_sign_in(error)) from None

    def timeouts(self) -> dict[str, str]:
        """As a session of the role has them. Raises OperationalError where it cannot sign in."""
        with closing(self.connect()) as api:
            return dict(zip(TIMEOUTS, row(api, SHOW), strict=True))

    def administrators_sql(self) -> str:
        """What does by hand what `migrate` does by itself.

        Raises Refusal where it would change a role of somebody else.
        """
        self._refuse_a_foreign_name()
        statements = [*self._login(self._encrypted()), *self._settings()]
        self.connection.ensure_connection()
        return "\n".join(f"{each.as_string(self.connection.connection)};" for each in statements)

    def _refuse_a_foreign_name(self) -> None:
        if self.is_owner:
            raise Refusal(
                f"The user of DATABASE_URL has the name that the role of the API would have, "
                f"{self.name}. Use another user, or set API_DATABASE_URL."
            )
        if self.is_there and not self.is_marked:
            raise Refusal(
                f"There is a role {self.name} that this project has not made, so it was left as it "
                "is. Rename it, or set API_DATABASE_URL to a role for the API."
            )

    def _make_or_mend(self) -> None:
        try:
            timeouts = self.timeouts()
        except OperationalError:
            # A server that lets nobody in says nothing about the role.
            with closing(self.connection.copy()) as another:
                another.ensure_connection()
            self._set_login()
        else:
            if timeouts != TIMEOUTS:
                self._run(self._settings())

    def _set_login(self) -> None:
        try:
            self._run([*self._login(self._encrypted()), *self._settings()])
        except Error as error:
            if PLAIN_TEXT_ONLY not in str(error):
                raise
        else:
            return
        self._run([*self._login(self.password), *self._settings()])

    def _run(self, statements: Iterable[sql.Composable]) -> None:
        try:
            run(self.connection, statements)
        except InsufficientPrivilege:
            raise Refusal(
                f"The user of DATABASE_URL may not make or change the role {self.name}. An "
                "administrator has to run the following once; then run migrate again.",
                self.administrators_sql(),
            ) from None

    def _encrypted(self) -> str:
        """As the server keeps it, so that no password stands in its log."""
        if not self.password:
            return ""
        self.connection.ensure_connection()
        link = self.connection.connection.pgconn
        return str(link.encrypt_password(self.password.encode(), self.name.encode()).decode())

    def _login(self, password: str) -> list[sql.Composed]:
        return [
            self._compose(
                "{verb} ROLE {role} LOGIN NOINHERIT PASSWORD {password}",
                verb=sql.SQL("ALTER" if self.is_there else "CREATE"),
                password=sql.Literal(password or None),
            ),
            self._compose("COMMENT ON ROLE {role} IS {mark}", mark=sql.Literal(self.mark)),
        ]

    def _settings(self) -> list[sql.Composed]:
        (everybody_connects,) = row(self.connection, EVERYBODY_CONNECTS)
        connect = self._compose("GRANT CONNECT ON DATABASE {database} TO {role}")
        timeouts = [
            self._compose(
                "ALTER ROLE {role} IN DATABASE {database} SET {name} TO {value}",
                name=sql.Identifier(name),
                value=sql.Literal(value),
            )
            for name, value in TIMEOUTS.items()
        ]
        return timeouts if everybody_connects else [connect, *timeouts]

    def _compose(self, text: LiteralString, **parts: sql.Composable) -> sql.Composed:
        names = {"role": sql.Identifier(self.name), "database": sql.Identifier(self.database)}
        return sql.SQL(text).format(**names, **parts)

    def _cannot_sign_in(self, error: OperationalError) -> str:
        if not self.password:
            return (
                f"The role {self.name} has no password, since DATABASE_URL has none to derive it "
                "from, and the server asks for one. Give it one, and set API_DATABASE_URL."
            )
        return (
            f"The role {self.name} is there, but cannot sign in: {first_line(error)}. A pooler "
            "in between has to know it too."
        )


def row(connection: BaseDatabaseWrapper, statement: str, **given: Any) -> Any:
    """The first row; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given or None)
        return cursor.fetchone()


def run(connection: BaseDatabaseWrapper, statements: Iterable[sql.Composable]) -> None:
    """In one transaction. Raises InsufficientPrivilege where the user may not do this."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except ProgrammingError as error:
        if isinstance(error.__cause__, InsufficientPrivilege):
            raise error.__cause__ from None
        raise


def first_line(error: Exception) -> str:
    """Of what PostgreSQL says; the rest may quote a statement."""
    return str(error).partition("\n")[0]
