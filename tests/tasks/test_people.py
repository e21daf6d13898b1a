"""Better Auth's table of users: how it is found, what is read, and what is left alone."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from tasks import people
from tasks.models import Task
from tasks.people import NoPeople, source
from tests.better_auth.users import TABLE, BetterAuthUsers
from tests.people import Sends

pytestmark = pytest.mark.django_db

ADA = "11111111-1111-4111-8111-11111111111a"
BOB = "22222222-2222-4222-8222-22222222222b"
SNAKE_CASE = (
    TABLE.replace("emailVerified", "email_verified")
    .replace("createdAt", "created_at")
    .replace("banExpires", "ban_expires")
    # Drizzle's schemas have times without a zone, in UTC.
    .replace("timestamptz", "timestamp")
)
OF_NEON = f"CREATE SCHEMA neon_auth; {TABLE}".replace('"user"', 'neon_auth."user"')
RENAMED = """
    CREATE SCHEMA "My App";
    CREATE TABLE "My App"."100% ""p""eople" (
        "Key" uuid PRIMARY KEY, "e%mail" varchar(80), full_name text, joined date
    )
"""
USERS_SYNC = """
    CREATE SCHEMA neon_auth;
    CREATE TABLE neon_auth.users_sync (
        raw_json jsonb NOT NULL DEFAULT '{}', id text PRIMARY KEY, name text, email text,
        created_at timestamptz, updated_at timestamptz, deleted_at timestamptz
    )
