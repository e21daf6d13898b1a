"""The header `Bookmark` in the answers to writes, if there is a replica.

A client sends it back with its reads, which the replica may then answer. Azure Cosmos DB
(`x-ms-session-token`), HashiCorp Vault (`X-Vault-Index`) and Cloudflare D1 (`x-d1-bookmark`) do the
same.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from config.server.replica import written

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def with_bookmarks(application: Application) -> Application:
    """Also in errors: a repeated DELETE is a 404, and its task is deleted nonetheless."""
    if "replica" not in settings.DATABASES:
        return application

    def bookmarked(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if bookmark := written.bookmark:
                written.bookmark = None
                headers += (("Bookmark", bookmark),)
            return start_response(status, headers, *exc_info)

        return application(environ, start)

    return bookmarked
