from django.contrib import admin

from tasks.models import Task

admin.site.site_header = admin.site.site_title = "Tasks"
admin.site.site_url = "/docs"


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable when it runs
    list_display = ("id", "user_id", "title", "complete", "priority", "created_at")
    list_filter = ("complete", "priority")
    search_fields = ("=id", "=user_id")
    search_help_text = "An exact task id or user id."
    ordering = ("-id",)
    show_full_result_count = False
    readonly_fields = ("completed_at", "created_at", "updated_at")
