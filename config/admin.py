"""The admin pages of staff accounts and groups.

Administrators manage the accounts that have no more rights than they, and cannot give a right that
they do not have. Only superusers change groups, superusers, and the passwords of others. Nobody
changes what they may do themselves, so nobody locks themselves out. An account with a history
cannot be deleted, only made inactive.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, ProtectedError, QuerySet
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse

from config.models import MANAGE_STAFF
from config.staff import accounts, second_factor, signin
from config.staff.own_account import staff_of
from tasks.admin.strict_list import StrictListMixin
from tasks.models import PageView

admin.site.unregister((User, Group))

PERSON = ("username", "first_name", "last_name", "email")
RIGHTS = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")


class NewStaffForm(forms.ModelForm):  # type: ignore[type-arg] # not subscriptable at run time
    """Without a password: its owner sets it by a link."""

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError("There is an account with this name.")
        return name


@admin.register(User)
class StaffAdmin(StrictListMixin, UserAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    lookups = frozenset(
        {
            "is_staff__exact",
            "is_superuser__exact",
            "is_active__exact",
            "groups__id__exact",
            "groups__isnull",
        }
    )
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_superuser")
    add_form = NewStaffForm
    add_form_template = None  # Django's asks for a password
    add_fieldsets = ((None, {"fields": (*PERSON, "groups")}),)
    readonly_fields = ("last_login", "date_joined")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("locks/", view(self.locks_view), name="auth_user_locks"),
            path("<int:pk>/act/", view(self.act_view), name="auth_user_act"),
            *super().get_urls(),
        ]

    # Who may open which account

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or may_manage_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_view_permission(request, obj) or may_manage_staff(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) or may_manage_staff(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        may_change = super().has_change_permission(request, obj) or may_manage_staff(request)
        return may_change and may_manage(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and may_manage(request, obj)

    # The form of an account

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or staff_of(request).is_superuser:
            return super().get_fieldsets(request, obj)
        return (
            (None, {"fields": PERSON}),
            ("Access", {"fields": ("is_active", "groups")}),
            ("Important dates", {"fields": self.readonly_fields}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, *RIGHTS) if obj == request.user else fields

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = accounts.assignable_groups(staff_of(request)).order_by("name")
            kwargs["widget"] = forms.CheckboxSelectMultiple()
            kwargs["help_text"] = "They decide what the account may do."
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        if not change:
            obj.is_staff = True
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: bool = False,  # noqa: FBT001, FBT002  Django's signature
    ) -> Any:
        """With old and new values, except for passwords."""
        if add or not isinstance(form, forms.ModelForm):
            return super().construct_change_message(request, form, formsets, add)
        changes = [
            f"{form.fields[name].label}: {written(form.initial.get(name))} → "
            f"{written(form.cleaned_data[name])}"
            for name in form.changed_data
            if name in (*PERSON, *RIGHTS)
        ]
        return f"Changed {'; '.join(changes)}." if changes else "No changes."

    # What is done to an account by a button

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        """Administrators make a link, so that only its owner knows the password.

        One's own password needs the old one, so that nobody keeps an account by a stolen session.
        """
        if not staff_of(request).is_superuser:
            raise PermissionDenied
        if self.get_object(request, unquote(id)) == request.user:
            return redirect("admin:password_change")
        return super().user_change_password(request, id, form_url)

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        target = self.get_object(request, str(pk))
        if target is None or request.method != "POST":
            raise Http404
        # One's own password and second factor need the old password and a code.
        if not self.has_change_permission(request, target) or target == request.user:
            raise PermissionDenied
        match request.POST.get("action"):
            case "link" if target.is_active and target.is_staff:
                return self.make_link(request, target)
            case "unlock":
                signin.unlock_account(target)
                return self.done(request, target, "Unlocked the sign-in.")
            case "reset" if "confirmed" not in request.POST:
                context = {"title": "Reset the second factor", "account": target}
                return self.page(request, "confirm_reset", context)
            case "reset" if second_factor.reset(target):
                return self.done(request, target, "Reset the second factor.")
        return redirect("admin:auth_user_change", target.pk)

    def make_link(self, request: HttpRequest, target: User) -> HttpResponse:
        token = accounts.link_token(staff_of(request), target)
        address = request.build_absolute_uri(reverse("admin:set_password"))
        accounts.record(staff_of(request), target, "Made a link to set the password.")
        context = {
            "title": "Link to set the password",
            "account": target,
            "link": f"{address}#{token}",
            "hours": accounts.LINK_HOURS,
        }
        return self.page(request, "link", context)

    def locks_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        locks = list(signin.locks())
        if request.method == "POST":
            for lock in locks:
                if request.POST.get("lock") == f"{lock.address} {lock.name}":
                    signin.unlock(lock)
                    name = lock.name or "every name"
                    sentence = f"Unlocked the sign-in of {name} at {lock.address}."
                    accounts.record(staff_of(request), staff_of(request), sentence)
                    messages.success(request, sentence)
            return redirect("admin:auth_user_locks")
        context = {
            "title": "Locked sign-ins",
            "locks": locks,
            "limit": settings.AXES_FAILURE_LIMIT,
            "address_limit": settings.AXES_FAILURE_LIMIT * signin.ADDRESS_LIMIT_FACTOR,
            "minutes": int(settings.AXES_COOLOFF_TIME.total_seconds()) // 60,
        }
        return self.page(request, "locks", context)

    def done(self, request: HttpRequest, target: User, sentence: str) -> HttpResponse:
        accounts.record(staff_of(request), target, sentence)
        messages.success(request, sentence)
        return redirect("admin:auth_user_change", target.pk)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        context = self.admin_site.each_context(request) | context
        return render(request, f"admin/auth/user/{template}.html", context)

    def get_deleted_objects(
        self, objs: QuerySet[Any] | Sequence[Any], request: HttpRequest
    ) -> tuple[Any, Any, Any, Any]:
        """Checks before Django does, which would load the whole history to list it."""
        reasons = [why for user in objs if (why := why_not_deletable(user, request.user))]
        return ([], {}, set(), reasons) if reasons else super().get_deleted_objects(objs, request)


@admin.register(Group)
class GroupsAdmin(StrictListMixin, GroupAdmin):
    pass


def may_manage_staff(request: HttpRequest) -> bool:
    return staff_of(request).has_perm(MANAGE_STAFF)


def may_manage(request: HttpRequest, account: Model | None) -> bool:
    return not isinstance(account, User) or accounts.may_manage(staff_of(request), account)


def written(value: Any) -> str:
    """The value of a field of an account, for its history."""
    if isinstance(value, list | QuerySet):
        return ", ".join(sorted(map(str, value))) or "(none)"
    return {True: "yes", False: "no"}.get(value) or str(value or "(none)")


def why_not_deletable(user: User, staff: Any) -> str:
    """Why staff cannot delete the user. Empty if they can."""
    if user == staff:
        return "You cannot delete your own account."
    if has_history(user):
        return f"{user} cannot be deleted, because the history of their changes must be kept."
    return ""


def has_history(user: User) -> bool:
    """Changes, or views of the audit."""
    return any(
        records.exists()
        for records in (LogEntry.objects.filter(user=user), PageView.objects.filter(staff=user))
    )


@receiver(pre_delete, sender=User)
def keep_history(instance: User, **_: Any) -> None:
    """The foreign key alone would not prevent it, since Django deletes the entries first."""
    if has_history(instance):
        raise ProtectedError(
            f"The user {instance.pk} has a history. Make the account inactive instead.", set()
        )
