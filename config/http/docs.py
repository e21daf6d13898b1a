"""The pages that show the OpenAPI document, with nothing loaded from another host."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Redoc

POLICY = (
    "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self' data:; "
    "script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

View = Callable[..., HttpResponse]


def locked_down(view: View, scripts: str = "") -> View:
    """The view under a content security policy that lets this host in and no other."""

    @require_safe
    @wraps(view, assigned=(), updated=())
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Content-Security-Policy"] = POLICY.format(scripts=scripts)
        return response

    return wrapped


def redoc(request: HttpRequest, api: NinjaAPI) -> HttpResponse:
    # The page of django-ninja starts Redoc by a script of its own, and shows nobody's text.
    return locked_down(Redoc().render_page, scripts=" 'unsafe-inline'")(request, api)
