"""Names the origins that may not call the API in the log.

All that the developer of a frontend sees in the browser is that CORS blocked the call. The server
cannot say more there, since the browser hides the answer.
"""

import re
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

INTERVAL = 60.0
MAX_ORIGINS = 20
"""Per INTERVAL and worker. Anybody can send made-up origins, which must not flood log or memory."""
MAX_LENGTH = 300
"""Longer than any origin of a browser: a host has at most 253 characters."""
UNPRINTABLE = re.compile("[^!-~]")

ALLOW = "Add it to CORS_ALLOWED_ORIGINS, if it is yours, and restart."
SERVE = "A page that was opened from a file, or in a sandbox, has this origin: serve it over HTTP."


class RefusedOrigins:
    """Logs each origin immediately, and again at most once per INTERVAL."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}

    def report(self, origin: str) -> None:
        origin = UNPRINTABLE.sub("?", origin[:MAX_LENGTH])
        with self._lock:
            now = self._clock()
            self._logged = {name: at for name, at in self._logged.items() if now - at < INTERVAL}
            if origin in self._logged or len(self._logged) >= MAX_ORIGINS:
                return
            self._logged[origin] = now
        log.warning("origin not allowed", origin=origin, fix=SERVE if origin == "null" else ALLOW)


refused = RefusedOrigins()
