"""Middleware that applies only to pages of the admin."""

from typing import Any

from axes.middleware import AxesMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin

ADMIN_URL = settings.ADMIN_URL

HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; "
        "script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow",
}


def in_admin(request: HttpRequest) -> bool:
    return request.path_info.startswith(ADMIN_URL)


class AdminOnlyMixin:
    """Skips a middleware in the API, where all of them together would be a third of the cost."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if in_admin(request):
            return super().__call__(request)  # type: ignore[misc,no-any-return]
        return self.get_response(request)  # type: ignore[no-any-return]


class Session(AdminOnlyMixin, SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        # A quoted cookie can contain any character, but PostgreSQL rejects text with NUL in it.
        if "\0" in request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)


class Csrf(AdminOnlyMixin, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        """Not outside the admin, where a wrong method is a 405 and not a missing CSRF token."""
        return super().process_view(request, *args) if in_admin(request) else None


class Authentication(AdminOnlyMixin, AuthenticationMiddleware):
    pass


class Message(AdminOnlyMixin, MessageMiddleware):
    pass


class SignInLock(AdminOnlyMixin, AxesMiddleware):  # type: ignore[misc]
    pass


class Headers(AdminOnlyMixin, MiddlewareMixin):
    """Adds the headers for browsers, caches and search engines."""

    def process_response(self, _: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in HEADERS.items():
            response[name] = value
        return response
