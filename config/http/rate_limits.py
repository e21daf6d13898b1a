"""Rate limits: on the requests of one user, and on the refused tokens of one address.

Each worker counts in its own memory. So a limit costs no round trip, and N workers together may
allow up to N times as much: it is a brake, not a meter. Without RATE_LIMIT and RATE_LIMIT_FAILED
nothing of this is installed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil
from threading import Lock
from time import monotonic
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from authjwt import bearer
from authjwt.claims import Claims
from authjwt.exceptions import InvalidToken
from config.http.clients import client_address

MAX_WINDOWS = 20_000
"""How many users, or addresses, a worker counts at the same time. They take up to 10 MB. Beyond
that, the oldest window is forgotten."""

Rate = tuple[int, int]
"""A number of requests, and in how many seconds."""
Available = tuple[int, int]
"""How many requests are left, negative if the limit is exceeded, and for how many seconds."""
Headers = list[tuple[str, str]]
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

COUNTED = "tasks.rate_limit"
"""The key in the WSGI environment for the limit that a request counted for, and what is left."""


class RateLimited(Exception):
    """The request exceeds a rate limit, so nothing was done.

    policy: the name of the limit.
    retry_after: in whole seconds.
    """

    def __init__(self, detail: str, policy: str, retry_after: int) -> None:
        super().__init__(f"{detail} Try again in {retry_after} s.")
        self.policy = policy
        self.retry_after = retry_after


@dataclass(slots=True)
class Window:
    """numbers: of its requests, from 1. Taking the next one needs no lock, unlike adding 1."""

    end: float
    left: int
    numbers: Iterator[int]


class RateLimit:
    """At most so many requests in a window, which begins with the first request.

    The length of a window is fixed, because only then a client can be told exactly how many
    requests are left, and until when. All threads of a worker share the limit.

    policy, field: `RateLimit-Policy`, and the format of `RateLimit`
        (draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4).
    used_up: whether anybody has used the limit up since the start.
    """

    def __init__(self, name: str, rate: Rate, clock: Callable[[], float] = monotonic) -> None:
        self.name = name
        self.requests, self.seconds = rate
        self.policy = f'"{name}";q={self.requests};w={self.seconds}'
        self.field = f'"{name}";r=%d;t=%d'
        self.used_up = False
        self._clock = clock
        self._lock = Lock()
        self._windows: OrderedDict[str, Window] = OrderedDict()
        """By user or address; the oldest first."""

    def __len__(self) -> int:
        return len(self._windows)

    def count(self, key: str) -> Available:
        """Counts a request of this user or address, also if it exceeds the limit."""
        now = self._clock()
        window = self._windows.get(key)
        if window is None or window.end <= now:
            window = self._begin(key, now)
        window.left = left = self.requests - next(window.numbers)
        if left <= 0:
            self.used_up = True
        return left, ceil(window.end - now)

    def available(self, key: str) -> Available | None:
        """None if nothing was counted in the current window."""
        now = self._clock()
        window = self._windows.get(key)
        return (window.left, ceil(window.end - now)) if window and window.end > now else None

    def _begin(self, key: str, now: float) -> Window:
        with self._lock:
            window = self._windows.pop(key, None)
            if window is None or window.end <= now:  # otherwise another thread was faster
                self._forget_oldest(now)
                window = Window(now + self.seconds, self.requests, count(1))
            self._windows[key] = window
            return window

    def _forget_oldest(self, now: float) -> None:
        """More than one for each new window, so that all that have ended will go."""
        for _ in range(2):
            oldest = next(iter(self._windows.values()), None)
            if oldest and (oldest.end <= now or len(self._windows) >= MAX_WINDOWS):
                self._windows.popitem(last=False)


class BearerToken(bearer.BearerToken):
    """As the one that it extends, with limits. OpenAPI uses its name, so the name is the same.

    An address with too many refused tokens is refused before its next token is verified. A request
    counts for a user only after the token and the path are accepted, so that nobody can use up the
    limit of somebody else.
    """

    def __init__(
        self, requests: RateLimit | None, refused_tokens: RateLimit | None, *, owner: str = ""
    ) -> None:
        super().__init__(owner=owner)
        self._requests = requests
        self._refused_tokens = refused_tokens

    def __call__(self, request: HttpRequest) -> Claims:
        if (limit := self._refused_tokens) is not None and limit.used_up:
            self._check_address(request, limit)
        try:
            claims = super().__call__(request)
        except InvalidToken:
            if limit is not None and (address := client_address(request)):
                request.META[COUNTED] = limit, limit.count(address)
            raise
        if (limit := self._requests) is not None:
            available = limit.count(claims.user_id)
            request.META[COUNTED] = limit, available
            if available[0] < 0:
                detail = f"You sent more than {limit.requests} requests in {limit.seconds} s."
                raise RateLimited(detail, limit.name, available[1])
        return claims

    @staticmethod
    def _check_address(request: HttpRequest, limit: RateLimit) -> None:
        address = client_address(request)
        available = limit.available(address) if address else None
        if available and available[0] <= 0:
            request.META[COUNTED] = limit, available
            detail = "Too many tokens that your address sent were refused."
            raise RateLimited(detail, limit.name, available[1])


def bearer_token(*, owner: str) -> bearer.BearerToken:
    """What authenticates the requests of the API: the plain one, if no limit is set."""
    requests, refused_tokens = settings.RATE_LIMIT, settings.RATE_LIMIT_FAILED
    if not (requests or refused_tokens):
        return bearer.BearerToken(owner=owner)
    return BearerToken(
        RateLimit("user", requests) if requests else None,
        RateLimit("refused-tokens", refused_tokens) if refused_tokens else None,
        owner=owner,
    )


def with_fields(application: Application) -> Application:
    """Tells clients what is left of the limit that their request counted for.

    Around Django, because in a middleware the two fields cost three times as much.
    """
    if not (settings.RATE_LIMIT or settings.RATE_LIMIT_FAILED):
        return application

    def limited(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *exc_info: Any) -> Any:
            if counted := environ.get(COUNTED):
                limit, (left, seconds) = counted
                headers += (
                    ("RateLimit-Policy", limit.policy),
                    ("RateLimit", limit.field % (max(0, left), seconds)),
                )
            return start_response(status, headers, *exc_info)

        return application(environ, start)

    return limited
