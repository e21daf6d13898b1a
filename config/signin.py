"""Sign-in to the admin: where a client is, how many failures lock it, and what it then sees."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.contrib import admin
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

SHARE_OF_AN_ADDRESS = 4
"""So many failures from one address weigh as much as one of one name: offices share theirs."""

NETWORK_BITS = 64
"""Of an IPv6 address: its owner may choose the rest anew for each request."""

Credentials = dict[str, Any] | None


def client_address(request: HttpRequest) -> str | None:
    """The address that the outermost trusted proxy saw.

    Each proxy adds who called it at the right of X-Forwarded-For. What stands left of the entries
    of the trusted ones was written by the client, and may say anything.
    """
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    callers = [request.META.get("REMOTE_ADDR", ""), *filter(None, reversed(hops))]
    caller = callers[: settings.TRUSTED_PROXIES + 1][-1]
    try:
        address = ip_address(caller.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, NETWORK_BITS), strict=False).network_address)
    return str(address)


class Failures(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts by name and address together, and by address: in AXES_LOCKOUT_PARAMETERS' order.

    By name alone anybody could lock staff out.
    """

    def get_failures(self, request: HttpRequest, credentials: Credentials = None) -> int:
        of_the_name, of_the_address = (
            attempts.aggregate(failures=Sum("failures_since_start", default=0))["failures"]
            for attempts in self.get_user_attempts(request, credentials)
        )
        return int(max(of_the_name, of_the_address // SHARE_OF_AN_ADDRESS))

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """Whoever signs in clears their own failures, and none at other names."""
        of_the_name, _ = self.filter_user_attempts(request, credentials)
        return int(of_the_name.delete()[0])


def locked(
    request: HttpRequest, _response: HttpResponse, _credentials: Credentials
) -> HttpResponse:
    """The page of a locked sign-in.

    429 and not 403, since it passes by itself. Each lock lasts from the last failure that counted;
    those during the lock do not.
    """
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    context = {"title": "Sign-in is locked", "minutes": seconds // 60}
    response = render(
        request, "admin/locked.html", admin.site.each_context(request) | context, status=429
    )
    response["Retry-After"] = str(seconds)
    return response
