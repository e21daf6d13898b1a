"""The master process: granian's server, and what it lacks.

On SIGTERM it drains before it ends. Its workers end with it, also when it is killed. It starts a
dead worker again however often it dies.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

import structlog
from granian.server.mp import MPServer

from config.server.process import SharedState

log = structlog.get_logger()


class Master(MPServer):
    """load: makes the application, in each worker.

    when_started: called once the workers are started, in the main thread.
    """

    def __init__(
        self,
        *,
        load: Callable[[], Any],
        workers: int,
        drain_seconds: int,
        when_started: Callable[["Master"], None] | None,
        **options: Any,
    ) -> None:
        super().__init__("config.wsgi:application", workers=workers, **options)
        self.load = load
        self.shared = SharedState(workers)
        self.drain_seconds = drain_seconds
        self.when_started = when_started

    def run(self) -> None:
        self.serve(target_loader=partial(load_in_worker, self.shared, self.load), wrap_loader=False)

    def startup(self, *args: Any, **kwargs: Any) -> None:
        super().startup(*args, **kwargs)  # type: ignore[no-untyped-call]
        if self.when_started:
            self.when_started(self)

    def signal_handler_interrupt(self, number: int = 0, *_: Any) -> None:
        """SIGTERM drains first; a second one, and Ctrl-C, do not wait for the end of that."""
        if os.getpid() != self.pid:
            os._exit(0)  # a worker that has only been forked, and still has this handler
        begins = not self.shared.draining.value
        self.shared.draining.value = True
        if number == signal.SIGTERM and begins and self.drain_seconds:
            Thread(target=self._drain, name="drain", daemon=True).start()
        else:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _drain(self) -> None:
        log.info("draining", seconds=self.drain_seconds)
        time.sleep(self.drain_seconds)
        super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    @property
    def respawned_wrks(self) -> dict[int, float]:
        """When each worker was started again: granian ends a server in which one dies soon after.

        Always empty, so it does not. Instead, workers that keep dying wait before they start.
        """
        return {}

    @respawned_wrks.setter
    def respawned_wrks(self, _: dict[int, float]) -> None:
        pass


def load_in_worker(shared: SharedState, load: Callable[[], Any]) -> Any:
    """The application of a worker, in its process."""
    # A worker without requests may end at once. Until granian brings handlers of its own, those
    # of the master would be in force, which end nothing here. Ctrl-C is the master's to pass on.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shared.start_worker()
    return load()
