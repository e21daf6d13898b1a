"""The WSGI application: Django, with the styles and scripts of its pages in front of it."""

import io
import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.template.utils import get_app_template_dirs
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django = get_wsgi_application()
static = WhiteNoise(django, max_age=3600)
for directory in get_app_template_dirs("static"):
    static.add_files(directory, prefix=settings.STATIC_URL)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"].startswith(settings.STATIC_URL):
        # Errors are Django's to answer, in JSON: only files that are there are served here.
        app = static if environ["REQUEST_METHOD"] in ("GET", "HEAD") else django
        return app(environ, start_response)
    if "HTTP_TRANSFER_ENCODING" in environ:
        measure(environ)
    return django(environ, start_response)


def measure(environ: dict[str, Any]) -> None:
    """Gives a chunked body a length: without one Django takes a body for an empty one.

    No more is read than it takes to know that the body is too large.
    """
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
