"""System checks of the environment, which report all errors together before the server starts.

The checks of the server's variables are deployment checks, so only `serve`, `doctor` and
`check --deploy` run them, and they stop no other command.
"""

import re
from typing import Any

from corsheaders.checks import check_settings as check_cors
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from authjwt import conf
from tasks.people.table import COLUMNS

SERVER = "server"
UNKNOWN_ORIGIN = "https://nobody.invalid"


@register(Tags.security)
def check_environment(**_: Any) -> list[CheckMessage]:
    return [Error(error, id="config.E001") for error in settings.ENVIRONMENT_ERRORS]


@register(Tags.security)
def check_better_auth_users(**_: Any) -> list[CheckMessage]:
    known = ", ".join(COLUMNS)
    errors = [
        f"BETTER_AUTH_USER_COLUMNS: {field!a} is not one of {known}."
        for field in settings.BETTER_AUTH_USER_COLUMNS
        if field not in COLUMNS
    ]
    table = settings.BETTER_AUTH_USER_TABLE
    if table and (table.count(".") > 1 or not all(table.split("."))):
        errors.append("BETTER_AUTH_USER_TABLE must be the name of a table, or schema.table.")
    return [Error(error, id="config.E010") for error in errors]


@register(SERVER, deploy=True)
def check_server_environment(**_: Any) -> list[CheckMessage]:
    return [Error(error, id="config.E001") for error in settings.SERVER_ERRORS]


# As an installed app, django-cors-headers would run it before every command.
register(SERVER, deploy=True)(check_cors)


@register(SERVER, deploy=True)
def check_hosts(**_: Any) -> list[CheckMessage]:
    """A host with a scheme, a port or a path matches no request, so all would be refused."""
    return [
        Error(
            f"ALLOWED_HOSTS must contain only host names, without scheme, port or path: {host}",
            id="config.E004",
        )
        for host in settings.ALLOWED_HOSTS
        if "/" in host or (":" in host and not host.startswith("["))
    ]


@register(SERVER, deploy=True)
def check_origins(**_: Any) -> list[CheckMessage]:
    """Cookies are allowed, so no setting may allow every origin."""
    errors: list[CheckMessage] = []
    if {"*", "null"} & set(settings.CORS_ALLOWED_ORIGINS):
        errors.append(
            Error(
                "CORS_ALLOWED_ORIGINS must name each origin: * and null are not allowed.",
                id="config.E002",
            )
        )
    for origin in settings.CORS_ALLOWED_ORIGINS:
        errors += _never_matches(origin)
    for regex in settings.CORS_ALLOWED_ORIGIN_REGEXES:
        try:
            matches_any_origin = re.match(regex, UNKNOWN_ORIGIN)
        except re.error as error:
            errors.append(
                Error(f"CORS_ALLOWED_ORIGIN_REGEXES: {error} in {regex}", id="config.E003")
            )
            continue
        if matches_any_origin:
            errors.append(
                Error(
                    f"CORS_ALLOWED_ORIGIN_REGEXES: {regex} allows every origin.", id="config.E002"
                )
            )
    return errors


def _never_matches(origin: str) -> list[CheckMessage]:
    """django-cors-headers compares origins as they are written, without wildcards."""
    if "*" in origin and origin != "*":
        error = f"CORS_ALLOWED_ORIGINS has no wildcards: {origin} would match no origin."
        hint = f"Use CORS_ALLOWED_ORIGIN_REGEXES: {_as_regex(origin)}"
    elif (written := conf.origin(origin)) not in ("", origin.rstrip("/")):
        error = f"CORS_ALLOWED_ORIGINS: {origin} would match no origin."
        hint = f"Browsers write it as {written}"
    else:
        return []
    return [Error(error, hint=hint, id="config.E006")]


def _as_regex(origin: str) -> str:
    """Wildcards become a part of a host name, or a port."""
    url = origin if "://" in origin else f"https://{origin}"
    regex = re.escape(url.rstrip("/")).replace(r"\-", "-")
    return regex.replace(r":\*", ":[0-9]+").replace(r"\*", "[a-z0-9-]+")
