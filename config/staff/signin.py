"""Sign-in to the admin: where a client is, how many failures lock it, and what it then sees.

A password is looked at in this order: a slot is taken, of which a worker has two; the lock is asked
for; the password is hashed, in no transaction; a failure is counted, in a transaction of its own.
So at most four passwords and those under way at that moment are looked at before the lock engages.
"""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tasks.limits import (
    ConcurrencyLimit,
    Unavailable,
    give_back_connection,
    limited,
    suspended,
)

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


class TooManySignIns(Unavailable):
    reason = "too_many_sign_ins"
    title = "Too many are signing in"
    sentence = (
        "This server checks two passwords at a time, and others wait already. Yours was not looked "
        "at, and does not count as a failure. Go back and try again in a moment."
    )
    retry_after = 10


SIGN_INS = ConcurrencyLimit(2, waiting=16, seconds=10)
"""Hashing a password takes a core for a good part of a second."""


class Backend(ModelBackend):
    """Django's, except that it holds no connection while it hashes a password.

    So sign-ins leave the connections to the other pages, and a failure is counted even if the one
    that they had before has ended meanwhile.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if request is None or username is None or password is None:
            return None
        user = User.objects.filter(username=username).first()
        with suspended(request):
            give_back_connection()
            if user is None:
                User().set_password(password)  # takes as long as it does for a name that exists
                return None
            before = user.password
            right = check_password(password, before, setter=user.set_password)
        if user.password != before:
            user.save(update_fields=["password"])  # a later Django hashes with more rounds
        return user if right and self.user_can_authenticate(user) else None


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

    def user_login_failed(
        self, sender: Any, credentials: Credentials, request: HttpRequest, **kwargs: Any
    ) -> None:
        """Counts in a transaction of its own: whatever fails afterwards, it stays counted."""
        with suspended(request), limited():
            super().user_login_failed(sender, credentials, request, **kwargs)

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
