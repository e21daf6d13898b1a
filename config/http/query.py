"""Refuses query parameters that an operation does not have. django-ninja ignores them."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, QueryDict
from ninja import Router
from ninja.params.models import QueryModel
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from config.http.errors import MAX_ERRORS
from config.http.hints import unknown_parameter

if TYPE_CHECKING:
    from ninja.operation import Operation

IGNORED = "_"
"""What the names of cache busters begin with."""


def check(router: Router) -> None:
    """Makes each operation of the router check its query, after the token and before the rest."""
    for view in router.path_operations.values():
        for operation in view.operations:
            operation.models = [_check_of(operation), *map(_with_defaults, operation.models)]


def _check_of(operation: "Operation") -> Any:
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }
    return type("KnownParameters", (KnownParameters,), {"known": frozenset(known)})


def _with_defaults(model: Any) -> Any:
    """The model, which reads an empty query only once: the result is always the same."""
    if model.__ninja_param_source__ != "query":
        return model

    class Query(model):  # type: ignore[misc]
        defaults: ClassVar[Any] = None

        @classmethod
        def resolve(cls, request: HttpRequest, *others: Any) -> Any:
            if request.META.get("QUERY_STRING"):
                return super().resolve(request, *others)
            if cls.defaults is None:
                cls.defaults = dict(super().resolve(request, *others))
            return cls.defaults

    return Query


class KnownParameters(QueryModel):
    """Runs in front of an operation's models, which then find only parameters that they know."""

    __ninja_param_source__ = "query"  # type: ignore[assignment]
    __ninja_flatten_map_reverse__: ClassVar[dict[Any, Any]] = {}
    known: ClassVar[frozenset[str]]

    @classmethod
    def resolve(cls, request: HttpRequest, *_: Any) -> Any:
        if request.META.get("QUERY_STRING"):
            cls._check(request)
        return ()

    @classmethod
    def _check(cls, request: HttpRequest) -> None:
        query = request.GET
        others = [name for name in query if name not in cls.known]
        undecodable = set(_undecodable(request.META["QUERY_STRING"]))
        if not others and not undecodable:
            return
        request.GET = _only(cls.known - undecodable, query)  # type: ignore[assignment]
        unknown = [name for name in others if not name.startswith(IGNORED)]
        errors = [
            _error(name, "extra_forbidden", unknown_parameter(name, cls.known, request.method))
            for name in unknown[:MAX_ERRORS]
        ]
        errors += [
            _error(name, "not_utf8", "must be UTF-8")
            for name in sorted(undecodable.difference(unknown))
        ]
        if errors:
            raise ValidationError.from_exception_data("query", errors)


def _undecodable(query: str) -> Iterator[str]:
    """The names of parameters that are not UTF-8, or whose values are not.

    Django replaces what it cannot decode. query: as WSGI has it, with a character for each byte.
    """
    if query.isascii() and "%" not in query:
        return
    for pair in query.encode("latin-1").split(b"&"):
        decoded = unquote_to_bytes(pair)
        try:
            decoded.decode()
        except UnicodeDecodeError:
            name = unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
            yield name.decode(errors="replace")


def _only(names: Collection[str], query: QueryDict) -> QueryDict:
    kept = QueryDict(mutable=True)
    for name in query:
        if name in names:
            kept.setlist(name, query.getlist(name))
    return kept


def _error(name: str, kind: str, message: str) -> InitErrorDetails:
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=(name,), input=None)
