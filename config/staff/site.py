"""The admin site: the transaction, timeouts and error pages around each of its pages."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import update_wrapper
from http import HTTPStatus
from typing import Any, TypeVar, cast

import structlog
from django.contrib import admin
from django.contrib.auth import logout
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from config.http.errors import explain
from config.server.logs import summary
from config.staff import accounts, own_account, pages, second_factor
from config.staff.own_account import staff_of
from config.staff.signin import SIGN_INS, SignInForm, TooManySignIns
from tasks.limits import Unavailable, give_back_connection, page_transaction

log = structlog.get_logger()

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
Response = TypeVar("Response", bound=HttpResponseBase)


class StatementTimeout(Unavailable):
    reason = "statement_timeout"
    title = "This took too long"
    sentence = (
        "The database did not finish within 20 seconds, so the page was cancelled. Try again, or "
        "use more filters."
    )
    retry_after = 5


class LockTimeout(Unavailable):
    reason = "lock_timeout"
    title = "Somebody else is changing this"
    sentence = (
        "Another change has locked the data of this page for more than 5 seconds. Try again in a "
        "moment. If you ran an action on many tasks, some may be done: run it again for the rest."
    )
    retry_after = 5


class TransactionEnded(Unavailable):
    """Templates continue after a statement that failed, so the next statement fails too."""

    reason = "transaction_ended"
    title = "The database cancelled this page"
    sentence = "A query took too long, or somebody else has locked the data. Try again in a moment."
    retry_after = 5


class NoDatabase(Unavailable):
    reason = "no_database"
    title = "The database cannot be reached"
    sentence = (
        "It did not answer, or the connection was lost. Try again in a moment. If that does not "
        "help, contact the operator of this service."
    )
    retry_after = 5


BY_SQLSTATE: dict[str | None, type[Unavailable]] = {
    "57014": StatementTimeout,
    "55P03": LockTimeout,
    "25P02": TransactionEnded,
}
UNREACHABLE = (OperationalError, InterfaceError)


def with_refusals(view: View) -> View:
    """Turns limits and errors of the database into a page with status 503."""

    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Unavailable as refusal:
            return refused(request, refusal)
        except (DatabaseError, InterfaceError) as error:
            sqlstate = getattr(error.__cause__, "sqlstate", None)
            if sqlstate not in BY_SQLSTATE and not isinstance(error, UNREACHABLE):
                raise
            log.error(  # noqa: TRY400  its message may contain data of a row
                "database unavailable",
                error=summary(error),
                request_id=getattr(request, "id", ""),
            )
            return refused(request, BY_SQLSTATE.get(sqlstate, NoDatabase)())
        if response.streaming:
            give_back_connection()
        return response

    return cast("View", wrapped)


def refused(request: HttpRequest, refusal: Unavailable) -> HttpResponseBase:
    explain(request, reason=refusal.reason)
    return pages.unavailable(request, refusal.title, refusal.sentence, refusal.retry_after)


def rendered(response: Response) -> Response:
    """Renders now, while the transaction is open, since templates send statements too."""
    if isinstance(response, TemplateResponse):
        response.render()
    return response


class Site(admin.AdminSite):
    login_form = SignInForm
    login_template = "admin/sign_in.html"

    def get_urls(self) -> list[Any]:
        return [
            path("account/", self.admin_view(self.account), name="account"),
            path("second_factor/", self.admin_view(self.second_factor), name="second_factor"),
            path("set_password/", self.set_password, name="set_password"),
            *super().get_urls(),
        ]

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002
        """Runs each page, with its rendering, in one transaction with timeouts.

        A session whose second factor has changed ends here, and staff who must set one up are sent
        to its page first.
        """
        inner = super().admin_view(view, cacheable)
        is_open = view in (self.second_factor, self.logout)

        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with page_transaction(request):
                # Known now. Later, finding it out would need another transaction.
                request.staff = request.user.get_username()  # type: ignore[attr-defined]
                if second_factor.session_has_ended(request):
                    logout(request)
                elif not is_open and second_factor.is_missing(request.user):
                    return redirect("admin:second_factor")
                return rendered(inner(request, *args, **kwargs))

        return cast("View", update_wrapper(with_refusals(page), inner))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        from config.staff import start  # noqa: PLC0415  needs the models, which are loaded later

        context = {**start.context(request), **(extra_context or {})}
        return super().index(request, context)

    @method_decorator(with_refusals)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Waits for a slot before it checks the lock, or simultaneous attempts would bypass it."""
        with password_page(request):
            return rendered(super().login(request, extra_context))

    @method_decorator(with_refusals)
    @method_decorator(never_cache)
    def set_password(self, request: HttpRequest) -> HttpResponseBase:
        """For the owner of a link, who is not signed in."""
        with password_page(request):
            return rendered(own_account.set_password(request))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        response = super().password_change(request, extra_context)
        if response.status_code == HTTPStatus.FOUND:
            accounts.record(staff_of(request), staff_of(request), "Changed the password.")
        return response

    def account(self, request: HttpRequest) -> HttpResponse:
        return own_account.account(request)

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        return own_account.set_up_second_factor(request)


@contextmanager
def password_page(request: HttpRequest) -> Iterator[None]:
    """A page that hashes a password when its form is sent."""
    is_sent = request.method == "POST"
    with ExitStack() as stack:
        if is_sent:
            give_back_connection()
            stack.enter_context(SIGN_INS.slot(TooManySignIns))
        stack.enter_context(page_transaction(request, signing_in=is_sent))
        yield
