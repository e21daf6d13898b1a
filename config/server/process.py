"""What the master process and its workers share: made by the master before it starts them.

Nothing here depends on how a worker is started, by fork or by spawn.
"""

import os
import signal
import time
from ctypes import c_bool, c_int
from multiprocessing import Pipe
from multiprocessing.sharedctypes import RawValue
from threading import Thread
from typing import Any

import structlog

ORPHAN_SECONDS = 1.0
"""How long requests may go on in a worker whose master has died."""
SOUND_SECONDS = 10.0
"""A worker that lives for so long has not failed at its start."""
MIN_PAUSE = 0.2
MAX_PAUSE = 10.0


class SharedState:
    """draining: set once the server is going to end, and new requests should go elsewhere.

    restarts: how many workers were started again since one was sound; below zero while the first
    ones start. It has no lock, since a worker that is killed would keep it.
    reader, writer: a pipe through which nothing is sent. Only the master keeps the writer, so the
    readers in the workers see the end of the pipe when the master ends, however it ends.
    """

    def __init__(self, workers: int = 0) -> None:
        self.draining = RawValue(c_bool, False)  # noqa: FBT003  its first value
        self.restarts = RawValue(c_int, -workers)
        self.reader, self.writer = Pipe(duplex=False)

    def start_worker(self) -> None:
        """In the process of a worker. Where workers keep dying, each waits longer than the last."""
        global shared  # noqa: PLW0603  of this process
        shared = self
        self.writer.close()
        self.restarts.value += 1
        pause = pause_before(self.restarts.value)
        Thread(target=self._watch, args=[pause], name="watch-master", daemon=True).start()
        if pause:
            structlog.get_logger().warning("worker waits before it starts again", seconds=pause)
            time.sleep(pause)

    def _watch(self, pause: float) -> None:
        if not self.reader.poll(pause + SOUND_SECONDS):
            self.restarts.value = min(self.restarts.value, 0)
            self.reader.poll(None)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)


shared = SharedState()
"""Of this process. It stays as it is where there is no server: nothing drains."""


def is_draining() -> bool:
    return bool(shared.draining.value)


def closing(start_response: Any) -> Any:
    """Tells the client to send its next request on another connection."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        return start_response(status, [*headers, ("Connection", "close")], *exc_info)

    return start


def pause_before(restart: int) -> float:
    """Seconds. The first restart is at once: a single death is no sign of more."""
    if restart <= 1:
        return 0.0
    return float(min(MIN_PAUSE * 2 ** min(restart - 2, 16), MAX_PAUSE))
