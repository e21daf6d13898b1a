"""Sign-in to the admin: the lock after failures, the page of a lock, and what staff see of it.

An attempt goes through these steps: wait for one of the two slots of the worker, check the lock,
hash the password outside any transaction, check the code of the second factor, count a failure in a
separate transaction. So before the lock takes effect, at most four passwords are checked, plus
those that are in a slot at that time. Password and code are one step: a wrong code looks like a
wrong password, and nobody is half signed in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from axes.utils import reset
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import authenticate, user_logged_in
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.db.models import Max, Sum
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from config.http.clients import client_address
from config.models import SignIn
from config.staff import second_factor
from tasks.limits import (
    ConcurrencyLimit,
    Unavailable,
    give_back_connection,
    limited,
    suspended,
)

ADDRESS_LIMIT_FACTOR = 4
"""An address may fail this many times as often as one name, since an office shares an address."""

MAX_SIGN_INS = 100
"""Of an account and result. Failures cannot push the successes out of the list."""
MAX_USER_AGENT_LENGTH = 255

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


class SignInForm(AdminAuthenticationForm):
    code = forms.CharField(
        required=False,
        max_length=40,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "spellcheck": "false",
                "aria-describedby": "code-help",
            }
        ),
    )
    error_messages = {  # noqa: RUF012  as Django declares it
        **AdminAuthenticationForm.error_messages,
        "invalid_login": (
            "Please enter the correct %(username)s and password for a staff account, and a new "
            "code if it has a second factor. Note that name and password may be case-sensitive."
        ),
    }

    def clean(self) -> dict[str, Any]:
        """As Django's, with the code."""
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is not None and password:
            code = self.cleaned_data.get("code", "")
            # Django masks a credential of this name in the signal of a failure.
            user = authenticate(self.request, username=name, password=password, token=code)
            if user is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data


class Backend(ModelBackend):
    """As Django's, with the second factor. It holds no connection while it hashes a password.

    So sign-ins leave the connections to the other pages, and a failure is counted even if the
    previous connection has been closed in the meantime.
    """

    def get_user(self, user_id: int) -> User | None:
        """Of a session. In one statement with the second factor, which every page needs."""
        user = User.objects.select_related("second_factor").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        token: str = "",
        **_: Any,
    ) -> User | None:
        if request is None or username is None or password is None:
            return None
        user = User.objects.select_related("second_factor").filter(username=username).first()
        with suspended(request):
            give_back_connection()
            if user is None:
                User().set_password(password)  # so that it takes as long as for an existing name
                return None
            old_hash = user.password
            is_correct = check_password(password, old_hash, setter=user.set_password)
        if user.password != old_hash:
            user.save(update_fields=["password"])  # a newer Django hashes with more rounds
        if not is_correct or not self.user_can_authenticate(user):
            request.failed = user, SignIn.Result.WRONG_PASSWORD  # type: ignore[attr-defined]
            return None
        if second_factor.of(user) and not second_factor.check(user, token):
            request.failed = user, SignIn.Result.WRONG_CODE  # type: ignore[attr-defined]
            return None
        return user


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
            if failed := getattr(request, "failed", None):
                _record(request, *failed)

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """Clears only the failures of the name that signed in, not those of other names."""
        by_name, _ = self.filter_user_attempts(request, credentials)
        return int(by_name.delete()[0])


@receiver(user_logged_in)
def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    second_factor.remember(request, user)
    _record(request, user, SignIn.Result.OK)


def _record(request: HttpRequest, user: User, result: SignIn.Result) -> None:
    agent = request.META.get("HTTP_USER_AGENT", "")
    SignIn.objects.create(
        user=user,
        result=result,
        address=client_address(request),
        user_agent=agent[:MAX_USER_AGENT_LENGTH],
    )
    same = SignIn.objects.filter(user=user, result=result)
    same.filter(pk__in=same.order_by("-pk").values("pk")[MAX_SIGN_INS:]).delete()


@dataclass(frozen=True)
class Lock:
    """name: empty if the address is locked for every name. until: when the lock expires."""

    address: str
    name: str
    failures: int
    until: datetime


def locks() -> Iterator[Lock]:
    """The current locks, by the rules of `Failures`. Of names without an account, none is shown:
    some people type their password as their name.
    """
    cool_off = settings.AXES_COOLOFF_TIME
    recent = AccessAttempt.objects.filter(
        attempt_time__gt=timezone.now() - cool_off, ip_address__isnull=False
    )
    totals = {"failures": Sum("failures_since_start"), "last": Max("attempt_time")}
    staff = recent.filter(username__in=User.objects.values("username"))
    for found, limit in (
        (recent.values("ip_address"), settings.AXES_FAILURE_LIMIT * ADDRESS_LIMIT_FACTOR),
        (staff.values("ip_address", "username"), settings.AXES_FAILURE_LIMIT),
    ):
        for each in found.annotate(**totals).filter(failures__gte=limit).order_by("-last"):
            name, until = each.get("username", ""), each["last"] + cool_off
            yield Lock(each["ip_address"], name, each["failures"], until)


def unlock(lock: Lock) -> None:
    """Forgets the failures of the name at the address, or all of the address."""
    reset(ip=lock.address, username=lock.name or None)


def unlock_account(user: User) -> None:
    """At all addresses, and the second factor too."""
    reset(username=user.get_username())
    second_factor.end_pause(user)


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
