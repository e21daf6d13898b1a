"""System checks of the environment: every fault at once, before the server starts.

Those of the server are deployment checks, so that they stop no other command: `serve`, `doctor` and
`check --deploy` run them.
"""

import re
from typing import Any

from corsheaders.checks import check_settings as check_cors
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

SERVER = "server"
NOBODYS_ORIGIN = "https://nobody.invalid"


@register(Tags.security)
def check_environment(**_: Any) -> list[CheckMessage]:
    return [Error(fault, id="config.E001") for fault in settings.ENVIRONMENT_FAULTS]


@register(SERVER, deploy=True)
def check_server_environment(**_: Any) -> list[CheckMessage]:
    return [Error(fault, id="config.E001") for fault in settings.SERVER_FAULTS]


# As an installed app, django-cors-headers would run it before every command.
register(SERVER, deploy=True)(check_cors)


@register(SERVER, deploy=True)
def check_hosts(**_: Any) -> list[CheckMessage]:
    """A host with a scheme, a port or a path matches nobody: every request would be refused."""
    return [
        Error(
            f"ALLOWED_HOSTS must hold names of hosts alone, without scheme, port and path: {host}",
            id="config.E004",
        )
        for host in settings.ALLOWED_HOSTS
        if "/" in host or (":" in host and not host.startswith("["))
    ]


@register(SERVER, deploy=True)
def check_origins(**_: Any) -> list[CheckMessage]:
    """Cookies are allowed, so an origin that stands for all of them must not be."""
    found: list[CheckMessage] = []
    if {"*", "null"} & set(settings.CORS_ALLOWED_ORIGINS):
        found.append(
            Error(
                "CORS_ALLOWED_ORIGINS must name each origin: neither * nor null.",
                id="config.E002",
            )
        )
    for regex in settings.CORS_ALLOWED_ORIGIN_REGEXES:
        try:
            matches_anybody = re.match(regex, NOBODYS_ORIGIN)
        except re.error as error:
            found.append(
                Error(f"CORS_ALLOWED_ORIGIN_REGEXES: {error} in {regex}", id="config.E003")
            )
            continue
        if matches_anybody:
            found.append(
                Error(
                    f"CORS_ALLOWED_ORIGIN_REGEXES: {regex} lets every origin in.", id="config.E002"
                )
            )
    return found
