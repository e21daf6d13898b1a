"""What the server needs from the operating system before it starts."""

import errno
import io
import resource
import socket
from typing import TextIO

from django.core.management.base import CommandError


def check_port(host: str, port: int) -> None:
    """Raises CommandError if the server cannot listen there.

    The server itself would not notice that another process has the port: it shares its port with
    any process that is willing to share.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise CommandError(
                    f"HOST {host} is not an address of this machine: set HOST to one that is."
                ) from error
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}): set PORT to another one."
            ) from error


def allow_open_files(number: int) -> None:
    """Raises the soft limit. Each socket is an open file, and the limit is often only 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def unbuffered(stream: TextIO) -> TextIO:
    """`multiprocessing` flushes both output streams before it starts a worker.

    With a full disk, a buffer could never be flushed, and no worker would start.
    """
    file = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
