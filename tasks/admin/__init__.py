from django.contrib import admin

from tasks.admin.change import ChangePage
from tasks.admin.owner import OwnerPage
from tasks.admin.run import Acting
from tasks.models import Task

admin.site.site_header = admin.site.site_title = "Tasks"
admin.site.site_url = "/docs"


@admin.register(Task)
class TaskAdmin(ChangePage, OwnerPage, Acting):
    list_display = ("id", "owner", "title", "complete", "priority", "created_at")
    list_filter = ("complete", "priority")
    search_fields = ("=id", "=user_id")
    search_help_text = "An exact task id or user id."
    ordering = ("-id",)
    show_full_result_count = False
