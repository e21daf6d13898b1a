from django.contrib.admin.apps import AdminConfig


class Staff(AdminConfig):
    default_site = "config.staff.site.Site"
