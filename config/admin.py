"""The pages on which staff are looked after. Who has a history stays, made inactive."""

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

from tasks.admin.changelist import StrictList

admin.site.unregister((User, Group))


@admin.register(User)
class StaffAdmin(StrictList, UserAdmin):  # type: ignore[type-arg] # not subscriptable when it runs
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
        """Looks before Django does, which would load the whole history to show it."""
        kept = [why for user in objs if (why := why_kept(user, request.user))]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)


@admin.register(Group)
class GroupsAdmin(StrictList, GroupAdmin):
    pass


def why_kept(user: User, by: Any) -> str:
    """The reason why a user cannot be deleted; empty if there is none."""
    if user == by:
        return "You cannot delete your own account."
    if has_history(user):
        return f"{user} cannot be deleted: the history of what they changed has to stay."
    return ""


def has_history(user: User) -> bool:
    return LogEntry.objects.filter(user=user).exists()


@receiver(pre_delete, sender=User)
def keep_history(instance: User, **_: Any) -> None:
    """Django deletes the entries first, so the foreign key alone would not hold it back."""
    if has_history(instance):
        raise ProtectedError(f"The user {instance.pk} has a history: make it inactive.", set())
