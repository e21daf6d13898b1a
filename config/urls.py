from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config.api import api
from config.docs import redoc

urlpatterns = [
    path("", api.urls),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("redoc", redoc),
    # The pages of the docs name no icon, and so browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}config/icon.svg")),
]
handler403 = "config.pages.forbidden"
handler404 = "config.pages.not_found"