"""


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)


def names(text: str) -> list[str]:
    return [person.name for person in people.search(text)]


@pytest.mark.parametrize(
    ("id_type", "ada", "bob", "nobody"),
    [
        ("text", "ada", "Bob", ["ADA", "bob", "", "\0", "' OR true --"]),
        ("varchar(36)", "ada", "bob", ["ADA"]),
        ("char(8)", "ada12345", "bob12345", ["ada"]),
        ("uuid", ADA, BOB, [ADA[:-1], f"{{{ADA}}}", "ada", "\0", "é"]),
        ("integer", "7", "8", ["9", "ada", "-7", "7.0", "\u0667", "9" * 30, f"{2**31}"]),
        ("bigint", f"{2**53}", "8", ["9" * 18]),
    ],
)
def test_ids_of_any_type_name_people(
    better_auth: BetterAuthUsers, id_type: str, ada: str, bob: str, nobody: list[str]
) -> None:
    better_auth.again(id_type)
    better_auth.add(ada, "Ada Lovelace", "ada@example.com")
    better_auth.add(bob, "Bob")

    found = people.by_ids([bob, *nobody, ada])

    assert {key: person.name for key, person in found.items()} == {ada: "Ada Lovelace", bob: "Bob"}
    assert people.by_email("ada@example.com")[0].id == ada
    assert people.unknown([ada, *nobody]) == set(nobody)
    assert people.number() == 2


def test_a_person_has_all_that_the_table_says(better_auth: BetterAuthUsers) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    better_auth.add("ada", "Ada Lovelace", "ada@example.com", verified=False, banned=True)
    better_auth.add("bob", "", "b.o@example.com", banned=True, ban_expires=now + hour)
    better_auth.add("eve", " _ ", "", banned=True, ban_expires=now - hour)

    ada, bob, eve = (people.by_ids(["ada", "bob", "eve"])[key] for key in ("ada", "bob", "eve"))

    assert (ada.since, ada.is_verified) == (datetime(2026, 1, 31, 12, tzinfo=UTC), False)
    assert [person.is_banned for person in (ada, bob, eve)] == [True, True, False]
    assert (ada.ban_expires, bob.ban_expires) == (None, now + hour)
    assert [person.label for person in (ada, bob, eve)] == ["Ada Lovelace", "b.o@example.com", "_"]
    assert [person.initials for person in (ada, bob, eve)] == ["AL", "BC", "?"]


# Search


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ada@example.com", ["Ada Lovelace"]),
        ("ADA@Example.com", ["Ada Lovelace"]),
        ("ada@", ["Ada Lovelace", "Adam"]),
        ("ada", ["Ada Lovelace", "Adam"]),
        ("love", ["Ada Lovelace"]),
        ("  ada   LOVELACE ", ["Ada Lovelace"]),
        ("ovelace", []),
        ("example", []),
        ("%", []),
        ("_", []),
        ("\\", []),
        ("100%", ["100%_\\"]),
        ("' OR true --", []),
        ("\0", []),
        ("", []),
        ("@", []),
    ],
)
def test_a_search_finds_addresses_and_names_by_their_beginning(
    better_auth: BetterAuthUsers, text: str, found: list[str]
) -> None:
    better_auth.add("1", "Ada Lovelace", "ada@example.com")
    better_auth.add("2", "Adam", "ada@example.com.au")
    better_auth.add("3", "ZOË ÜNAL", "z@example.com")
    better_auth.add("4", "100%_\\", "x@example.com")

    assert names(text) == found


def test_a_search_is_bounded(better_auth: BetterAuthUsers) -> None:
    for n in range(30):
        better_auth.add(str(n), f"Ada {n}")

    assert len(people.search("ada")) == people.MAX_FOUND + 1


def test_an_address_is_found_in_any_case(better_auth: BetterAuthUsers) -> None:
    better_auth.add("1", "Imported", "Ada@Example.com")
    better_auth.add("2", "Signed up", "bob@example.com")

    for text, name in (
        ("Ada@Example.com", "Imported"),
        ("ADA@example.com", "Imported"),
        ("Bob@EXAMPLE.com", "Signed up"),
    ):
        assert [person.name for person in people.by_email(text)] == [name]
    better_auth.add("3", "Again", "ada@example.com")
    assert [person.id for person in people.by_email("aDA@example.com")] == ["3"]
    assert people.by_email("b_b@example.com") == []


def test_ids_and_addresses_use_an_index(better_auth: BetterAuthUsers) -> None:
    for id_type, key in (("text", "'u' || n"), ("uuid", "md5(n::text)::uuid"), ("integer", "n")):
        better_auth.again(id_type)
        execute(
            'INSERT INTO "user" (id, name, email, "emailVerified") '
            f"SELECT {key}, 'n', n || '@example.com', true FROM generate_series(1, 5000) AS n"
        )
        execute('ANALYZE "user"')
        plans = []

        def explain(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
            if '"user"' in sql:
                with connection.connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN {sql}", params)
                    plans.append("\n".join(line for (line,) in cursor.fetchall()))  # noqa: B023
            return execute(sql, params, many, context)

        with connection.execute_wrapper(explain):
            people.by_ids(["u7", "7", str(UUID(int=7))])
            people.by_email("7@example.com")

        assert ["user_pkey" in plans[0], "user_email_key" in plans[1]] == [True, True], plans


def test_many_people_need_one_query(better_auth: BetterAuthUsers, sends: Sends) -> None:
    for n in range(50):
        better_auth.add(str(n))
    source.table()

    # The savepoint, its limits, the query, and two that end the savepoint.
    with sends(5):
        assert len(people.by_ids(list(map(str, range(100))))) == 50
    with sends(0):
        assert people.by_ids([]) == {}


# The table


def test_without_a_table_that_is_said_and_nobody_looks_again_soon(sends: Sends) -> None:
    source.forget()
    with pytest.raises(NoPeople, match="was not found in this database") as caught:
        people.by_ids(["ada"])
    assert caught.value.is_expected

    with sends(0), pytest.raises(NoPeople):
        people.search("ada")


def test_case_is_ignored_as_far_as_the_locale_of_the_database_does(
    better_auth: BetterAuthUsers,
) -> None:
    better_auth.add("1", "ZOË ÜNAL")
    with connection.cursor() as cursor:
        cursor.execute("SELECT lower('Ë') = 'ë'")
        (folds,) = cursor.fetchone()

    assert names("ZOË") == ["ZOË ÜNAL"]
    assert names("zoë") == (["ZOË ÜNAL"] if folds else [])


def test_a_table_that_appears_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    source.forget()
    with pytest.raises(NoPeople):
        source.table()
    users = BetterAuthUsers()
    users.add("ada", "Ada")
    monkeypatch.setattr(source, "monotonic", lambda: monotonic() + 61)

    assert names("ada") == ["Ada"]


def test_a_table_that_is_gone_is_said_and_the_transaction_continues(
    better_auth: BetterAuthUsers,
) -> None:
    better_auth.add("ada", "Ada")
    assert names("ada") == ["Ada"]
    better_auth.drop()

    with transaction.atomic():
        Task.objects.create(user_id="ada", title="Buy milk")
        with pytest.raises(NoPeople, match=r"cannot be read \(42P01\)"):
            people.by_ids(["ada"])
        assert Task.objects.count() == 1
    with pytest.raises(NoPeople, match="was not found"):
        people.by_ids(["ada"])


@pytest.mark.parametrize(
    ("sql", "place", "settings_of_it"),
    [
        (SNAKE_CASE, "public.user", {}),
        (OF_NEON, "neon_auth.user", {}),
        (USERS_SYNC, "neon_auth.users_sync", {}),
        (TABLE.replace('"user"', "users"), "public.users", {"BETTER_AUTH_USER_TABLE": "users"}),
        (
            RENAMED,
            'My App.100% "p"eople',
            {
                "BETTER_AUTH_USER_TABLE": 'My App.100% "p"eople',
                "BETTER_AUTH_USER_COLUMNS": {
                    "id": "Key",
                    "email": "e%mail",
                    "name": "full_name",
                    "createdAt": "joined",
                },
            },
        ),
    ],
)
def test_the_table_is_found_wherever_it_is(
    sql: str, place: str, settings_of_it: dict[str, Any], settings: Any
) -> None:
    for name, value in settings_of_it.items():
        setattr(settings, name, value)
    execute(sql)
    source.forget()
    table = source.table()
    columns = [table.columns[field] for field in ("id", "email", "name", "createdAt")]
    quoted = ", ".join('"{}"'.format(name.replace("%", "%%")) for name in columns)
    more = ", email_verified" if sql == SNAKE_CASE else ""
    more = ', "emailVerified"' if "emailVerified" in sql else more
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table.sql} ({quoted}{more}) "
            f"VALUES (%s, 'ada@example.com', 'Ada', '2026-01-31'{', true' if more else ''})",
            [ADA],
        )

    assert str(table) == place
    (person,) = people.search("ada@example.com")
    assert (person.id, person.name, person.email) == (ADA, "Ada", "ada@example.com")
    assert person.since == datetime(2026, 1, 31, tzinfo=UTC)
    assert not person.is_banned
    assert people.by_ids([ADA]) == {ADA: person}
    assert people.unknown([ADA, "x"]) == {"x"}


def test_users_whom_neon_has_marked_as_deleted_are_gone() -> None:
    execute(USERS_SYNC)
    execute(
        "INSERT INTO neon_auth.users_sync (id, name, email, deleted_at) VALUES "
        "('ada', 'Ada', 'ada@example.com', NULL), ('bob', 'Bob', 'bob@example.com', now())"
    )
    source.forget()

    assert list(people.by_ids(["ada", "bob"])) == ["ada"]
    assert people.by_email("bob@example.com") == []
    assert people.unknown(["ada", "bob"]) == {"bob"}
    assert people.number() == 1


def test_a_table_of_an_app_with_this_name_is_not_taken() -> None:
    execute('CREATE TABLE "user" (id integer PRIMARY KEY, name text, email text)')
    source.forget()

    with pytest.raises(NoPeople) as caught:
        source.table()
    assert caught.value.is_expected


@pytest.mark.parametrize(
    ("table", "columns", "sentence"),
    [
        ("people", {}, "BETTER_AUTH_USER_TABLE names public.people. The database has no such"),
        ("auth.user", {}, "BETTER_AUTH_USER_TABLE names auth.user. The database has no such"),
        ("user", {"email": "mail"}, "public.user has no column for email that this service"),
        ("user", {"email": "emailVerified"}, "public.user has no column for email that this"),
        ("user", {"id": "createdAt"}, "public.user has no column for id that this service"),
    ],
)
def test_a_wrong_setting_is_said(
    better_auth: BetterAuthUsers,
    settings: Any,
    table: str,
    columns: dict[str, str],
    sentence: str,
) -> None:
    settings.BETTER_AUTH_USER_TABLE = table
    settings.BETTER_AUTH_USER_COLUMNS = columns
    source.forget()

    with pytest.raises(NoPeople) as caught:
        source.table()
    assert str(caught.value).startswith(sentence)
    assert not caught.value.is_expected


def test_a_table_with_hidden_rows_is_not_used(better_auth: BetterAuthUsers) -> None:
    better_auth.execute('ALTER TABLE "user" ENABLE ROW LEVEL SECURITY')
    better_auth.execute("CREATE ROLE not_the_owner")
    better_auth.execute('GRANT SELECT ON "user" TO not_the_owner')
    better_auth.execute("SET LOCAL ROLE not_the_owner")
    with pytest.raises(NoPeople, match=r"row-level security of public\.user may hide users"):
        source.table()
    better_auth.execute("RESET ROLE")


def test_a_table_that_may_not_be_read_is_not_found(better_auth: BetterAuthUsers) -> None:
    better_auth.execute("CREATE ROLE stranger")
    better_auth.execute("SET LOCAL ROLE stranger")
    with pytest.raises(NoPeople, match="was not found"):
        source.table()
    better_auth.execute("RESET ROLE")


# It is only read


def test_nothing_can_be_written_and_the_page_gets_its_settings_back(
    better_auth: BetterAuthUsers,
) -> None:
    better_auth.add("ada", "Ada")
    execute("SET LOCAL statement_timeout = '20s'")

    with (
        pytest.raises(NoPeople, match=r"cannot be read \(25006\)"),
        source.reading() as cursor,
    ):
        cursor.execute('DELETE FROM "user"')

    assert names("ada") == ["Ada"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == ("20s",)
    Task.objects.create(user_id="ada", title="Buy milk")


def test_a_slow_statement_ends_in_time(better_auth: BetterAuthUsers) -> None:
    before = datetime.now(UTC)
    with pytest.raises(NoPeople, match="could not be read in time"):
        source.rows("SELECT pg_sleep(10)", [], timeout=0.1)
    assert datetime.now(UTC) - before < timedelta(seconds=5)


def test_a_message_never_quotes_a_user(better_auth: BetterAuthUsers) -> None:
    with pytest.raises(NoPeople) as caught:
        source.rows("SELECT 'ada@example.com'::int", [])
    assert "ada" not in str(caught.value)
    assert caught.value.__cause__ is None
