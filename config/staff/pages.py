"""Error pages of the admin. Outside of it, `config.http.errors` answers in JSON."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from config.staff.middleware import in_admin
from tasks.limits import page_transaction


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    match exception:
        case BadRequest():
            sentence = str(exception)
        case TooManyFieldsSent():
            limit = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
            sentence = (
                f"The address or the form has more than {limit} fields. Use fewer and try again."
            )
        case RequestDataTooBig():
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
            sentence = f"The form is larger than {limit} KiB. Shorten it and try again."
        case _:
            sentence = (
                "The address or the form is not one that these pages send. Go back and try again."
            )
    return _page(request, 400, "Invalid request", sentence)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = "Your account does not have the permission. If you need it, ask an administrator."
    return _page(request, 403, "This is not allowed", sentence)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = "It may have been deleted, or the address is wrong."
    return _page(request, 404, "Page not found", sentence)


def nothing(request: HttpRequest, **_: Any) -> HttpResponse:
    raise Http404


def expired(request: HttpRequest, **_: Any) -> HttpResponse:
    """For a CSRF token that is missing or wrong."""
    sentence = "It was opened before you signed in or out. Reload it and try again."
    return _page(request, 403, "This page has expired", sentence)


def unavailable(request: HttpRequest, title: str, sentence: str, retry_after: int) -> HttpResponse:
    """Sends no statement to the database, not even to find out who is signed in."""
    context = {
        "site_header": admin.site.site_header,
        "site_title": admin.site.site_title,
        "user": None,
        "title": title,
        "sentence": sentence,
    }
    response = render(request, "admin/refusal.html", context, status=503)
    response["Retry-After"] = str(retry_after)
    return response


def _page(request: HttpRequest, status: int, title: str, sentence: str) -> HttpResponse:
    if not in_admin(request):
        return HttpResponse(status=status)
    # A request refused before the session is read, such as one for another host, has no user.
    if not hasattr(request, "user"):
        context = {"title": title, "sentence": sentence}
        return render(request, "admin/refusal.html", context, status=status)
    with page_transaction(request):
        context = admin.site.each_context(request) | {"title": title, "sentence": sentence}
        return render(request, "admin/refusal.html", context, status=status)
