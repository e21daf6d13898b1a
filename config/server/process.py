"""The state that the master process creates before it starts its workers, and shares with them.

Nothing here depends on how a worker is started, by fork or by spawn.
"""

import math
import os
import signal
import threading
import time
from ctypes import c_bool, c_int
from multiprocessing import Pipe
from multiprocessing.sharedctypes import RawValue
from typing import Any

import structlog

ORPHAN_SECONDS = 1.0
"""How long a worker may continue to serve its requests after its master has died."""
WAKE_INTERVAL = 1.0
"""Seconds between signals that only wake the main thread. Without them, it would not notice a
SIGTERM that arrives just before it starts to wait."""
STABLE_SECONDS = 10.0
"""A worker that has lived this long counts as stable, so the next restart is without a pause."""
MIN_PAUSE = 0.2
MAX_PAUSE = 10.0


class SharedState:
    """draining: true when the server is about to end, and new requests should go elsewhere.

    restarts: how many workers have restarted since the last stable one; negative while the first
    ones start. It has no lock, because a worker that is killed would never release it.
    reader, writer: a pipe through which nothing is sent. Only the master keeps the writer open, so
    the readers in the workers see the end of the pipe when the master ends, for whatever reason.
    """

    def __init__(self, workers: int = 0) -> None:
        self.draining = RawValue(c_bool, False)  # noqa: FBT003  the initial value
        self.restarts = RawValue(c_int, -workers)
        self.reader, self.writer = Pipe(duplex=False)

    def start_worker(self) -> None:
        """Called in the worker's process. If workers keep dying, each waits longer to start."""
        global shared  # noqa: PLW0603  one per process
        shared = self
        self.writer.close()
        self.restarts.value += 1
        pause = pause_before(self.restarts.value)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        threading.Thread(
            target=self._watch,
            args=[pause, threading.get_ident()],
            name="watch-master",
            daemon=True,
        ).start()
        if pause:
            structlog.get_logger().warning("worker waits before it starts again", seconds=pause)
            time.sleep(pause)

    def _watch(self, pause: float, main_thread: int) -> None:
        stable_at = time.monotonic() + pause + STABLE_SECONDS
        while not self.reader.poll(WAKE_INTERVAL):
            signal.pthread_kill(main_thread, signal.SIGUSR1)
            if time.monotonic() >= stable_at:
                self.restarts.value = min(self.restarts.value, 0)
                stable_at = math.inf
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)


shared = SharedState()
"""Of this process. Without a server it keeps its initial state, so nothing drains."""


def is_draining() -> bool:
    return bool(shared.draining.value)


def with_connection_close(start_response: Any) -> Any:
    """Makes the client send its next request on another connection."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        return start_response(status, [*headers, ("Connection", "close")], *exc_info)

    return start


def pause_before(restart: int) -> float:
    """Seconds. The first restart has no pause, because one death need not mean more of them."""
    if restart <= 1:
        return 0.0
    return float(min(MIN_PAUSE * 2 ** min(restart - 2, 16), MAX_PAUSE))
