"""Where the data is: DATABASE_URL, or the embedded PostgreSQL of development."""

import hmac
from pathlib import Path
from typing import Any

import dj_database_url

EMBEDDED = "embedded"
ROLE_SUFFIX = "_tasks_api"


def configure(url: str, data: Path) -> dict[str, Any]:
    """Django's settings for a PostgreSQL URL, or for the word `embedded` (its data in `data`).

    Raises ValueError for anything that is no PostgreSQL URL.
    """
    if url == EMBEDDED:
        config: dict[str, Any] = {"NAME": "postgres", "USER": "postgres", "EMBEDDED": data}
    else:
        if not url.startswith(("postgres://", "postgresql://")):
            raise ValueError("must be a postgresql:// URL, or the word embedded")
        try:
            config = dict(dj_database_url.parse(url))
        except ValueError:
            # The words of libraries may quote the URL, and with it its password.
            raise ValueError("is no valid URL: are its parts percent-encoded?") from None
        if not config["NAME"]:
            raise ValueError("names no database")
    options = config.get("OPTIONS", {})
    options.pop(
        "pgbouncer", None
    )  # that other libraries want to be told; here nothing depends on it
    return config | {
        "ENGINE": "config.database",
        # Behind a pooler in transaction mode, which nobody may have told of, no cursor may stay.
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


def of_the_api(owner: dict[str, Any], url: str, data: Path) -> dict[str, Any]:
    """The same database for the API, which signs in as a role of its own.

    That is the role of `url` (API_DATABASE_URL). Without one its name follows from the database,
    when a connection is made, and its password from the owner's: all processes share that anyway,
    and nobody finds the owner's password from it. `manage.py migrate` makes this role.
    """
    if url:
        config = configure(url, data) | {"ROLE_IS_DERIVED": False}
    else:
        secret = owner.get("PASSWORD") or ""
        password = hmac.digest(secret.encode(), b"better-auth-tasks: the API", "sha256").hex()
        config = owner | {"ROLE_IS_DERIVED": True, "PASSWORD": password if secret else ""}
    return config | {"TEST": {"MIRROR": "default"}}


def derived_role(database: str) -> str:
    """A name of PostgreSQL has at most 63 bytes."""
    return database.encode()[: 63 - len(ROLE_SUFFIX)].decode(errors="ignore") + ROLE_SUFFIX


def pooled(config: dict[str, Any], size: int) -> dict[str, Any]:
    """The same for a server, whose threads share connections: Django's own option does it."""
    pool = {"min_size": 0, "max_size": size, "timeout": 3.0, "max_waiting": 32, "max_idle": 60.0}
    # Each connection is looked at before it is used again: one may have ended while it was idle.
    return config | {
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": config["OPTIONS"] | {"pool": pool | {"num_workers": 1}},
    }
