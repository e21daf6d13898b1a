"""The WSGI application: Django, with the styles and scripts of its pages in front of it."""

import io
import os
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries
from django.template.utils import get_app_template_dirs
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

from config.database.patience import DUE, PATIENCE
from config.turns import Turn, Turns

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

MOST_DISCARDED = 16 * 1024 * 1024
CHUNK = 64 * 1024
LIVENESS = "/health"

django = get_wsgi_application()
turns = Turns()
static = WhiteNoise(django, max_age=3600)
for directory in get_app_template_dirs("static"):
    static.add_files(directory, prefix=settings.STATIC_URL)

# What Django tidies up around each request is not used here, and costs a tenth of a read. Whether a
# connection still stands is asked with each statement: see `config/database/base.py`.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    # Errors are Django's to answer, in JSON: only files that are there are served here.
    if environ["PATH_INFO"].startswith(settings.STATIC_URL) and environ["REQUEST_METHOD"] in (
        "GET",
        "HEAD",
    ):
        return static(environ, start_response)  # type: ignore[no-any-return]
    if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
        receive(environ)
    # All text is UTF-8: of another charset Django would read the query too, by any codec of Python.
    if "charset" in (kind := environ.get("CONTENT_TYPE", "").lower()):
        environ["CONTENT_TYPE"] = kind.partition(";")[0]
    received = perf_counter()
    turn = None if environ["PATH_INFO"] == LIVENESS else turns.take()
    environ[DUE] = received + PATIENCE if turn else received
    try:
        response: Any = django(environ, start_response)
        if response.streaming:
            body, turn = InTurn(response, turn), None
            return body
        # As a list it has a length, and goes out in one piece instead of chunks.
        content = response.content
        response.close()
        return [content]
    finally:
        if turn:
            turns.give(turn)


class InTurn:
    """A body that is made while it is sent: it may read from the database until its end."""

    def __init__(self, body: Any, turn: Turn | None) -> None:
        self.body, self.turn = body, turn

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        try:
            self.body.close()
        finally:
            if self.turn:
                turns.give(self.turn)


def receive(environ: dict[str, Any]) -> None:
    """Reads the body before anything is decided, also one that came in chunks.

    Django takes a body without a length for an empty one. A client that still sends when it is
    refused never sees the answer; so of a body that is too large the rest is read and discarded.
    A body that breaks off counts as none: its client is gone.
    """
    stream = environ["wsgi.input"]
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(most + 1)
    if len(body) < min(int(environ.get("CONTENT_LENGTH") or 0), most):
        body = b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    left = MOST_DISCARDED if len(body) > most else 0
    while left > 0 and (chunk := stream.read(CHUNK)):
        left -= len(chunk)
