"""What `make run` sets up the first time, and prints each time."""

import socket
from contextlib import suppress
from io import StringIO

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, connection

from config.env import generated

STAFF = "admin"
USER = "demo"


def prepare() -> None:
    """Applies migrations and creates a staff account, even if two processes do so concurrently."""
    try:
        call_command("migrate", verbosity=0)
        if not User.objects.filter(username=STAFF).exists():
            with suppress(IntegrityError):  # another process was faster
                User.objects.create_superuser(STAFF, password=staff_password())
    finally:
        connection.close()


def staff_password() -> str:
    return generated(settings.LOCAL / "admin_password")


def answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((reachable(host), port), timeout=1):
        return True
    return False


def reachable(host: str) -> str:
    """An address to connect to: the wildcard addresses are only for listening."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  a key


def announcement(host: str, port: int) -> str:
    address = reachable(host)
    here = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
    token = demo_token()
    curl = " ".join(
        (
            f"curl -X POST {here}{settings.API_URL}{USER}/tasks",
            "-H 'Content-Type: application/json'",
            f"-H 'Authorization: Bearer {token}' -d '{{\"title\": \"Buy milk\"}}'",
        )
    )
    return "\n".join(
        (
            "",
            f"Docs    {here}/docs",
            f"Admin   {here}{settings.ADMIN_URL}  (user {STAFF}, password {staff_password()})",
            f'Token   of the user "{USER}", valid for 7 days:',
            "",
            token,
            "",
            "Create a task:",
            "",
            curl,
            "",
            "Ctrl-C stops the server.",
        )
    )


def demo_token() -> str:
    token = StringIO()
    call_command("issue_token", USER, "--expires=7d", "--outside-development", stdout=token)
    return token.getvalue().strip()
