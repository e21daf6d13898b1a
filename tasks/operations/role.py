"""The role of the API, which may call the operations and nothing else.

`migrate` creates the role if it is missing, without a superuser. If the user of DATABASE_URL may
not create roles, an administrator runs what `manage.py api_role --sql` prints. The admin and the
commands still use the user of DATABASE_URL. So PostgreSQL refuses an endpoint that forgets to name
the owner of the tasks, or that reads a table.

Our role is recognised by its comment, and no other role is ever altered: roles belong to the whole
server, and a role of that name may be somebody else's.

Row level security was measured too. It must set role and user in each transaction, and costs 15 to
25 % of a request, where this costs 5 %. It also has no effect on roles that bypass it, and the
owner of a database at Neon is one of them.
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
"""Settings of the role, so that they hold behind every pooler; values as SHOW prints them."""

COMMENT = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %(name)s"
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in TIMEOUTS)
EVERYBODY_CONNECTS = "SELECT has_database_privilege('public', current_database(), 'CONNECT')"

PLAIN_TEXT_ONLY = "plaintext passwords"
"""Part of the message with which Neon refuses an encrypted password, at COMMIT."""


class Refusal(Exception):
    """What `migrate` could not do, as a sentence. An administrator can run `sql` instead."""

    def __init__(self, sentence: str, sql: str = "") -> None:
        super().__init__(sentence)
        self.sql = sql


class Role:
    """The role that the API signs in as. `connection` is that of the owner of the tasks.

    is_derived: whether its name and password follow from DATABASE_URL, and `migrate` creates it.
    Otherwise API_DATABASE_URL names a role that somebody else manages.
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
        """A new connection of the role, to the same database as `connection`."""
        api = connections.create_connection("api")
        if api.settings_dict["ROLE_IS_DERIVED"]:
            api.settings_dict = {**api.settings_dict, "NAME": self.database}
        return api

    @property
    def is_owner(self) -> bool:
        """Whether API and admin share a role. Then PostgreSQL does not isolate users."""
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
        """Creates or repairs the role, and changes nothing that is as it should be.

        Raises Refusal, with SQL for an administrator if that helps.
        """
        if not self.is_derived:
            if not self.is_there:
                raise Refusal(f"There is no role {self.name}, which API_DATABASE_URL names.")
            return
        self._refuse_a_foreign_name()
        self._create_or_repair()
        try:
            self.timeouts()
        except OperationalError as error:
            raise Refusal(self._cannot_sign_in(error)) from None

    def timeouts(self) -> dict[str, str]:
        """The values in a session of the role. Raises OperationalError if it cannot sign in."""
        with closing(self.connect()) as api:
            return dict(zip(TIMEOUTS, row(api, SHOW), strict=True))

    def administrators_sql(self) -> str:
        """The statements that `migrate` would run.

        Raises Refusal if they would change somebody else's role.
        """
        self._refuse_a_foreign_name()
        statements = [*self._login(self._encrypted()), *self._settings()]
        self.connection.ensure_connection()
        return "\n".join(
            f"{statement.as_string(self.connection.connection)};" for statement in statements
        )

    def _refuse_a_foreign_name(self) -> None:
        if self.is_owner:
            raise Refusal(
                f"The user of DATABASE_URL has the name that the role of the API would have: "
                f"{self.name}. Use another user, or set API_DATABASE_URL."
            )
        if self.is_there and not self.is_marked:
            raise Refusal(
                f"There is a role {self.name} that this project has not made, so it was not "
                "changed. Rename it, or set API_DATABASE_URL to a role for the API."
            )

    def _create_or_repair(self) -> None:
        try:
            timeouts = self.timeouts()
        except OperationalError:
            # If the server lets nobody in, this fails too, and the role is not the reason.
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
                f"The user of DATABASE_URL may not create or change the role {self.name}. An "
                "administrator must run the following once. Then run migrate again.",
                self.administrators_sql(),
            ) from None

    def _encrypted(self) -> str:
        """As the server stores it, so that its log contains no password."""
        if not self.password:
            return ""
        self.connection.ensure_connection()
        libpq = self.connection.connection.pgconn
        return str(libpq.encrypt_password(self.password.encode(), self.name.encode()).decode())

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
                "from, but the server requires one. Set a password, and set API_DATABASE_URL."
            )
        return (
            f"The role {self.name} exists, but cannot sign in: {first_line(error)}. If there is a "
            "pooler in between, it must know the role too."
        )


def row(connection: BaseDatabaseWrapper, statement: str, **params: Any) -> Any:
    """The first row, or None."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return cursor.fetchone()


def run(connection: BaseDatabaseWrapper, statements: Iterable[sql.Composable]) -> None:
    """In one transaction. Raises InsufficientPrivilege if the user may not do this."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except ProgrammingError as error:
        if isinstance(error.__cause__, InsufficientPrivilege):
            raise error.__cause__ from None
        raise


def first_line(error: Exception) -> str:
    """The first line of PostgreSQL's message. The rest may quote a statement."""
    return str(error).partition("\n")[0]
