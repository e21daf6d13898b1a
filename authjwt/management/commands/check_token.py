"""Explains, rule by rule, why the token on standard input is refused.

The token is no argument, since arguments appear in the history of the shell and in lists of
processes. The keys are fetched again, so a running server may still have older ones.
"""

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from authjwt.bearer import verifier
from authjwt.checks import TOKENS
from authjwt.exceptions import KeysUnavailable
from authjwt.explanation import Explanation, Line
from authjwt.report import Report
from authjwt.tokens import MAX_CHARACTERS

MAX_BYTES = 8 * MAX_CHARACTERS
PREFIXES = ("authorization:", "bearer")
NAME_WIDTH = 11


class Command(BaseCommand):
    help = "Reads a token from standard input and explains, rule by rule, why it is refused."

    def check(self, *args: Any, **options: Any) -> None:
        super().check(*args, **options)
        super().check(tags=[TOKENS], include_deployment_checks=True)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", metavar="ID", help="also check whether it opens /api/ID/...")

    def handle(self, *, user: str | None, **_: Any) -> None:
        if sys.stdin.isatty():
            self.stderr.write("Paste the token, then press Enter and Ctrl-D.")
        token = bare(sys.stdin.buffer.read(MAX_BYTES).decode(errors="replace"))
        # A separate verifier, so that the keys of the process stay as they are.
        explanation = Explanation(token, verifier.__wrapped__(), time.time(), user)
        report = Report(self, NAME_WIDTH)
        for line in explanation.lines():
            report.line(line.rule, line.status, *_texts(line))
        if failure := explanation.failure:
            word = "Not decided" if isinstance(failure, KeysUnavailable) else "Refused"
            report.verdict("wrong", f"{word}: {failure}")
            sys.exit(1)
        report.verdict("ok", "The token is good.")


def _texts(line: Line) -> tuple[str, ...]:
    text = line.text
    if line.status != "wrong":
        return (text.found,)
    return (
        f"found     {text.found or 'nothing'}",
        f"expected  {text.expected}",
        f"fix       {text.advice}",
    )


def bare(text: str) -> str:
    """The token without the header name and `Bearer`, if they were pasted with it."""
    token = text.strip()
    for prefix in PREFIXES:
        if token.lower().startswith(prefix):
            token = token[len(prefix) :].lstrip()
    return token
