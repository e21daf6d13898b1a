"""Statistics of the request that this thread serves, for its log line and the metrics."""

import threading
from time import perf_counter
from typing import Literal

WaitedFor = Literal["body", "connection", "keys"]


class RequestStats(threading.local):
    """arrived: when the request arrived, by `perf_counter`; None between two requests.

    statements_sent: how many statements this thread has sent to the database, in all its requests.
    waits: seconds of waiting, by what the request waited for.
    """

    arrived: float | None = None
    statements_sent = 0
    _sent_before = 0

    def __init__(self) -> None:
        self.waits: dict[WaitedFor, float] = {}

    @property
    def statements(self) -> int:
        return self.statements_sent - self._sent_before

    def begin(self) -> float:
        self._sent_before = self.statements_sent
        self.waits = {}
        self.arrived = perf_counter()
        return self.arrived

    def add_wait(self, waited_for: WaitedFor, seconds: float) -> None:
        self.waits[waited_for] = self.waits.get(waited_for, 0.0) + seconds


stats = RequestStats()
