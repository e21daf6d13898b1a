"""What every request gets: an id, JSON for its error, and one line in the log."""

import random
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from axes.middleware import AxesMiddleware
from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.deprecation import MiddlewareMixin

from config import errors
from config.database.base import serving_the_api
from config.server import metrics
from config.server.account import account
from config.server.bodies import REFUSAL

log = structlog.get_logger()

GetResponse = Callable[[HttpRequest], HttpResponseBase]

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
PAGES = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; font-src 'self'; img-src 'self'; "
        "script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow",
}
ERRORS_FROM = 400
CRASHES_FROM = 500
TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*")
"""A `traceparent` (W3C Trace Context, section 3.2.2)."""
LEAST_WAIT = 0.001
"""Seconds: a shorter wait is not worth a word in the log."""


def request_log(get_response: GetResponse) -> GetResponse:
    """The outermost middleware, so that its line tells what the client really got."""
    metrics.attach()

    def middleware(request: HttpRequest) -> HttpResponseBase:
        arrived = account.arrived or account.begin()
        method = request.method
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if SANE_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        request.id = request_id  # type: ignore[attr-defined]
        if method == "HEAD":
            # The server sends the headers of the answer and keeps the body.
            request.method = "GET"
        if REFUSAL in request.META:
            request.urlconf = errors.BODY_REFUSED  # type: ignore[assignment] # Django takes patterns too

        api = serving_the_api.set(request.path_info.startswith("/api/"))
        try:
            response = get_response(request)
        finally:
            serving_the_api.reset(api)

        request.method = method
        if response.status_code >= ERRORS_FROM and not request.path_info.startswith("/admin/"):
            errors.jsonify(request, response)
        response["X-Request-ID"] = request_id
        seconds = perf_counter() - arrived
        _write(request, response, seconds)
        metrics.answered(request, response.status_code, seconds)
        account.arrived = None
        return response

    return middleware


class StaffOnly:
    """Leaves out of the API what only pages of the admin need: a third of a request's cost."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/admin/"):
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
        in_admin = request.path_info.startswith("/admin/")
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


class Cors(CorsMiddleware):
    """Leaves out requests of no browser: without an origin there is nothing to allow."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "HTTP_ORIGIN" in request.META:
            return super().__call__(request)  # type: ignore[return-value]
        response: HttpResponseBase = self.get_response(request)  # type: ignore[assignment]
        response.headers.setdefault("Vary", "origin")
        return response


def _write(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Names of routes, never paths: a path holds whatever a client puts there."""
    line: dict[str, Any] = {
        "request_id": response["X-Request-ID"],
        "user_id": getattr(getattr(request, "auth", None), "user_id", None),
        "method": request.method,
        "route": request.resolver_match.route if request.resolver_match else None,
        "status": response.status_code,
        "ms": round(seconds * 1000, 2),
        "sql": account.statements,
    }
    if waits := account.waits:
        waited = sum(waits.values())
        if waited >= LEAST_WAIT:
            line["waited_ms"] = round(waited * 1000, 2)
            line["waited_for"] = max(waits, key=waits.__getitem__)
    if trace := TRACE.fullmatch(request.META.get("HTTP_TRACEPARENT", "")):
        line["trace_id"] = trace[1]
    if response.status_code >= ERRORS_FROM:
        line |= getattr(request, "explanation", {})
    if response.status_code >= CRASHES_FROM:
        log.error("request", **line)
    else:
        log.info("request", **line)
