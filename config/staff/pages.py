"""Pages of the admin for what is refused; elsewhere `config.http.errors` answers in JSON."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from tasks.limits import page_transaction


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    match exception:
        case BadRequest():
            sentence = str(exception)
        case TooManyFieldsSent():
            most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
            sentence = f"The address or the form has more than {most} fields."
        case RequestDataTooBig():
            most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
            sentence = f"The form is larger than {most} KiB."
        case _:
            sentence = "The address or the form has something in it that no page here sends."
    return _page(request, 400, "This cannot be read", sentence)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403, "This is not allowed", "Your account has no permission for it.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404, "There is nothing here", "It may be gone, or the address is wrong.")


def nothing(request: HttpRequest, **_: Any) -> HttpResponse:
    raise Http404


def expired(request: HttpRequest, **_: Any) -> HttpResponse:
    """Where the token against forged requests is missing or another one."""
    sentence = "It was opened before you signed in, or signed out. Load it anew and try again."
    return _page(request, 403, "This page has expired", sentence)


def unavailable(request: HttpRequest, title: str, sentence: str, retry_after: int) -> HttpResponse:
    """Asks the database for nothing, not even who is there."""
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
    if not request.path_info.startswith(settings.ADMIN_URL):
        return HttpResponse(status=status)
    # What is refused before anybody is known, such as another host, has no page of theirs.
    if not hasattr(request, "user"):
        context = {"title": title, "sentence": sentence}
        return render(request, "admin/refusal.html", context, status=status)
    with page_transaction(request):
        context = admin.site.each_context(request) | {"title": title, "sentence": sentence}
        return render(request, "admin/refusal.html", context, status=status)
