"""The key ring: when it fetches the key set, and what it does with the answers."""

import math
import random
import threading
import time

import pytest

from authjwt import keys
from authjwt.exceptions import KeysUnavailable, NoKeySet
from authjwt.fetch import TIMEOUT
from authjwt.jwks import Key
from authjwt.keys import BACK_OFF, BURST, MAX_AGE, REFILL, KeyRing
from tests.authjwt.conftest import (
    BAD_ANSWERS,
    Answer,
    Clock,
    Gate,
    Issuer,
    Request,
    Signer,
    answer,
    at_once,
    document,
    drip_body,
    drip_headers,
    hang,
    refreshes,
    reset,
    settle,
    signer,
    slow,
)

OLD = signer("EdDSA", "old")
NEW = signer("EdDSA", "new")


def kid_at_random() -> str:
    return f"{random.getrandbits(128):032x}"


# When the key set is fetched


def test_known_key_is_fetched_once(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)

    found = [ring.get("old") for _ in range(100)]

    assert found[0] is not None
    assert all(key is found[0] for key in found)
    assert len(issuer.requests) == 1


def test_load_fetches_only_if_there_are_no_keys(ring: KeyRing, issuer: Issuer) -> None:
    ring.load()
    ring.load()

    assert len(issuer.requests) == 1


def test_rotated_key_is_found_by_the_first_request(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    ring.load()
    issuer.lists(OLD, NEW)

    assert ring.get("new") is not None
    assert ring.get("old") is not None
    assert len(issuer.requests) == 2


def test_key_made_during_a_fetch_is_found_by_its_first_request(
    ring: KeyRing, issuer: Issuer
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD)))
    made_up = threading.Thread(target=ring.get, args=["made-up"])
    made_up.start()
    assert gate.arrived.wait(10)
    issuer.lists(OLD, NEW)
    threading.Timer(0.05, gate.opened.set).start()

    assert ring.get("new") is not None

    made_up.join()
    assert len(issuer.requests) == 3


def test_key_made_while_a_fetch_starts_is_found_by_its_first_request(
    ring: KeyRing, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD)))
    found: list[Key | None] = []
    early = threading.Thread(target=lambda: found.append(ring.get("new")))
    start = threading.Thread.start
    lingered = threading.Event()

    def start_and_linger(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "key-set" and not lingered.is_set():
            lingered.set()
            assert gate.arrived.wait(10)
            issuer.lists(OLD, NEW)
            early.start()
            # It cannot end before the gate opens; this is time to find the refresh.
            early.join(0.1)

    monkeypatch.setattr(threading.Thread, "start", start_and_linger)
    threading.Timer(0.3, gate.opened.set).start()

    assert ring.get("made-up") is None

    early.join()
    assert found == [ring.keys["new"]]


def test_request_beyond_max_waiting_is_refused_immediately(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MAX_WAITING", 1)
    ring = KeyRing(issuer.url)
    gate = issuer.answer = Gate(answer(document(NEW)))
    waiting = threading.Thread(target=ring.get, args=["new"])
    waiting.start()
    assert gate.arrived.wait(10)
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        ring.get("made-up")

    assert time.monotonic() - start < TIMEOUT / 2
    gate.opened.set()
    waiting.join()
    assert ring.get("new") is not None


def test_listeners_get_the_seconds_of_a_wait(
    ring: KeyRing, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(keys, "on_wait", [waits.append])
    issuer.lists(NEW)
    ring.load()
    ring.get("new")

    (seconds,) = waits
    assert 0 < seconds < TIMEOUT


def test_a_fetch_under_way_that_brings_the_key_is_the_last_one(
    ring: KeyRing, issuer: Issuer
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD, NEW)))
    first = threading.Thread(target=ring.get, args=["new"])
    first.start()
    assert gate.arrived.wait(10)
    threading.Timer(0.05, gate.opened.set).start()

    assert ring.get("new") is not None

    first.join()
    assert len(issuer.requests) == 2


def test_many_requests_for_a_new_key_share_one_fetch(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD)))
    made_up = threading.Thread(target=ring.get, args=["made-up"])
    made_up.start()
    assert gate.arrived.wait(10)
    # Slow enough for each of the waiting requests to find this fetch under way.
    issuer.answer = slow(document(OLD, NEW), 0.2)
    threading.Timer(0.1, gate.opened.set).start()

    found = at_once(16, lambda _: ring.get("new"))

    made_up.join()
    assert all(isinstance(key, Key) for key in found)
    assert len(issuer.requests) == 3


