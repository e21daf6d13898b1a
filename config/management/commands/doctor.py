"""Checks the whole installation, and says for each part that it is ok, or how to fix it.

It runs whatever is broken: no system check must pass first.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from authjwt.report import Report
from authjwt.wording import count
from config.operator.diagnosis import diagnose
from config.operator.diagnosis.check import Check

NAME_WIDTH = 19


class Command(BaseCommand):
    help = "Checks the whole installation, and says what is wrong and how to fix it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object, for programs"
        )

    def handle(self, **options: Any) -> None:
        report = Report(self, NAME_WIDTH)
        checks = []
        for check in diagnose():
            checks.append(check)
            if not options["json"]:
                report.line(check.name, check.status, check.detail, *_advice(check))
        problems = sum(check.status == "wrong" for check in checks)
        if options["json"]:
            answer = {"ok": not problems, "checks": [asdict(check) for check in checks]}
            self.stdout.write(json.dumps(answer, indent=2))
        elif problems:
            report.verdict("wrong", f"{count(problems, 'problem')} found.")
        else:
            report.verdict("ok", "All is well.")
        if problems:
            sys.exit(1)


def _advice(check: Check) -> Iterator[str]:
    if check.advice:
        yield f"{'note' if check.status == 'warning' else 'fix'}: {check.advice}"
