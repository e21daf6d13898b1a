"""The admin pages of staff accounts and groups.

An account with a history cannot be deleted, only made inactive.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import ProtectedError, QuerySet
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import HttpRequest

from tasks.admin.strict_list import StrictListMixin
from tasks.models import PageView

admin.site.unregister((User, Group))


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

    def get_deleted_objects(
        self, objs: QuerySet[Any] | Sequence[Any], request: HttpRequest
    ) -> tuple[Any, Any, Any, Any]:
        """Checks before Django does, which would load the whole history to list it."""
        reasons = [why for user in objs if (why := why_not_deletable(user, request.user))]
        return ([], {}, set(), reasons) if reasons else super().get_deleted_objects(objs, request)


@admin.register(Group)
class GroupsAdmin(StrictListMixin, GroupAdmin):
    pass


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
