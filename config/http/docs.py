"""The pages that show the OpenAPI document; they load nothing from other hosts."""

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


def with_content_security_policy(view: View, scripts: str = "") -> View:
    """The view with a content security policy that allows resources of this host only."""

    @require_safe
    @wraps(view, assigned=(), updated=())
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Content-Security-Policy"] = POLICY.format(scripts=scripts)
        return response

    return wrapped


def redoc(request: HttpRequest, api: NinjaAPI) -> HttpResponse:
    # django-ninja's page starts Redoc with an inline script, and shows no text of a user.
    page = with_content_security_policy(Redoc().render_page, scripts=" 'unsafe-inline'")
    return page(request, api)
