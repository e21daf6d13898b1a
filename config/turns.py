"""How many requests run at once, each with connections to the database of its own.

A thread that still waits for a body, or for its turn, has none. So there may be hundreds of
threads, a client that sends slowly keeps nobody waiting, and the connections stay few: the last
one used is the first one used again.
"""

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, cast

from django.db import connections

if TYPE_CHECKING:
    from config.database.base import DatabaseWrapper

TURNS = 16
LONGEST_WAIT = 1.4
"""Seconds for a turn. With more, a statement that its timeout ends could outlive its request."""


class Turn:
    def __init__(self) -> None:
        self.connections = {
            alias: cast("DatabaseWrapper", connections.create_connection(alias))
            for alias in connections
        }
        for connection in self.connections.values():
            connection.inc_thread_sharing()
            connection.others = [it for it in self.connections.values() if it is not connection]

    def begin(self) -> None:
        """Makes its connections those of this thread."""
        for alias, connection in self.connections.items():
            connections[alias] = connection


class Turns:
    def __init__(self, number: int = TURNS) -> None:
        self._idle = [Turn() for _ in range(number)]
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in self._idle:
            self._free.put(None)

    def take(self, seconds: float = LONGEST_WAIT) -> Turn | None:
        """Without a turn the request goes on, but must send no statement: see `due`."""
        try:
            self._free.get(timeout=seconds)
        except Empty:
            Turn().begin()
            return None
        turn = self._idle.pop()
        turn.begin()
        return turn

    def give(self, turn: Turn) -> None:
        self._idle.append(turn)
        self._free.put(None)
