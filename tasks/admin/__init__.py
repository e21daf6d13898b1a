from django.contrib import admin

from tasks.admin.action_views import ActionsMixin
from tasks.admin.change import ChangePageMixin
from tasks.admin.changelist import TaskListMixin
from tasks.admin.export import ExportMixin
from tasks.admin.owner import OwnerPageMixin
from tasks.admin.saved_views import SavedViewsMixin
from tasks.models import Task

admin.site.site_header = admin.site.site_title = "Tasks"
admin.site.site_url = "/docs"
admin.site.index_title = "Tasks and staff"
admin.site.enable_nav_sidebar = False  # the list of tasks needs the width


@admin.register(Task)
class TaskAdmin(
    ChangePageMixin, OwnerPageMixin, ActionsMixin, ExportMixin, SavedViewsMixin, TaskListMixin
):
    pass
