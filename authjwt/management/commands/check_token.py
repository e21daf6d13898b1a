"""Says, rule by rule, why the token on standard input is refused.

On standard input and nowhere else: arguments stand in the shell's history and in lists of
processes. The keys are fetched anew, so a running server may still know older ones.
"""

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from authjwt.bearer import verifier
from authjwt.checks import TOKENS
from authjwt.exceptions import KeysUnavailable
from authjwt.explanation import Explanation, Line
from authjwt.tokens import MOST_CHARACTERS

MOST_BYTES = 8 * MOST_CHARACTERS
PREFIXES = ("authorization:", "bearer")
WIDTHS = (11, 13)


class Command(BaseCommand):
    help = "Reads a token from standard input and says, rule by rule, why it is refused."

    def check(self, *args: Any, **options: Any) -> None:
        super().check(*args, **options)
        super().check(tags=[TOKENS], include_deployment_checks=True)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", metavar="ID", help="also say whether it opens /api/ID/...")

    def handle(self, *, user: str | None, **_: Any) -> None:
        if sys.stdin.isatty():
            self.stderr.write("Paste the token, then press Enter and Ctrl-D.")
        token = bare(sys.stdin.buffer.read(MOST_BYTES).decode(errors="replace"))
        # A verifier of its own: the keys of the process stay as they are.
        explanation = Explanation(token, verifier.__wrapped__(), time.time(), user)
        for line in explanation.lines():
            self._write(line)
        self._conclude(explanation)

    def _write(self, line: Line) -> None:
        style = {"ok": self.style.SUCCESS, "wrong": self.style.ERROR}.get(line.status, str)
        status = style(line.status.ljust(WIDTHS[1]))
        text = line.text
        if line.status != "wrong":
            self.stdout.write(f"{line.rule:{WIDTHS[0]}}{status}{text.found}".rstrip())
            return
        self.stdout.write(f"{line.rule:{WIDTHS[0]}}{status}found     {text.found}")
        self.stdout.write(f"{'':{sum(WIDTHS)}}expected  {text.expected}")
        self.stdout.write(f"{'':{sum(WIDTHS)}}to mend   {text.advice}")

    def _conclude(self, explanation: Explanation) -> None:
        failure = explanation.failure
        if failure is None:
            self.stdout.write(self.style.SUCCESS("\nThe token is good."))
            return
        word = "Not decided" if isinstance(failure, KeysUnavailable) else "Refused"
        self.stdout.write(self.style.ERROR(f"\n{word}: {failure}"))
        sys.exit(1)


def bare(text: str) -> str:
    """The token of a header line, of `Bearer ...`, or alone."""
    token = text.strip()
    for prefix in PREFIXES:
        if token.lower().startswith(prefix):
            token = token[len(prefix) :].lstrip()
    return token
