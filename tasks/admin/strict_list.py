"""Lists of the admin that accept only the parameters that their own links and forms send."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from tasks.models import MAX_ID

MAX_SEARCH_LENGTH = 1000
INVALID_ROW = "The id of a selected row is not a valid number. Go back and select it again."
MAX_QUOTED = 100
"""Characters of an unknown filter's name that the error message repeats."""


class StrictListMixin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    """Refuses other filters than `lookups`, and for those in `values` other values.

    Django accepts every lookup that the models allow, including regular expressions, and values
    that the database rejects.
    """

    lookups: frozenset[str] = frozenset()
    values: Mapping[str, Sequence[str]] = {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not all(map(is_id, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest(INVALID_ROW)
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Refuses an invalid value of a filter. Django would show the list without any filter."""
        try:
            return super().get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            reason = str(error.args[0]) if error.args and isinstance(error.args[0], str) else ""
            raise BadRequest(
                reason or "A filter in the address has a value that it cannot have."
            ) from error

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        if lookup not in self.lookups:
            raise BadRequest(f"This list has no filter {lookup[:MAX_QUOTED]!a}.")
        if "\0" in value:
            raise BadRequest(f"The filter {lookup} must not contain the character NUL.")
        if lookup in self.values and value not in self.values[lookup]:
            raise BadRequest(
                f"The filter {lookup} must be one of {', '.join(self.values[lookup])}."
            )
        return True

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Limits the length, since Django adds a condition for each word in each column."""
        limit_search(search_term)
        return super().get_search_results(request, queryset, search_term)


def limit_search(text: str) -> None:
    if len(text) > MAX_SEARCH_LENGTH:
        raise BadRequest(f"A search can have at most {MAX_SEARCH_LENGTH} characters.")


def is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID))
