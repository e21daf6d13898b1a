"""For tasks on several servers behind PL/Proxy: prints the SQL for the proxy, and for each shard.

The functions of the proxy are written from those of the shard of DATABASE_URL, so they have the
same names and arguments. Run it again for each release that changes them; `doctor` says when.
"""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from tasks.operations.role import Refusal
from tasks.operations.shards import Shard, proxy_sql

DEFAULT_PORT = 5432


class Command(BaseCommand):
    help = "Prints the SQL for tasks on several servers: for the proxy, or for one of the shards."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "addresses",
            nargs="+",
            type=address,
            metavar="HOST[:PORT]",
            help="the server of each shard, always in the same order",
        )
        parser.add_argument(
            "--ids",
            type=int,
            metavar="N",
            help="print the SQL for the N-th shard, from 1, so that no other one makes its ids",
        )

    def handle(self, *, addresses: list[tuple[str, int]], ids: int | None, **_: Any) -> None:
        if len(set(addresses)) < len(addresses):
            raise CommandError("Two shards have the same address.", returncode=2)
        if ids is not None:
            if not 1 <= ids <= len(addresses):
                raise CommandError(f"--ids must be from 1 to {len(addresses)}.", returncode=2)
            self.stdout.write(Shard(ids, len(addresses)).numbering())
            return
        try:
            self.stdout.write(proxy_sql(connection, addresses))
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(DEFAULT_PORT))
    if not host or not port.isdecimal() or any(char in host for char in " '\\="):
        raise ArgumentTypeError(f"{text!r} is not HOST or HOST:PORT.")
    return host, int(port)
