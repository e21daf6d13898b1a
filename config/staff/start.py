"""The start page of the admin: what there is, what happened, and whether all is well."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from authjwt.bearer import verifier
from authjwt.wording import count
from config.http.health import has_migrations
from config.staff import chart, refusals
from config.staff.accounts import manages_staff
from config.staff.own_account import staff_of
from config.staff.refusals import Refused
from tasks import history
from tasks.admin.clock import Clock
from tasks.admin.overview import Number, Overview, overview
from tasks.people import NoPeople, source

MAX_ACTIONS = 10
OPEN = {"complete__exact": "0"}
DUE_FILTERS = {"overdue": {"due": "overdue"}, "no due date": {"due": "none"}}
"""The filters of the list that show the same tasks. It has none for the others."""


@dataclass(frozen=True)
class Row:
    """A number with the address of the tasks behind it, if there is one."""

    name: str
    number: Number
    url: str = ""


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do."""

    text: str
    advice: str


def context(request: HttpRequest) -> dict[str, Any]:
    """Nothing without the right to see tasks: the numbers and titles are about them."""
    if not request.user.has_perm("tasks.view_task"):
        return {}
    clock = Clock.of(request)
    numbers = overview(clock)
    refused = refusals.refused() if has_migrations() else None
    problems = list(_problems(numbers, refused))
    entries = history.latest(with_accounts=manages_staff(staff_of(request)))
    return {
        "may_view": True,
        "zone": str(clock.zone),
        "problems": problems,
        "verdict": f"{count(len(problems), 'problem')} found." if problems else "All is well.",
        "numbers": numbers,
        "refused": refused,
        "lines": history.lines(entries[:MAX_ACTIONS]),
        **(_tables(numbers) if numbers else {}),
    }


def _tables(numbers: Overview) -> Mapping[str, Any]:
    trash = reverse("admin:tasks_trash_changelist")
    return {
        "totals": [
            Row("Open tasks", numbers.open, _list(OPEN)),
            Row("Open and complete", numbers.tasks, _list()),
            Row("Created in 30 days", numbers.created),
            Row("Completed in 30 days", numbers.completed),
            Row("In the trash", numbers.trashed, trash),
        ],
        "priorities": [
            Row(name, number, _list(OPEN | {"priority__exact": name}))
            for name, number in numbers.priorities.items()
        ],
        "due": [
            Row(
                name,
                number,
                _list(OPEN | DUE_FILTERS[name]) if name in DUE_FILTERS else "",
            )
            for name, number in numbers.due.items()
        ],
        "goes": [Row(name, number) for name, number in numbers.trash.items()],
        "chart": chart.draw(numbers.days),
    }


def _list(filters: Mapping[str, str] | None = None) -> str:
    path = reverse("admin:tasks_task_changelist")
    return f"{path}?{urlencode(filters)}" if filters else path


def _problems(numbers: Overview | None, refused: Refused | None) -> Iterator[Problem]:
    """What can be known without waiting. `manage.py doctor` checks the rest.

    refused: None if the database lacks migrations.
    """
    if refused is None:
        yield Problem("The database lacks migrations of this release.", "Run manage.py migrate.")
    elif refused.is_spike:
        yield Problem(
            f"{refused.recent:,} tokens were refused since the last full hour began, and usually "
            f"{refused.usual:,.0f}.",
            "See the reasons below, and the requests with status 401 in the log.",
        )
    keys = verifier().keys
    if keys and keys.failures:
        yield Problem(
            f"The keys of Better Auth could not be fetched: {count(keys.failures, 'failure')}.",
            "Run manage.py doctor, which says why. Known keys still work.",
        )
    if numbers and numbers.trash["overdue"].value:
        yield Problem(
            "The trash has tasks that should have been deleted more than a day ago: "
            f"{numbers.trash['overdue']}.",
            "Run manage.py purge_tasks once a day.",
        )
    try:
        source.table()
    except NoPeople as problem:
        if not problem.is_expected:
            yield Problem(f"Names and e-mail addresses are missing. {problem}", "")
