"""What the request of this thread has cost so far, for its line in the log."""

import threading
from time import perf_counter
from typing import Literal

Awaited = Literal["body", "connection", "keys"]


class Account(threading.local):
    """What stands in the log about one request.

    arrived: when it came, on the clock of `perf_counter`; None between two requests.
    sent: how many statements this thread has sent to the database, of all its requests.
    waits: seconds by what was waited for.
    """

    arrived: float | None = None
    sent = 0
    sent_before = 0

    def __init__(self) -> None:
        self.waits: dict[Awaited, float] = {}

    @property
    def statements(self) -> int:
        return self.sent - self.sent_before

    def begin(self) -> float:
        self.sent_before = self.sent
        self.waits = {}
        self.arrived = perf_counter()
        return self.arrived

    def waited(self, what_for: Awaited, seconds: float) -> None:
        self.waits[what_for] = self.waits.get(what_for, 0.0) + seconds


account = Account()
