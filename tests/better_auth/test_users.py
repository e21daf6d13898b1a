"""The table of users that the real Better Auth makes, in this database and in another one."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings

from tasks import people
from tasks.models import Task
from tasks.people import source
from tests.better_auth.issuer import HERE, SECRET
from tests.better_auth.users import TABLE
from tests.cluster import manage
from tests.server import Server, database_url, free_port

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [
    {"name": "Ada Lovelace", "email": "Ada@Example.com"},
    {"name": "Zoë Ünal", "email": "zoe@example.com", "ban": True},
]
TABLES = '"user", session, account, verification'


def better_auth(url: str, schema: str = "public", generate_id: Any = None) -> dict[str, Any]:
    """Better Auth migrates this database, and two people sign up."""
    asked = {"url": url, "schema": schema, "generateId": generate_id, "people": PEOPLE}
    done = subprocess.run(
        ["node", "users.mjs", json.dumps(asked)],
        cwd=HERE,
        env={"PATH": os.environ["PATH"]},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(autouse=True)
def _clean(packages: None, transactional_db: None) -> Iterator[None]:
    source.forget()
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLES} CASCADE")
        cursor.execute("DROP SCHEMA IF EXISTS neon_auth CASCADE")


@pytest.fixture
def other_database() -> Iterator[str]:
    """The URL of an empty database beside that of the tests."""
    name = f"{connection.settings_dict['NAME']}_better_auth"
    with psycopg.connect(database_url(), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}"')
        yield urlsplit(database_url())._replace(path=f"/{name}").geturl()
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_other_tests_use_the_table_of_this_version() -> None:
    made = better_auth(database_url())["sql"]

    (statement,) = re.findall(r'create table "user" .*;', made)
    assert f"{statement}\n" == TABLE


@pytest.mark.parametrize("schema", ["public", "neon_auth"])
@pytest.mark.parametrize("generate_id", [None, "uuid", "serial"])
def test_its_users_are_found(schema: str, generate_id: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    ada, zoe = better_auth(database_url(), schema, generate_id)["ids"]

    assert str(source.table()) == f"{schema}.user"
    found = people.by_ids([str(ada), str(zoe), "nobody"])
    assert {key: person.email for key, person in found.items()} == {
        str(ada): "ada@example.com",
        str(zoe): "zoe@example.com",
    }
    assert [person.is_banned for person in found.values()] == [False, True]
    assert [person.is_verified for person in found.values()] == [False, False]
    assert all(person.since for person in found.values())
    assert people.by_email("ADA@example.com") == [found[str(ada)]]
    assert people.search("ün") == [found[str(zoe)]]
    assert people.unknown([str(ada), "nobody"]) == {"nobody"}
    assert people.number() == 2


def page(server: Server, path: str, **query: str) -> str:
    """A page of the admin, as a member of staff who is signed in."""
    user, _ = User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    with override_settings(SECRET_KEY=server.environment["SECRET_KEY"]):  # signs the session
        client.force_login(user)
    answer = server.request(
        "GET",
        f"/admin/tasks/task/{path}?{urlencode(query)}",
        headers={
            "Cookie": f"__Host-session={client.session.session_key}",
            "X-Forwarded-Proto": "https",
        },
    )
    assert answer.status == 200, answer.body
    return answer.body.decode()


def test_its_users_may_be_in_another_database(
    other_database: str, serve: Callable[..., Server]
) -> None:
    ada, zoe = better_auth(other_database)["ids"]
    for owner in (ada, zoe, "gone"):
        Task.objects.create(user_id=owner, title="Buy milk")
    server = serve(BETTER_AUTH_SECRET=SECRET, BETTER_AUTH_DATABASE_URL=other_database)

    assert "<bdi>Ada Lovelace</bdi>" in page(server, "")
    assert page(server, "", q="ada@example.com").count('class="action-checkbox"') == 1
    assert '<strong class="banned">' in page(server, "owner/", user_id=zoe)
    gone = page(server, "", owner="gone")
    assert gone.count('class="action-checkbox"') == 1
    assert "unknown to Better Auth" in gone
    log = server.log.read_text()
    assert "Lovelace" not in log
    assert "example.com" not in log

    run = partial(manage, database_url(), BETTER_AUTH_DATABASE_URL=other_database)
    done = run("purge_tasks", "--orphans", "--allow-many=1", "--yes")
    assert (done.returncode, done.stdout) == (0, "Moved to the trash: 1 task.\n")
    erased = run("erase_user", "--user=Zoe@example.com", "--yes")
    assert json.loads(erased.stdout)["user"] == zoe
    assert erased.stderr == f"User: Zoë Ünal <zoe@example.com>, id {zoe}\n"
    doctor = run("doctor").stdout
    assert "2 users in public.user of BETTER_AUTH_DATABASE_URL, read-only" in doctor

    refused = run("migrate", "--database=better_auth")
    assert refused.returncode == 1
    assert "Only the database of DATABASE_URL can be migrated." in refused.stderr
    with psycopg.connect(other_database) as other:
        tables = other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {name for (name,) in tables} == {"user", "session", "account", "verification"}


def test_a_database_of_users_that_cannot_be_reached_does_not_break_the_admin(
    serve: Callable[..., Server],
) -> None:
    Task.objects.create(user_id="ada", title="Buy milk")
    url = f"postgresql://ada:a-secret@127.0.0.1:{free_port()}/users"
    server = serve(BETTER_AUTH_SECRET=SECRET, BETTER_AUTH_DATABASE_URL=url)

    for query in ({}, {"q": "ada"}):
        html = page(server, "", **query)
        assert html.count('class="action-checkbox"') == 1
        assert "The database of BETTER_AUTH_DATABASE_URL cannot be reached" in html
        assert "a-secret" not in html
    run = partial(manage, database_url(), BETTER_AUTH_DATABASE_URL=url)
    purge = run("purge_tasks", "--orphans", "--allow-many=9", "--yes")
    assert (purge.returncode, purge.stdout) == (1, "")
    doctor = run("doctor", "--json").stdout
    (line,) = (check for check in json.loads(doctor)["checks"] if check["name"] == "users")
    assert line["status"] == "wrong"
    assert line["advice"].startswith("Set BETTER_AUTH_DATABASE_URL to the database of Better Auth.")
    assert "a-secret" not in doctor
    assert Task.objects.alive().count() == 1
