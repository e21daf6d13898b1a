"""Looks at the whole installation, and says of each part that it is ok, or what to do.

It runs whatever is broken: no system check has to pass first.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from authjwt.wording import count
from config.operator.diagnosis import diagnose
from config.operator.diagnosis.check import Check

WIDTHS = (19, 13)


class Command(BaseCommand):
    help = "Looks at the whole installation, and says what is wrong and how to mend it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object for a program")

    def handle(self, **options: Any) -> None:
        found = []
        for check in diagnose():
            found.append(check)
            if not options["json"]:
                self._write(check)
        wrong = sum(check.status == "wrong" for check in found)
        if options["json"]:
            answer = {"ok": not wrong, "checks": [asdict(check) for check in found]}
            self.stdout.write(json.dumps(answer, indent=2))
        elif wrong:
            self.stdout.write(self.style.ERROR(f"\n{count(wrong, 'fault')} to mend."))
        else:
            self.stdout.write(self.style.SUCCESS("\nAll is well."))
        if wrong:
            sys.exit(1)

    def _write(self, check: Check) -> None:
        styles = {
            "ok": self.style.SUCCESS,
            "warning": self.style.WARNING,
            "wrong": self.style.ERROR,
        }
        style = styles.get(check.status, str)
        status = style(check.status.ljust(WIDTHS[1]))
        self.stdout.write(f"{check.name:{WIDTHS[0]}}{status}{check.detail}".rstrip())
        if check.advice:
            lead = "note" if check.status == "warning" else "to mend"
            self.stdout.write(f"{'':{sum(WIDTHS)}}{lead}: {check.advice}")
