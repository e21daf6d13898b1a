"""The orders of the list. Each is the order of an index, so that a page is read without a sort."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import BadRequest
from django.db.models import F, Q
from django.db.models.lookups import IsNull
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.admin.filters import ClosedFilter, TrashFilter
from tasks.models import DUE, Task, TaskQuerySet

IS_DUE = Q(IsNull(DUE, rhs=False))


@dataclass(frozen=True)
class Order:
    """column: what a title of the list sorts by. sign: "-" if descending."""

    column: str
    sign: str
    position: Any
    label: str

    @property
    def name(self) -> str:
        return f"{self.sign}{self.column}"

    def ids(self, tasks: TaskQuerySet, key: int) -> Any:
        """Ids on the page with this key and beyond it: after the task `key`, or before `-key`.

        If this task no longer has a place in the order, the ids begin at the first page.
        """
        descending = (self.sign == "-") == (key >= 0)
        tasks = tasks.alias(position=self.position)
        if key and (at := self.position_of(abs(key))) is not None:
            after = "lt" if descending else "gt"
            beyond = Q(**{f"position__{after}": at}) | Q(**{f"id__{after}": abs(key)})
            tasks = tasks.filter(beyond, **{f"position__{after}e": at})
        sign = "-" if descending else ""
        return tasks.order_by(f"{sign}position", f"{sign}id").values_list("id", flat=True)

    def position_of(self, task_id: int) -> Any:
        if self.column == "id":
            return task_id
        return Task.objects.filter(pk=task_id).values_list(self.position, flat=True).first()


NEWEST = Order("id", "-", F("id"), "newest first")
ORDERS = {
    order.name: order
    for order in (
        NEWEST,
        Order("id", "", F("id"), "oldest first"),
        Order("due", "", DUE, "due first"),
        Order("due", "-", DUE, "due last"),
        Order("deleted", "-", F("deleted_at"), "deleted last"),
        Order("deleted", "", F("deleted_at"), "deleted first"),
    )
}


class SortFilter(ClosedFilter):
    """The titles of the columns are its links."""

    title = "order"
    parameter_name = "sort"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        if self.value() is None:
            return
        if request.GET.get(SEARCH_VAR, "").strip():
            raise BadRequest(
                "A search has a fixed order, newest first. Remove sort from the address."
            )
        if ORDERS[str(self.value())].column == "deleted" and not _is_trash(request):
            raise BadRequest(
                "Only the trash can be sorted by deletion: add trash=in to the address."
            )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(order.name, order.label) for order in ORDERS.values()]

    def has_output(self) -> bool:
        return False


def order_of(request: HttpRequest) -> Order:
    return ORDERS.get(request.GET.get(SortFilter.parameter_name, ""), NEWEST)


def in_order(tasks: TaskQuerySet, order: Order) -> TaskQuerySet:
    """Only those that have a place in this order, so that an action is on what the list shows."""
    return tasks.filter(IS_DUE) if order.column == "due" else tasks


def heading(request: HttpRequest, column: str, title: str) -> SafeString | str:
    """The title of a column, with a link to its next order, if there is one."""
    if request.GET.get(SEARCH_VAR, "").strip() or (column == "deleted" and not _is_trash(request)):
        return title
    current = order_of(request)
    orders = [order for order in ORDERS.values() if order.column == column]
    sign = ""
    following = orders[0]
    if current in orders:
        sign = "\u2193" if current.sign else "\u2191"
        position = orders.index(current) + 1
        following = orders[position] if position < len(orders) else NEWEST
    query = request.GET.copy()
    for name in (PAGE_VAR, ERROR_FLAG, SortFilter.parameter_name):
        query.pop(name, None)
    if following is not NEWEST:
        query[SortFilter.parameter_name] = following.name
    return format_html(
        '<a href="?{}" title="Sort: {}">{}{}</a>',
        query.urlencode(),
        following.label,
        title,
        format_html(
            ' <span aria-hidden="true">{}</span><span class="visually-hidden">, {}</span>',
            sign,
            current.label,
        )
        if sign
        else "",
    )


def _is_trash(request: HttpRequest) -> bool:
    return request.GET.get(TrashFilter.parameter_name) == "in"
