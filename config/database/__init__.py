"""The database settings: DATABASE_URL, or the embedded PostgreSQL of development."""

import hmac
from pathlib import Path
from typing import Any

import dj_database_url

EMBEDDED = "embedded"
ROLE_SUFFIX = "_tasks_api"


def configure(url: str, data: Path) -> dict[str, Any]:
    """Django's settings for a PostgreSQL URL, or for the word `embedded` (with its data in `data`).

    Raises ValueError for anything else; the message continues a sentence that begins with the name
    of the variable.
    """
    if url == EMBEDDED:
        config: dict[str, Any] = {"NAME": "postgres", "USER": "postgres", "EMBEDDED": data}
    else:
        if not url.startswith(("postgres://", "postgresql://")):
            raise ValueError("must be a postgresql:// URL, or the word embedded")
        try:
            config = dict(dj_database_url.parse(url))
        except ValueError:
            # The library's message may quote the URL, including its password.
            raise ValueError("is not a valid URL: are its parts percent-encoded?") from None
        if not config["NAME"]:
            raise ValueError("names no database")
    options = config.get("OPTIONS", {})
    # Some libraries need this parameter; libpq refuses it, and nothing here depends on it.
    options.pop("pgbouncer", None)
    return config | {
        "ENGINE": "config.database",
        # A cursor must not stay open behind a pooler in transaction mode, and there may be one.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {
            "application_name": "tasks",
            "connect_timeout": 3,
            "tcp_user_timeout": 5000,
            "keepalives_idle": 30,
            "server_side_binding": True,
        }
        | options,
    }


def configure_api(owner: dict[str, Any], url: str, data: Path) -> dict[str, Any]:
    """The same database for the API, which signs in as a separate role.

    `url` (API_DATABASE_URL) names that role. Without it, the role's name is derived from the name
    of the database when a connection opens, and its password from the owner's password, which all
    processes know anyway and which cannot be computed from it. `manage.py migrate` creates the
    role.
    """
    if url:
        config = configure(url, data) | {"ROLE_IS_DERIVED": False}
    else:
        secret = owner.get("PASSWORD") or ""
        password = hmac.digest(secret.encode(), b"better-auth-tasks: the API", "sha256").hex()
        config = owner | {"ROLE_IS_DERIVED": True, "PASSWORD": password if secret else ""}
    return config | {"TEST": {"MIRROR": "default"}}


def configure_replica(url: str, *, is_derived: bool) -> dict[str, Any]:
    """A replica of the database, for the API.

    is_derived: whether the role of the API is derived from the URL, as from DATABASE_URL. Otherwise
    the URL names it, like API_DATABASE_URL.
    """
    if url == EMBEDDED:
        raise ValueError("must be a postgresql:// URL")
    return configure_api(configure(url, Path()), "" if is_derived else url, Path())


def configure_better_auth(url: str) -> dict[str, Any]:
    """The database of Better Auth, which is only read. Tests do not make one of their own."""
    if url == EMBEDDED:
        raise ValueError("must be a postgresql:// URL")
    return configure(url, Path()) | {"TEST": {"MIRROR": "default"}}


def derived_role(database: str) -> str:
    """The API's role for a database. PostgreSQL limits names to 63 bytes."""
    return database.encode()[: 63 - len(ROLE_SUFFIX)].decode(errors="ignore") + ROLE_SUFFIX


def pooled(config: dict[str, Any], size: int) -> dict[str, Any]:
    """The same settings with Django's connection pool, for the threads of a server to share."""
    pool = {"min_size": 0, "max_size": size, "timeout": 3.0, "max_waiting": 32, "max_idle": 60.0}
    # Each connection is checked before it is used again, because it may have ended while idle.
    return config | {
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": config["OPTIONS"] | {"pool": pool | {"num_workers": 1}},
    }
