from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from authjwt.resource import WELL_KNOWN, metadata
from config.http.api import api
from config.http.docs import redoc
from config.staff import pages

ADMIN = settings.ADMIN_URL.removeprefix("/")

urlpatterns = [
    path("", api.urls),
    path(f"{WELL_KNOWN}{settings.API_URL}".strip("/"), metadata),
    path("", include("authjwt.urls")),
    path(ADMIN.rstrip("/"), RedirectView.as_view(pattern_name="admin:index")),
    # In place of the admin's redirects to an object's page on the site: no object has one.
    path(f"{ADMIN}r/<path:address>", pages.nothing),
    path(ADMIN, admin.site.urls),
    path("redoc", redoc, {"api": api}),
    # The pages of the docs name no icon, so browsers request this one.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}config/icon.svg")),
]
handler400 = pages.bad_request
handler403 = pages.forbidden
handler404 = pages.not_found
