from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config.http.api import api
from config.http.docs import redoc
from config.staff.pages import nothing

urlpatterns = [
    path("", api.urls),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    # Nothing that staff see here has a page elsewhere that Django could lead to.
    path("admin/r/<path:address>", nothing),
    path("admin/", admin.site.urls),
    path("redoc", redoc, {"api": api}),
    # The pages of the docs name no icon, and so browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}config/icon.svg")),
]
handler400 = "config.staff.pages.bad_request"
handler403 = "config.staff.pages.forbidden"
handler404 = "config.staff.pages.not_found"
