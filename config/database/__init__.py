"""Where the data is: DATABASE_URL, or the embedded PostgreSQL of development."""

import hmac
from pathlib import Path
from typing import Any

import dj_database_url

EMBEDDED = "embedded"
POOLER_PORT = 6432


def configure(url: str, data: Path) -> dict[str, Any]:
    """Django's settings for a PostgreSQL URL, or for the word `embedded` (its data in `data`).

    Connections persist, one per turn (`config/turns.py`). That one still stands is looked up on its
    socket at each statement (`base.py`). Raises ValueError for anything that is no PostgreSQL URL.
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
    pooled = is_pooled(config)
    options.pop("pgbouncer", None)
    return config | {
        "ENGINE": "config.database",
        "CONN_MAX_AGE": None,
        # Behind a pooler in transaction mode neither cursors nor prepared statements may stay.
        "DISABLE_SERVER_SIDE_CURSORS": pooled,
        "OPTIONS": {
            "application_name": "tasks",
            "connect_timeout": 3,
            "tcp_user_timeout": 5000,
            "keepalives_idle": 30,
            "server_side_binding": True,
        }
        | options,
    }


def of_the_api(config: dict[str, Any], secret: str) -> dict[str, Any]:
    """The same database for the API, which has a role of its own: see `tasks/isolation.py`.

    `manage.py migrate` makes the role, with this password, which is derived from the secret.
    """
    password = hmac.digest(secret.encode(), b"the password of the API's role", "sha256").hex()
    return config | {"PASSWORD": password, "TEST": {"MIRROR": "default"}}


def is_pooled(config: dict[str, Any]) -> bool:
    """Whether PgBouncer stands between: Neon's `-pooler` hosts, its port, or `?pgbouncer=true`.

    The last is no option of PostgreSQL, so `configure` takes it away: what it made of it stays.
    """
    return (
        "-pooler." in config.get("HOST", "")
        or config.get("PORT") == POOLER_PORT
        or config.get("OPTIONS", {}).get("pgbouncer") is True
        or config.get("DISABLE_SERVER_SIDE_CURSORS") is True
    )
