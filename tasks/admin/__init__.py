from django.contrib import admin

from tasks.admin.change import ChangePage
from tasks.admin.changelist import Listed
from tasks.admin.export import Exported
from tasks.admin.owner import OwnerPage
from tasks.admin.run import Acting
from tasks.models import Task

admin.site.site_header = admin.site.site_title = "Tasks"
admin.site.site_url = "/docs"
admin.site.index_title = "What staff look after"
admin.site.enable_nav_sidebar = False  # the list of tasks needs the width


@admin.register(Task)
class TaskAdmin(ChangePage, OwnerPage, Acting, Exported, Listed):
    pass
