"""What every request gets: an id, JSON for its error, and one line in the log."""

import random
import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

import structlog
from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.database.base import serving_the_api
from config.http import errors
from config.server import metrics
from config.server.account import account
from config.server.bodies import REFUSAL

log = structlog.get_logger()

GetResponse = Callable[[HttpRequest], HttpResponseBase]

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
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
