"""The WSGI application: Django, behind the static files of its pages."""

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
from config.server.bodies import Bodies
from config.server.stats import stats

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

API_URL, STATIC_URL = settings.API_URL, settings.STATIC_URL

django = get_wsgi_application()
static = WhiteNoise(django, max_age=3600)
for directory in get_app_template_dirs("static"):
    static.add_files(directory, prefix=STATIC_URL)

# Django's cleanup around each request takes a tenth of the time of a read, although the API uses no
# connection of Django's. `answer` closes the connections of the other pages.
request_started.disconnect(reset_queries)
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    stats.begin()
    if process.is_draining():
        start_response = process.with_connection_close(start_response)
    # WhiteNoise only serves files that exist. Django answers the other requests, in JSON.
    if environ["PATH_INFO"].startswith(STATIC_URL) and environ["REQUEST_METHOD"] in (
        "GET",
        "HEAD",
    ):
        return static(environ, start_response)  # type: ignore[no-any-return]
    # All text is UTF-8. With another charset Django would decode the query by any codec of Python.
    if "charset" in (content_type := environ.get("CONTENT_TYPE", "").lower()):
        environ["CONTENT_TYPE"] = content_type.partition(";")[0]
    has_body = environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
    if has_body and not bodies.receive(environ):
        start_response("408 Request Timeout", [])
        return []
    return answer(environ, start_response)


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    try:
        response: Any = django(environ, start_response)
    finally:
        if not environ["PATH_INFO"].startswith(API_URL):
            connections.close_all()
    if response.streaming:
        return response  # type: ignore[no-any-return]
    # A list of one item has a known length, so the server does not send it in chunks.
    content = response.content
    response.close()
    return [content]


bodies = Bodies(answer)
