"""Shared settings of the Django peers, with one persistent database connection per thread.

Of the middleware of `startproject`, only what an API without sessions needs. So the peers do less
per request than this project.
"""

import os

from psycopg.conninfo import conninfo_to_dict

_url = conninfo_to_dict(os.environ["DATABASE_URL"])

DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["peers.tasks"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
APPEND_SLASH = False
USE_I18N = False
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url["dbname"],
        "USER": _url["user"],
        "PASSWORD": _url.get("password", ""),
        "HOST": _url["host"],
        "PORT": _url.get("port", ""),
        "CONN_MAX_AGE": None,
    }
}
