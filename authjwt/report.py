"""The layout of a report on a terminal, one line per check, as `doctor` and `check_token` print it.

name       status       text
                        more text, such as advice
"""

from typing import Literal

from django.core.management.base import BaseCommand

Status = Literal["ok", "warning", "wrong", "not reached"]

STATUS_WIDTH = 13


class Report:
    """Prints lines on the standard output of `command`, in its colours."""

    def __init__(self, command: BaseCommand, name_width: int) -> None:
        self._write = command.stdout.write
        self._name_width = name_width
        style = command.style
        self._styles = {"ok": style.SUCCESS, "warning": style.WARNING, "wrong": style.ERROR}

    def line(self, name: str, status: Status, text: str, *below: str) -> None:
        styled = self._styles.get(status, str)(status.ljust(STATUS_WIDTH))
        self._write(f"{name:{self._name_width}}{styled}{text}".rstrip())
        for more in below:
            self._write(f"{'':{self._name_width + STATUS_WIDTH}}{more}")

    def verdict(self, status: Status, text: str) -> None:
        self._write(self._styles[status](f"\n{text}"))
