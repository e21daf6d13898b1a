"""Where verification keys come from: the key set of the issuer.

A key set is fetched seldom and never by a request whose key is known. What an issuer can do
wrong (be slow, down, replaced by an error page, flooded through us) costs at most new keys.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from authjwt.exceptions import KeysUnavailable
from authjwt.fetch import TIMEOUT, fetch
from authjwt.jwks import Key, parse

log = logging.getLogger(__name__)

FRESH = 300.0
BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0)
BURST = 3
REFILL = 5.0
"""Seconds. The age that starts a refresh, the pauses after failures in a row;
and for unknown keys a token bucket: so many fetches at once, and one more per so many seconds."""

MAX_WAITING = 64
"""Requests that wait for a key set at once. Further ones are refused, since each holds a thread."""

on_wait: list[Callable[[float], object]] = []
"""Called with the seconds that a request has waited for a key set."""


@dataclass
class Refresh:
    """One fetch that is under way; several requests may wait for its end."""

    done: threading.Event = field(default_factory=threading.Event)
    succeeded: bool = False


class KeyRing:
    """The keys of one issuer by id, shared by the threads of a process.

    A known key is one dictionary look-up. An unknown one starts a refresh, or waits for the one
    under way. `fetch` and `clock` (seconds, never backwards) are for tests. `fetched_at` is when
    the last fetch succeeded, and `failures` is how many have failed since then.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.keys: Mapping[str, Key] = {}
        self.fetched_at: float | None = None
        self.failures = 0
        self._document: bytes | None = None
        self.fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._refresh: Refresh | None = None
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._due = 0.0
        self._retry_at = -math.inf
        self._allowance = float(BURST)
        self._counted_at = clock()

    def get(self, kid: str) -> Key | None:
        """The key with this id; None where the issuer does not list it.

        Raises KeysUnavailable where the issuer could not be asked.
        """
        if key := self.keys.get(kid):
            if self._clock() >= self._due:
                self._begin()
            return key
        if under_way := self._refresh:
            # It may have begun before the key was made. What begins from here on has not.
            self._wait(under_way)
        if kid not in self.keys:
            refresh = self._begin(limited=bool(self.keys))
            if refresh or self.failures or not self.keys:
                self._wait(refresh)
        return self.keys.get(kid)

    def load(self) -> None:
        """Fetches the key set where no key is there yet; raises KeysUnavailable."""
        if not self.keys:
            self._wait(self._begin())

    def _wait(self, refresh: Refresh | None) -> None:
        if refresh is None or not self._wait_in_turn(refresh) or not refresh.succeeded:
            raise self._unavailable()

    def _wait_in_turn(self, refresh: Refresh) -> bool:
        """Whether the fetch has ended in time."""
        start = time.perf_counter()
        if not self._places.acquire(blocking=False):
            return False
        try:
            return refresh.done.wait(TIMEOUT)
        finally:
            self._places.release()
            for tell in on_wait:
                tell(time.perf_counter() - start)

    def _unavailable(self) -> KeysUnavailable:
        pause = math.ceil(max(1.0, self._retry_at - self._clock()))
        return KeysUnavailable(f"no key set from {self.url}", retry_after=pause)

    def _begin(self, *, limited: bool = False) -> Refresh | None:
        """The refresh under way, or a new one.

        None while the back-off lasts, and where a `limited` one would exceed the allowance.
        To join one costs nothing: many requests may meet a new key at the same moment.
        """
        with self._lock:
            if self._refresh or self._clock() < self._retry_at:
                return self._refresh
            if limited and not self._spend():
                return None
            # Told before it begins: who sees no refresh may join any that comes.
            refresh = self._refresh = Refresh()
            thread = threading.Thread(target=self._run, args=[refresh], name="key-set", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # Without a thread to be had, known keys still do.
                self._refresh = None
            return self._refresh

    def _spend(self) -> bool:
        now = self._clock()
        earned = (now - self._counted_at) / REFILL
        self._allowance = min(float(BURST), self._allowance + earned)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _run(self, refresh: Refresh) -> None:
        try:
            document = self.fetch(self.url)
            if document != self._document:
                self.keys, self._document = parse(document), document
            self.failures, self._retry_at = 0, -math.inf
            self.fetched_at = self._clock()
            self._due = self.fetched_at + FRESH
            refresh.succeeded = True
        except Exception as error:  # noqa: BLE001  whatever an issuer does, the good keys stay
            log.warning("key set: %s", error)
            self._retry_at = self._clock() + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
            self.failures += 1
        finally:
            with self._lock:
                self._refresh = None
            refresh.done.set()
