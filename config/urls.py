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
]