def test_requests_at_the_start_share_one_fetch(ring: KeyRing, issuer: Issuer) -> None:
    issuer.answer = slow(document(OLD), 0.2)

    found = at_once(16, lambda _: ring.get("old"))

    assert all(isinstance(key, Key) for key in found)
    assert len(issuer.requests) == 1


def test_made_up_keys_cost_a_handful_of_fetches(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    found = [ring.get(kid_at_random()) for _ in range(1000)]

    assert found == [None] * 1000
    assert len(issuer.requests) == 1 + BURST
    clock.now += REFILL
    assert [ring.get(kid_at_random()) for _ in range(10)] == [None] * 10
    assert len(issuer.requests) == 1 + BURST + 1


def test_the_allowance_never_grows_beyond_the_burst(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    ring.load()
    clock.now += MAX_AGE - 1

    assert [ring.get(kid_at_random()) for _ in range(100)] == [None] * 100

    assert len(issuer.requests) == 1 + BURST


def test_made_up_keys_of_many_threads_cost_a_handful_of_fetches(issuer: Issuer) -> None:
    ring = KeyRing(issuer.url)

    found = at_once(8, lambda _: [ring.get(kid_at_random()) for _ in range(125)])

    assert found == [[None] * 125] * 8
    assert len(issuer.requests) <= 10


def test_a_flood_of_made_up_keys_delays_a_new_key_by_seconds_only(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    for _ in range(100):
        ring.get(kid_at_random())
    issuer.lists(OLD, NEW)

    assert ring.get("new") is None
    clock.now += REFILL
    assert ring.get("new") is not None


# Refresh by age


def test_old_keys_are_refreshed_in_the_background(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD, NEW)))
    clock.now += MAX_AGE - 1
    assert ring.get("old")
    assert refreshes() == []

    clock.now += 1
    assert ring.get("old")
    assert gate.arrived.wait(10)
    assert set(ring.keys) == {"old"}
    gate.opened.set()
    settle()

    assert set(ring.keys) == {"old", "new"}
    assert len(issuer.requests) == 2


def test_a_refresh_resets_the_age(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    issuer.lists(OLD)
    ring.load()
    for _ in range(3):
        clock.now += MAX_AGE
        ring.get("old")
        settle()
        ring.get("old")

    assert len(issuer.requests) == 4
    assert refreshes() == []


def test_time_of_the_last_fetch_and_failures_since_then_are_known(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    assert (ring.fetched_at, ring.failures) == (None, 0)
    ring.load()
    fetched = clock.now
    issuer.answer = answer(b"", 500)
    clock.now += MAX_AGE
    for failures in (1, 2):
        ring.get("key-EdDSA")
        settle()
        assert (ring.fetched_at, ring.failures) == (fetched, failures)
        clock.now += max(BACK_OFF)

    issuer.lists(signer())
    ring.get("key-EdDSA")
    settle()
    assert (ring.fetched_at, ring.failures) == (clock.now, 0)


def test_refresh_by_age_is_not_delayed_by_a_flood(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    for _ in range(100):
        ring.get(kid_at_random())
    so_far = len(issuer.requests)
    issuer.lists(OLD, NEW)
    clock.now += MAX_AGE

    ring.get("old")
    settle()

    assert set(ring.keys) == {"old", "new"}
    assert len(issuer.requests) == so_far + 1


def test_key_that_is_no_longer_listed_is_dropped(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD, NEW)
    ring.load()
    issuer.lists(NEW)
    clock.now += MAX_AGE
    ring.get("old")
    settle()

    assert ring.get("old") is None
    assert ring.get("new") is not None


def test_an_unchanged_set_leaves_the_keys_as_they_are(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    clock.now += MAX_AGE
    ring.get("old")
    settle()

    assert len(issuer.requests) == 2
    assert ring.get("old") is before


def test_other_material_under_the_same_id_replaces_the_key(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.lists(NEW.jwk(kid="old"))
    clock.now += MAX_AGE
    ring.get("old")
    settle()

    after = ring.get("old")
    assert after is not None
    assert after is not before


# An issuer in trouble


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_good_keys_survive_a_bad_answer(bad: Answer, ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.answer = bad

    with pytest.raises(KeysUnavailable):
        ring.get("new")

    assert ring.get("old") is before
    assert len(issuer.requests) == 2


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_without_keys_a_bad_answer_makes_them_unavailable(
    bad: Answer, ring: KeyRing, issuer: Issuer
) -> None:
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable) as caught:
        ring.get("old")

    assert caught.value.retry_after == 1
    assert time.monotonic() - start < 1.3


@pytest.mark.usefixtures("short_timeout")
def test_good_keys_survive_a_refused_connection(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.stop()

    with pytest.raises(KeysUnavailable):
        ring.get("new")

    assert ring.get("old") is before


def test_known_keys_outlive_an_issuer_that_is_down_for_an_hour(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.stop()

    for _ in range(60):
        clock.now += 60
        assert ring.get("old") is before
        settle()

    issuer.lists(OLD, NEW)
    issuer.start()
    clock.now += BACK_OFF[-1]
    assert ring.get("new") is not None


def test_requests_with_known_keys_do_not_wait_for_a_hanging_issuer(issuer: Issuer) -> None:
    clock = Clock()
    ring = KeyRing(issuer.url, clock=clock)
    issuer.lists(OLD)
    ring.load()
    issuer.answer = hang
    clock.now += MAX_AGE
    waiting = threading.Thread(target=lambda: at_once(4, lambda _: ring.get(kid_at_random())))
    waiting.start()
    longest = 0.0
    rounds = 0

    while waiting.is_alive():
        start = time.monotonic()
        assert ring.get("old") is not None
        longest = max(longest, time.monotonic() - start)
        rounds += 1

    waiting.join()
    assert rounds > 1000
    assert longest < 0.5


@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_a_hanging_issuer_ties_up_only_one_thread(
    bad: Answer, ring: KeyRing, issuer: Issuer, clock: Clock, short_timeout: None
) -> None:
    issuer.lists(OLD)
    ring.load()
    issuer.answer = bad
    clock.now += MAX_AGE
    before = threading.active_count()
    asking = threading.Thread(
        target=lambda: at_once(8, lambda _: [ring.get("old"), ring.get(kid_at_random())])
    )
    asking.start()
    most = 0

    while asking.is_alive():
        most = max(most, len(refreshes()))
        asking.join(0.005)

    settle()
    assert most == 1
    assert len(issuer.requests) == 2
    issuer.stop()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_without_a_free_thread_known_keys_still_work(
    ring: KeyRing, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        with pytest.raises(KeysUnavailable):
            ring.get("old")
    issuer.lists(OLD)
    before = ring.get("old")
    clock.now += MAX_AGE
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot_start)
        assert ring.get("old") is before
        assert ring.get("new") is None
    issuer.lists(OLD, NEW)
    assert ring.get("new") is not None


def test_an_outage_is_logged_without_the_answer(
    ring: KeyRing, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answer = answer(b"private matters", 500)

    with pytest.raises(KeysUnavailable):
        ring.load()

    assert [record.getMessage() for record in caplog.records] == [
        f"key set of {ring.url}: the URL of the key set answered 500"
    ]


# Back-off


def test_nothing_is_fetched_during_the_back_off(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.answer = BAD_ANSWERS["500"]
    with pytest.raises(KeysUnavailable):
        ring.load()
    issuer.lists(OLD)
    clock.now += BACK_OFF[0] - 0.1

    with pytest.raises(KeysUnavailable):
        ring.get("old")
    assert len(issuer.requests) == 1

    clock.now += 0.1
    assert ring.get("old") is not None
    assert len(issuer.requests) == 2


def test_back_off_grows_and_is_reset_by_a_good_answer(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.answer = BAD_ANSWERS["500"]
    pauses = []
    for _ in range(len(BACK_OFF) + 1):
        with pytest.raises(KeysUnavailable) as caught:
            ring.load()
        pauses.append(caught.value.retry_after)
        clock.now += caught.value.retry_after

    assert pauses == [1, 2, 5, 15, 30, 30]

    issuer.lists(OLD)
    ring.load()
    issuer.answer = BAD_ANSWERS["500"]
    with pytest.raises(KeysUnavailable) as caught:
        ring.get("new")
    assert caught.value.retry_after == BACK_OFF[0]


def test_retry_after_is_in_whole_seconds_rounded_up(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.answer = BAD_ANSWERS["500"]
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            ring.load()
        clock.now = math.ceil(clock.now + 2)
    clock.now += 0.5

    with pytest.raises(KeysUnavailable) as caught:
        ring.load()

    assert caught.value.retry_after == 3


def test_unknown_key_in_an_outage_is_unavailable_even_without_allowance(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    for _ in range(100):
        ring.get(kid_at_random())
    issuer.stop()
    clock.now += REFILL
    with pytest.raises(KeysUnavailable):
        ring.get("new")
    clock.now += BACK_OFF[0]

    with pytest.raises(KeysUnavailable):
        ring.get("new")


# Several addresses


def at(path: str, *listed: Signer) -> Answer:
    """The key set at this path, and 404 elsewhere."""

    def send(request: Request) -> None:
        there = request.path == path
        answer(document(*listed) if there else b"<!doctype html>", 200 if there else 404)(request)

    return send


@pytest.fixture
def addresses(issuer: Issuer) -> tuple[str, str]:
    return f"{issuer.origin}/auth/jwks", f"{issuer.origin}/auth/.well-known/jwks.json"


def test_the_key_set_is_found_at_the_second_address_and_then_asked_there(
    issuer: Issuer, clock: Clock, addresses: tuple[str, str]
) -> None:
    ring = KeyRing(*addresses, clock=clock)
    issuer.answer = at("/auth/.well-known/jwks.json", OLD)
    assert ring.url == addresses[0]

    assert ring.get("old") is not None

    assert (ring.url, len(issuer.requests)) == (addresses[1], 2)
    issuer.answer = at("/auth/.well-known/jwks.json", OLD, NEW)
    assert ring.get("new") is not None
    assert len(issuer.requests) == 3


def test_an_issuer_that_moves_its_key_set_is_followed(
    issuer: Issuer, clock: Clock, addresses: tuple[str, str]
) -> None:
    ring = KeyRing(*addresses, clock=clock)
    issuer.answer = at("/auth/.well-known/jwks.json", OLD)
    ring.load()
    issuer.answer = at("/auth/jwks", NEW)

    assert ring.get("new") is not None
    assert ring.url == addresses[0]


@pytest.mark.parametrize("bad", [reset, hang])
def test_an_issuer_without_an_answer_is_asked_only_once(
    bad: Answer, issuer: Issuer, addresses: tuple[str, str], short_timeout: None
) -> None:
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        KeyRing(*addresses).load()

    settle()
    assert time.monotonic() - start < 2
    assert len(issuer.requests) == 1


def test_good_keys_survive_if_no_address_has_a_key_set(
    issuer: Issuer, clock: Clock, addresses: tuple[str, str]
) -> None:
    ring = KeyRing(*addresses, clock=clock)
    issuer.answer = at("/auth/.well-known/jwks.json", OLD)
    ring.load()
    issuer.answer = answer(b"<!doctype html>", 404)

    with pytest.raises(KeysUnavailable):
        ring.get("made-up")

    assert ring.get("old") is not None
    assert ring.url == addresses[1]


def test_the_failure_of_the_likeliest_address_is_reported(
    issuer: Issuer, addresses: tuple[str, str]
) -> None:
    def by_path(request: Request) -> None:
        answer(b"", 403 if request.path == "/auth/jwks" else 404)(request)

    issuer.answer = by_path

    with pytest.raises(NoKeySet, match="answered 403"):
        KeyRing(*addresses).find()
