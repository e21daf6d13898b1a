"""Sign-in to the admin: the lock after failures, and the page of a lock.

An attempt goes through these steps: wait for one of the two slots of the worker, check the lock,
hash the password outside any transaction, count a failure in a separate transaction. So before the
lock takes effect, at most four passwords are checked, plus those that are in a slot at that time.
"""

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

ADDRESS_LIMIT_FACTOR = 4
"""An address may fail this many times as often as one name, since an office shares an address."""

Credentials = dict[str, Any] | None


class TooManySignIns(Unavailable):
    reason = "too_many_sign_ins"
    title = "Too many sign-ins at the same time"
    sentence = (
        "This server checks two passwords at a time, and too many others are waiting. Yours was "
        "not checked and does not count as a failure. Go back and try again in a moment."
    )
    retry_after = 10


SIGN_INS = ConcurrencyLimit(2, waiting=16, seconds=10)
"""Hashing a password keeps a core busy for a large part of a second."""


class Backend(ModelBackend):
    """As Django's, except that it holds no connection while it hashes a password.

    So sign-ins leave the connections to the other pages, and a failure is counted even if the
    previous connection has been closed in the meantime.
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
                User().set_password(password)  # so that it takes as long as for an existing name
                return None
            old_hash = user.password
            is_correct = check_password(password, old_hash, setter=user.set_password)
        if user.password != old_hash:
            user.save(update_fields=["password"])  # a newer Django hashes with more rounds
        return user if is_correct and self.user_can_authenticate(user) else None


class Failures(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts failures per name and address, and per address (in AXES_LOCKOUT_PARAMETERS' order).

    Not per name alone: then anybody could lock staff out.
    """

    def get_failures(self, request: HttpRequest, credentials: Credentials = None) -> int:
        by_name, by_address = (
            attempts.aggregate(failures=Sum("failures_since_start", default=0))["failures"]
            for attempts in self.get_user_attempts(request, credentials)
        )
        return int(max(by_name, by_address // ADDRESS_LIMIT_FACTOR))

    def user_login_failed(
        self, sender: Any, credentials: Credentials, request: HttpRequest, **kwargs: Any
    ) -> None:
        """Uses a separate transaction, so that it stays counted even if something fails later."""
        with suspended(request), limited():
            super().user_login_failed(sender, credentials, request, **kwargs)

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """Clears only the failures of the name that signed in, not those of other names."""
        by_name, _ = self.filter_user_attempts(request, credentials)
        return int(by_name.delete()[0])


def locked(
    request: HttpRequest, _response: HttpResponse, _credentials: Credentials
) -> HttpResponse:
    """The page of a locked sign-in.

    429 and not 403, since the lock expires. It starts at the last failure that counted; failures
    during the lock do not count.
    """
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    context = {"title": "Sign-in is locked", "minutes": seconds // 60}
    response = render(
        request, "admin/locked.html", admin.site.each_context(request) | context, status=429
    )
    response["Retry-After"] = str(seconds)
    return response
