"""Memory that processes share, for named numbers: the master creates it before it forks workers."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from tempfile import TemporaryFile

CELLS = 1024
NAME_BYTES = 120
VALUES_BYTES = CELLS * 8
SLOT_BYTES = VALUES_BYTES + CELLS * NAME_BYTES
"""Ten operations with all their statuses and buckets need 300 cells. Memory that is not used is
never allocated."""


class Slot:
    """The numbers of one worker at a time. Cell 0 counts the names, cell 1 is for all the rest."""

    def __init__(self, memory: memoryview) -> None:
        self.values = memory[:VALUES_BYTES].cast("d")
        self._names = memory[VALUES_BYTES:]

    def names(self) -> list[bytes]:
        starts = range(0, int(self.values[0]) * NAME_BYTES, NAME_BYTES)
        return [bytes(self._names[start : start + NAME_BYTES]).rstrip(b"\0") for start in starts]

    def read(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for cell, name in enumerate(self.names(), start=2):
            yield tuple(name.decode().split("\t")), self.values[cell]

    def add(self, name: bytes) -> int:
        """The cell of a new name, which is counted after it is written, so nobody reads half."""
        used = int(self.values[0])
        if used + 2 == CELLS or len(name) > NAME_BYTES:
            return 1
        self._names[used * NAME_BYTES : used * NAME_BYTES + len(name)] = name
        self.values[0] = used + 1
        return used + 2


class Region:
    """The slots. A worker holds the lock of its slot, which the system releases when it dies.

    There are more slots than workers, because a worker may be replaced before it ends.
    """

    def __init__(self, workers: int) -> None:
        slots = 2 * workers + 2
        memory = memoryview(mmap.mmap(-1, slots * SLOT_BYTES))
        starts = range(0, slots * SLOT_BYTES, SLOT_BYTES)
        self.slots = [Slot(memory[start : start + SLOT_BYTES]) for start in starts]
        with TemporaryFile() as file:
            self._locks = os.dup(file.fileno())

    def take(self) -> Slot | None:
        return next((slot for n, slot in enumerate(self.slots) if self._lock(n)), None)

    def is_taken(self, number: int) -> bool:
        """Only another process than the one that took the slot may ask."""
        if self._lock(number):
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, number)
            return False
        return True

    def _lock(self, number: int) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True
