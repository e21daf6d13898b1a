from django.contrib import admin

from tasks.admin.action_views import ActionsMixin
from tasks.admin.audit import AuditedMixin
from tasks.admin.change import ChangePageMixin
from tasks.admin.changelist import TaskListMixin
from tasks.admin.export import ExportMixin
from tasks.admin.owner import OwnerPageMixin
from tasks.admin.saved_views import SavedViewsMixin
from tasks.admin.trash import TrashAdmin
from tasks.admin.undo import UndoMixin
from tasks.models import Task

admin.site.site_header = admin.site.site_title = "Tasks"
admin.site.site_url = "/docs"
admin.site.index_title = "Tasks and staff"
admin.site.enable_nav_sidebar = False  # the list of tasks needs the width


__all__ = ["TaskAdmin", "TrashAdmin"]


@admin.register(Task)
class TaskAdmin(
    AuditedMixin,
    ChangePageMixin,
    OwnerPageMixin,
    UndoMixin,
    ActionsMixin,
    ExportMixin,
    SavedViewsMixin,
    TaskListMixin,
):
    pass
