"""The addresses of the resource metadata, to be included at the root of a project."""

from django.urls import path

from authjwt.resource import WELL_KNOWN, metadata

ADDRESS = WELL_KNOWN.removeprefix("/")

urlpatterns = [path(ADDRESS, metadata), path(f"{ADDRESS}/<path:path>", metadata)]
