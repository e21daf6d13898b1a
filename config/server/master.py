"""The master process: granian's server, with what it lacks.

On SIGTERM it drains before it ends. Its workers end with it, even if it is killed. It restarts a
dead worker, however often the worker dies.
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
    """load: returns the application, in each worker.

    when_started: called in the main thread after the workers have started.
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
        """SIGTERM drains first. A second SIGTERM, or Ctrl-C, ends the drain."""
        if os.getpid() != self.pid:
            os._exit(0)  # a worker that was just forked, and still has this handler
        is_first = not self.shared.draining.value
        self.shared.draining.value = True
        if number == signal.SIGTERM and is_first and self.drain_seconds:
            Thread(target=self._drain, name="drain", daemon=True).start()
        else:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _drain(self) -> None:
        log.info("draining", seconds=self.drain_seconds)
        time.sleep(self.drain_seconds)
        super().signal_handler_interrupt()  # type: ignore[no-untyped-call]

    @property
    def respawned_wrks(self) -> dict[int, float]:
        """When each worker was restarted: granian ends a server in which one dies soon afterwards.

        Always empty, so that granian does not. Instead, workers that keep dying wait before they
        start.
        """
        return {}

    @respawned_wrks.setter
    def respawned_wrks(self, _: dict[int, float]) -> None:
        pass


def load_in_worker(shared: SharedState, load: Callable[[], Any]) -> Any:
    """Called in the worker's process; returns its application."""
    # Until granian installs its handlers, the master's would be in force, which do not end a
    # worker. A worker without requests may end immediately. The master handles Ctrl-C for all.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shared.start_worker()
    return load()
