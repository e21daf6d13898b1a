"""For every request: an id, JSON for its errors, and one line in the log."""

import random
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.database.base import serving_the_api
from config.http import errors, origins
from config.server import metrics
from config.server.bodies import REFUSAL
from config.server.stats import stats

log = structlog.get_logger()

GetResponse = Callable[[HttpRequest], HttpResponseBase]

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
MIN_ERROR_STATUS = 400
MIN_SERVER_ERROR_STATUS = 500
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*"
)
"""A `traceparent` (W3C Trace Context, section 3.2.2)."""
MIN_WAIT = 0.001
"""Seconds. Shorter waits are not logged."""


def request_log(get_response: GetResponse) -> GetResponse:
    """The outermost middleware, so that its line logs what the client really received."""
    metrics.attach()
    api_url, admin_url = settings.API_URL, settings.ADMIN_URL

    def middleware(request: HttpRequest) -> HttpResponseBase:
        arrived = stats.arrived or stats.begin()
        method = request.method
        request_id = request.META.get("HTTP_X_REQUEST_ID", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = f"{random.getrandbits(128):032x}"
        request.id = request_id  # type: ignore[attr-defined]
        if method == "HEAD":
            # The server sends only the headers of the answer.
            request.method = "GET"
        if REFUSAL in request.META:
            request.urlconf = errors.REFUSED_BODY_URLS  # type: ignore[assignment] # patterns are allowed

        previous = serving_the_api.set(request.path_info.startswith(api_url))
        try:
            response = get_response(request)
        finally:
            serving_the_api.reset(previous)

        request.method = method
        is_error = response.status_code >= MIN_ERROR_STATUS
        if is_error and not request.path_info.startswith(admin_url):
            errors.jsonify(request, response)
        response["X-Request-ID"] = request_id
        seconds = perf_counter() - arrived
        _write(request, response, seconds)
        metrics.answered(request, response.status_code, seconds)
        stats.arrived = None
        return response

    return middleware


class Cors(CorsMiddleware):
    """Skips requests without an origin, which are not cross-origin requests of a browser."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "HTTP_ORIGIN" in request.META:
            response: HttpResponseBase = super().__call__(request)  # type: ignore[assignment]
            if "Access-Control-Allow-Origin" not in response.headers:
                _report_origin(request)
            return response
        response = self.get_response(request)  # type: ignore[assignment]
        response.headers.setdefault("Vary", "origin")
        return response


def _report_origin(request: HttpRequest) -> None:
    """Of a browser that may not read the answer. This server is an origin too: that of its docs."""
    origin = request.META["HTTP_ORIGIN"]
    is_own = origin.partition("://")[2] == request.META.get("HTTP_HOST")
    if not is_own and re.match(settings.CORS_URLS_REGEX, request.path_info):
        origins.refused.report(origin)


def _write(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Logs the route and not the path, because a client may put anything into a path."""
    line: dict[str, Any] = {
        "request_id": response["X-Request-ID"],
        "user_id": getattr(getattr(request, "auth", None), "user_id", None),
        "method": request.method,
        "route": request.resolver_match.route if request.resolver_match else None,
        "status": response.status_code,
        "ms": round(seconds * 1000, 2),
        "sql": stats.statements,
    }
    if staff := getattr(request, "staff", ""):
        line["staff"] = staff
    if waits := stats.waits:
        waited = sum(waits.values())
        if waited >= MIN_WAIT:
            line["waited_ms"] = round(waited * 1000, 2)
            line["waited_for"] = max(waits, key=waits.__getitem__)
    if trace := TRACEPARENT.fullmatch(request.META.get("HTTP_TRACEPARENT", "")):
        line["trace_id"] = trace[1]
    if response.status_code >= MIN_ERROR_STATUS:
        line |= getattr(request, "explanation", {})
    if response.status_code >= MIN_SERVER_ERROR_STATUS:
        log.error("request", **line)
    else:
        log.info("request", **line)
