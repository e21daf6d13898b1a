"""Protects views of plain Django."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from authjwt.answers import answer
from authjwt.bearer import BearerToken
from authjwt.exceptions import TokenError

View = Callable[..., HttpResponseBase]


def token_required(view: View | None = None, *, owner: str = "") -> Any:
    """A decorator for views: `request.auth` has the `Claims`, above all `request.auth.user_id`.

    The view needs no CSRF token, because browsers do not send bearer tokens by themselves.

    owner: the parameter of the path that must name the user of the token, if there is one.
    """
    authenticate = BearerToken(owner=owner)

    def protect(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def protected(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                authenticate(request)
            except TokenError as error:
                return answer(request, error)
            return view(request, *args, **kwargs)

        return protected

    return protect(view) if view else protect
