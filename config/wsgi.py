"""The WSGI application: Django, with the styles and scripts of its pages in front of it."""

import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connections, reset_queries
from django.template.utils import get_app_template_dirs
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

from config.server import process
from config.server.account import account
from config.server.bodies import Bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()
static = WhiteNoise(django, max_age=3600)
for directory in get_app_template_dirs("static"):
    static.add_files(directory, prefix=settings.STATIC_URL)

# What Django tidies up around each request costs the API a tenth of a read, which has no connection
# of Django's to close. `answer` closes those of the other pages.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    account.begin()
    if process.is_draining():
        start_response = process.closing(start_response)
    # Errors are Django's to answer, in JSON: only files that are there are served here.
    if environ["PATH_INFO"].startswith(settings.STATIC_URL) and environ["REQUEST_METHOD"] in (
        "GET",
        "HEAD",
    ):
        return static(environ, start_response)  # type: ignore[no-any-return]
    # All text is UTF-8: of another charset Django would read the query too, by any codec of Python.
    if "charset" in (kind := environ.get("CONTENT_TYPE", "").lower()):
        environ["CONTENT_TYPE"] = kind.partition(";")[0]
    has_body = environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
    if has_body and not bodies.receive(environ):
        start_response("408 Request Timeout", [])
        return []
    return answer(environ, start_response)


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    try:
        response: Any = django(environ, start_response)
    finally:
        if not environ["PATH_INFO"].startswith("/api/"):
            connections.close_all()
    if response.streaming:
        return response  # type: ignore[no-any-return]
    # As a list it has a length, and goes out in one piece instead of chunks.
    content = response.content
    response.close()
    return [content]


bodies = Bodies(answer)
