"""How the operations get into the database, through upgrades and rollbacks.

`migrate` runs `operations.sql` unless the comment of the schema says that this was done already. So
the functions are those of the release that ran `migrate` last, even if it is an older one.
Functions and grants appear in one transaction. Nothing is dropped, so open connections still work.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import errors, sql

from tasks.operations.earlier_release import remove_earlier_functions
from tasks.operations.role import Refusal, Role, first_line, row, run

REVISION = 5
"""The revision of `operations.sql`, by which a server notices that the functions are older."""

SQL = (Path(__file__).parent / "operations.sql").read_text(encoding="utf-8")
DIGEST = sha256(SQL.encode()).hexdigest()[:16]
MARK = "better-auth-tasks: operations, revision "
COMMENT = f"{MARK}{REVISION}, digest {DIGEST}"

OPERATIONS = (
    "tasks_api.list_tasks(text, jsonb)",
    "tasks_api.create_task(text, jsonb)",
    "tasks_api.read_task(text, bigint)",
    "tasks_api.change_task(text, bigint, jsonb)",
    "tasks_api.replace_task(text, bigint, jsonb)",
    "tasks_api.trash_task(text, bigint)",
    "tasks_api.delete_task(text, bigint)",
    "tasks_api.delete_task_permanently(text, bigint)",
    "tasks_api.restore_task(text, bigint, jsonb)",
    "tasks_api.write_task_if(text, bigint, text, jsonb, jsonb)",
    "tasks_api.create_task_once(text, jsonb, text, text)",
    "tasks_api.sync_tasks(text, jsonb)",
)
"""What the API may call. The other functions are helpers of these."""

SCHEMA = """
    SELECT obj_description(oid, 'pg_namespace'), pg_has_role(nspowner, 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_namespace.oid
    )
    FROM pg_namespace WHERE nspname = 'tasks_api'
"""
STATE = """
    SELECT obj_description(schema, 'pg_namespace'), has_schema_privilege(%(role)s, schema, 'USAGE'),
        array_agg(name) FILTER (WHERE oid IS NULL),
        array_agg(name) FILTER (WHERE NOT has_function_privilege(%(role)s, oid, 'EXECUTE')),
        array_agg(name) FILTER (WHERE has_function_privilege('public', oid, 'EXECUTE'))
    FROM to_regnamespace('tasks_api') AS schema,
        unnest(%(names)s::text[]) AS name, to_regprocedure(name) AS oid
    WHERE schema IS NOT NULL GROUP BY schema
"""


@dataclass(frozen=True)
class State:
    """The operations as they are in a database. Functions are named with their arguments."""

    comment: str
    is_usable: bool
    """Whether the role may use the schema."""
    missing: list[str]
    forbidden: list[str]
    """What the role may not call."""
    public: list[str]
    """What every role may call."""

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper, role: str) -> "State | None":
        """None if there is no schema."""
        state = row(connection, STATE, role=role, names=list(OPERATIONS))
        return state and cls(state[0] or "", state[1], *(names or [] for names in state[2:]))

    @property
    def revision(self) -> int:
        """0 if the comment is not ours."""
        number = self.comment.removeprefix(MARK).partition(",")[0]
        return int(number) if number.isdecimal() else 0

    @property
    def is_complete(self) -> bool:
        wrong = self.missing or self.forbidden or self.public
        return self.comment == COMMENT and self.is_usable and not wrong


def is_outdated(connection: BaseDatabaseWrapper) -> bool:
    """Whether the functions are older than this release needs. It works with newer ones too."""
    (owner,) = row(connection, "SELECT current_user")
    state = State.of(connection, owner)
    return state is None or state.revision < REVISION or bool(state.missing)


def install(connection: BaseDatabaseWrapper) -> list[str]:
    """Creates the role, the functions and the grants, and returns what was done, as sentences.

    Raises Refusal if something cannot be done, after everything else is done.
    """
    role, actions = Role(connection), list[str]()
    try:
        role.ensure()
    finally:
        if _install(connection, role):
            actions.append(f"The operations of the API were installed, revision {REVISION}.")
        actions += remove_earlier_functions(connection)
    return actions


def _install(connection: BaseDatabaseWrapper, role: Role) -> bool:
    """Returns whether there was something to do."""
    is_there = _is_there(connection)
    grantee = role.name if role.takes_grants else role.owner
    state = State.of(connection, grantee)
    if state and state.is_complete:
        return False
    operations, name = ", ".join(OPERATIONS), sql.Identifier(grantee)
    statements = [
        sql.SQL("SET LOCAL lock_timeout = '5s'"),
        sql.SQL("SET LOCAL search_path = pg_catalog, pg_temp"),
        *([] if is_there else [sql.SQL("CREATE SCHEMA tasks_api")]),
        sql.SQL(SQL),
        sql.SQL(f"REVOKE ALL ON FUNCTION {operations} FROM PUBLIC"),
        sql.SQL(f"GRANT EXECUTE ON FUNCTION {operations} TO {{}}").format(name),
        sql.SQL("GRANT USAGE ON SCHEMA tasks_api TO {}").format(name),
        sql.SQL("COMMENT ON SCHEMA tasks_api IS {}").format(sql.Literal(COMMENT)),
    ]
    try:
        run(connection, statements)
    except errors.InsufficientPrivilege as error:
        raise _missing_right(role, error, is_there=is_there) from None
    return True


def _missing_right(role: Role, error: Exception, *, is_there: bool) -> Refusal:
    if is_there:
        return Refusal(
            f"The user of DATABASE_URL, {role.owner}, may not change the schema tasks_api: "
            f"{first_line(error)}. Use the user that created it, or let an administrator make "
            f"{role.owner} the owner of the schema and of all functions in it."
        )
    made = "CREATE SCHEMA tasks_api AUTHORIZATION {};"
    return Refusal(
        "The user of DATABASE_URL may not create a schema in this database. An administrator must "
        "run the following once. Then run migrate again.",
        sql.SQL(made).format(sql.Identifier(role.owner)).as_string(None),
    )


def _is_there(connection: BaseDatabaseWrapper) -> bool:
    """Whether there is a schema to install into: with our comment, or ours and empty.

    Raises Refusal for any other schema of that name.
    """
    schema = row(connection, SCHEMA)
    if schema and not (schema[0] or "").startswith(MARK) and not schema[1]:
        raise Refusal(
            "There is a schema tasks_api that this project has not made, so nothing in it was "
            "changed. Rename it. If it belongs to this project and has lost its comment, run: "
            f"COMMENT ON SCHEMA tasks_api IS '{MARK}0'"
        )
    return schema is not None
