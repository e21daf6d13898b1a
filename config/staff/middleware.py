"""What only pages of the admin get."""

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

PAGES = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; "
        "script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow",
}


class StaffOnly:
    """Leaves out of the API what only pages of the admin need: a third of a request's cost."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(ADMIN_URL):
            return super().__call__(request)  # type: ignore[misc,no-any-return]
        return self.get_response(request)  # type: ignore[no-any-return]


class Session(StaffOnly, SessionMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        # A quoted cookie may hold any character, and PostgreSQL looks up no text with NUL in it.
        if "\0" in request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)


class Csrf(StaffOnly, CsrfViewMiddleware):
    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        """Elsewhere a wrong method is 405, and not a form without its token."""
        in_admin = request.path_info.startswith(ADMIN_URL)
        return super().process_view(request, *args) if in_admin else None


class Authentication(StaffOnly, AuthenticationMiddleware):
    pass


class Message(StaffOnly, MessageMiddleware):
    pass


class Lock(StaffOnly, AxesMiddleware):  # type: ignore[misc]
    pass


class Pages(StaffOnly, MiddlewareMixin):
    """What browsers, caches and search engines are told about every page of the admin."""

    def process_response(self, _: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for name, value in PAGES.items():
            response[name] = value
        return response
