"""The pages on which staff look after their own account."""

import re
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from config.models import SignIn
from config.staff import accounts, second_factor
from tasks.limits import give_back_connection, suspended

PENDING_SECRET = "second_factor_secret"  # noqa: S105  a name
SHOWN_SIGN_INS = 50

# The first name that a browser's user agent has decides, since most name others too.
BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def staff_of(request: HttpRequest) -> User:
    return cast("User", request.user)


def account(request: HttpRequest) -> HttpResponse:
    """Who one is, the second factor, and one's own sign-ins."""
    user = staff_of(request)
    sign_ins = SignIn.objects.filter(user=user).order_by("-pk")[:SHOWN_SIGN_INS]
    return _page(
        request,
        "admin/account.html",
        "Your account",
        groups=", ".join(user.groups.order_by("name").values_list("name", flat=True)),
        factor=second_factor.of(user),
        sign_ins=[(each, browser(each.user_agent)) for each in sign_ins],
    )


def browser(user_agent: str) -> str:
    """What a person calls it. A browser can claim to be any other."""
    name = next((name for part, name in BROWSERS.items() if part in user_agent), "")
    system = next((name for part, name in SYSTEMS.items() if part in user_agent), "")
    if name and system:
        return f"{name} on {system}"
    return name or system or re.split(r"[ /(]", user_agent, maxsplit=1)[0] or "unknown"


@sensitive_post_parameters("code")
def set_up_second_factor(request: HttpRequest) -> HttpResponse:
    """One sets it up, and with a code makes new recovery codes or removes it."""
    user = staff_of(request)
    if second_factor.of(user):
        return _change(request, user)
    secret = request.session.setdefault(PENDING_SECRET, second_factor.new_secret())
    error = ""
    if request.method == "POST":
        if codes := second_factor.set_up(user, secret, request.POST.get("code", "")):
            del request.session[PENDING_SECRET]
            request.session.cycle_key()
            second_factor.remember(request, user)
            accounts.record(user, user, "Set up a second factor.")
            return _recovery_codes(request, codes)
        error = (
            "This is not the current code of the app. Wait for the next one and enter it. If that "
            "does not help, check that the clock of the phone is right."
        )
    return _page(
        request,
        "admin/second_factor_setup.html",
        "Set up a second factor",
        picture=second_factor.qr_code(user, secret),
        secret=re.sub("(.{4})(?=.)", r"\1 ", secret),
        is_required=second_factor.is_required(),
        error=error,
    )


def _change(request: HttpRequest, user: User) -> HttpResponse:
    action = request.POST.get("action")
    error = ""
    if request.method == "POST" and action in ("codes", "remove"):
        if not second_factor.check(user, request.POST.get("code", "")):
            error = (
                "The code is wrong, was used before, or came too soon after wrong ones. Wait for "
                "the next one and enter it."
            )
        elif action == "codes":
            accounts.record(user, user, "Made new recovery codes.")
            return _recovery_codes(request, second_factor.replace_recovery_codes(user))
        else:
            second_factor.reset(user)
            del request.session[second_factor.IN_SESSION]
            accounts.record(user, user, "Removed the second factor.")
            messages.success(request, "The second factor was removed.")
            return redirect(
                "admin:second_factor" if second_factor.is_required() else "admin:account"
            )
    return _page(
        request,
        "admin/second_factor.html",
        "Second factor",
        factor=second_factor.of(user),
        is_required=second_factor.is_required(),
        error=error,
    )


def _recovery_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return _page(request, "admin/recovery_codes.html", "Recovery codes", codes=codes)


class LinkForm(SetPasswordForm):  # type: ignore[type-arg] # not subscriptable at run time
    token = forms.CharField(
        label="Code of the link",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The part of the link behind #. The page enters it if your browser runs scripts.",
    )
    field_order = ("token",)


@sensitive_post_parameters()
def set_password(request: HttpRequest) -> HttpResponse:
    """By a link. Its token is behind the #, which browsers send neither to servers nor as Referer.

    So it is in no log, not even in that of a proxy.
    """
    if request.method != "POST":
        return _page(request, "admin/set_password.html", "Set your password", form=LinkForm(None))
    token = request.POST.get("token", "")
    user = accounts.account_of(token)
    form = LinkForm(user, request.POST)
    if user and form.is_valid():
        with suspended(request):
            give_back_connection()
            password = make_password(form.cleaned_data["new_password1"])
        # Somebody else may have used the link while the password was hashed.
        if user := accounts.account_of(token):
            user.password = password
            user.save(update_fields=["password"])
            accounts.record(user, user, "Set the password by a link.")
            messages.success(request, f"The password of {user.get_username()} is set. Sign in now.")
            return redirect("admin:login")
    return _page(
        request,
        "admin/set_password.html",
        "Set your password",
        form=form,
        is_invalid=user is None,
    )


def _page(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    return render(request, template, admin.site.each_context(request) | context | {"title": title})
