"""Where verification keys come from: the key set of the issuer.

A key set is fetched rarely, and never by a request whose key is known. If the issuer is slow, down,
replaced by an error page or flooded through us, only new keys are affected.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from authjwt.exceptions import KeysUnavailable, NoKeySet
from authjwt.fetch import TIMEOUT, fetch
from authjwt.jwks import Key, parse
from authjwt.wording import plain

log = logging.getLogger(__name__)

MAX_AGE = 300.0
"""Seconds after which a key set is refreshed in the background."""

BACK_OFF = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds to the next fetch, after one, two, ... failures in a row."""

BURST = 3
REFILL = 5.0
"""The token bucket for unknown keys: BURST fetches, and one more every REFILL seconds."""

MAX_WAITING = 64
"""Requests that may wait for a key set at the same time. More are refused, since each holds a
thread."""

on_wait: list[Callable[[float], object]] = []
"""Called with the seconds that a request has waited for a key set."""


@dataclass
class Refresh:
    """A fetch under way; several requests may wait for its end."""

    done: threading.Event = field(default_factory=threading.Event)
    succeeded: bool = False


@dataclass(frozen=True)
class KeySet:
    """A fetched key set: its address, its JSON, and the usable keys in it by id."""

    url: str
    document: bytes
    keys: Mapping[str, Key]


class KeyRing:
    """The keys of one issuer by id, shared by the threads of a process.

    A known key takes one dictionary look-up. An unknown one starts a refresh, or waits for the one
    under way.

    urls: where the key set may be; the first one that answers with a key set is used.
    url: where it was found; until then the first one.
    fetch, clock: replaced by tests; the clock is in seconds and never goes back.
    fetched_at: when the last successful fetch ended, on this clock.
    failures: how many fetches have failed since then.
    """

    def __init__(
        self,
        *urls: str,
        fetch: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.urls = urls
        self.url = urls[0]
        self.keys: Mapping[str, Key] = {}
        self.fetched_at: float | None = None
        self.failures = 0
        self._document: bytes | None = None
        self.fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._refresh: Refresh | None = None
        self._slots = threading.BoundedSemaphore(MAX_WAITING)
        self._refresh_at = 0.0
        self._retry_at = -math.inf
        self._allowance = float(BURST)
        self._counted_at = clock()

    def get(self, kid: str) -> Key | None:
        """The key with this id; None if the issuer does not list it.

        Raises KeysUnavailable if the key set could not be fetched.
        """
        if key := self.keys.get(kid):
            if self._clock() >= self._refresh_at:
                self._begin()
            return key
        if under_way := self._refresh:
            # It may have begun before the issuer made the key. Any later refresh has not.
            self._wait(under_way)
        if kid not in self.keys:
            refresh = self._begin(limited=bool(self.keys))
            if refresh or self.failures or not self.keys:
                self._wait(refresh)
        return self.keys.get(kid)

    def load(self) -> None:
        """Fetches the key set unless there are keys already; raises KeysUnavailable."""
        if not self.keys:
            self._wait(self._begin())

    def find(self) -> KeySet:
        """Fetches the key set and leaves the ring as it is. Raises KeysUnavailable.

        Only an issuer that answers with something else than a key set is asked at the next address.
        """
        failure: NoKeySet | None = None
        for url in sorted(self.urls, key=lambda url: url != self.url):
            try:
                return self._fetch(url)
            except NoKeySet as error:
                failure = failure or error
        raise failure or NoKeySet("no address of a key set")

    def _fetch(self, url: str) -> KeySet:
        document = self.fetch(url)
        if document == self._document:
            return KeySet(url, document, self.keys)
        try:
            return KeySet(url, document, parse(document))
        except ValueError as error:
            raise NoKeySet(str(error)) from error

    def _wait(self, refresh: Refresh | None) -> None:
        if refresh is None or not self._ends_in_time(refresh) or not refresh.succeeded:
            raise self._unavailable()

    def _ends_in_time(self, refresh: Refresh) -> bool:
        """Waits for the refresh to end; False if it takes too long or too many requests wait."""
        start = time.perf_counter()
        if not self._slots.acquire(blocking=False):
            return False
        try:
            return refresh.done.wait(TIMEOUT)
        finally:
            self._slots.release()
            for notify in on_wait:
                notify(time.perf_counter() - start)

    def _unavailable(self) -> KeysUnavailable:
        pause = math.ceil(max(1.0, self._retry_at - self._clock()))
        return KeysUnavailable(f"no key set from {self.url}", retry_after=pause)

    def _begin(self, *, limited: bool = False) -> Refresh | None:
        """The refresh under way, or a new one.

        None during the back-off, and if a `limited` one would exceed the allowance. Joining a
        refresh is free, since many requests may need a new key at the same time.
        """
        with self._lock:
            if self._refresh or self._clock() < self._retry_at:
                return self._refresh
            if limited and not self._spend():
                return None
            # Set before it begins, so that a request that sees none may join any later one.
            refresh = self._refresh = Refresh()
            thread = threading.Thread(target=self._run, args=[refresh], name="key-set", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # No thread is available: the known keys can still be used.
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
            found = self.find()
            self.url, self._document, self.keys = found.url, found.document, found.keys
            self.failures, self._retry_at = 0, -math.inf
            self.fetched_at = self._clock()
            self._refresh_at = self.fetched_at + MAX_AGE
            refresh.succeeded = True
        except Exception as error:  # noqa: BLE001  whatever an issuer does, the good keys stay
            self._retry_at = self._clock() + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
            self.failures += 1
            log.warning("key set of %s: %s", plain(self.url), error)
        finally:
            with self._lock:
                self._refresh = None
            refresh.done.set()
