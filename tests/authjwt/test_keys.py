"""The key ring: what it asks the issuer, how often, and what it does with the answers."""

import json
import math
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from authjwt import keys
from authjwt.exceptions import KeysUnavailable
from authjwt.keys import BACK_OFF, BURST, FRESH, MOST_BYTES, REFILL, KeyRing, fetch, parse
from tests.authjwt.conftest import (
    ALGORITHMS,
    BAD_ANSWERS,
    Answer,
    Clock,
    Gate,
    Issuer,
    answer,
    at_once,
    b64,
    document,
    drip_body,
    drip_headers,
    hang,
    refreshes,
    settle,
    signer,
    slow,
)

OLD = signer("EdDSA", "old")
NEW = signer("EdDSA", "new")


def kid_at_random() -> str:
    return f"{random.getrandbits(128):032x}"


# When the issuer is asked


def test_known_key_is_asked_for_once(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)

    found = [ring.get("old") for _ in range(100)]

    assert found[0] is not None
    assert all(key is found[0] for key in found)
    assert len(issuer.requests) == 1


def test_the_issuer_is_asked_with_our_own_user_agent(ring: KeyRing, issuer: Issuer) -> None:
    ring.load()

    (headers,) = issuer.requests
    assert headers["User-Agent"] == "better-auth-tasks/0.1 (key set)"
    assert headers["Accept"] == "application/json"
    assert headers["Authorization"] is None


def test_loading_asks_only_where_no_key_is_there(ring: KeyRing, issuer: Issuer) -> None:
    ring.load()
    ring.load()

    assert len(issuer.requests) == 1


def test_rotated_key_is_seen_by_the_first_request(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    ring.load()
    issuer.lists(OLD, NEW)

    assert ring.get("new") is not None
    assert ring.get("old") is not None
    assert len(issuer.requests) == 2


def test_key_made_during_a_fetch_is_seen_by_its_first_request(
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


def test_a_fetch_that_is_only_just_starting_began_before_the_key_too(
    ring: KeyRing, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD)))
    found: list[keys.Key | None] = []
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
            # It cannot end before this does; it needs the time to look around.
            early.join(0.1)

    monkeypatch.setattr(threading.Thread, "start", start_and_linger)
    threading.Timer(0.3, gate.opened.set).start()

    assert ring.get("made-up") is None

    early.join()
    assert found == [ring.keys["new"]]


def test_when_many_wait_the_next_one_is_told_at_once(
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

    assert time.monotonic() - start < keys.TIMEOUT / 2
    gate.opened.set()
    waiting.join()
    assert ring.get("new") is not None


def test_a_wait_is_told(ring: KeyRing, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(keys, "on_wait", [waits.append])
    issuer.lists(NEW)
    ring.load()
    ring.get("new")

    (seconds,) = waits
    assert 0 < seconds < keys.TIMEOUT


def test_a_fetch_under_way_that_brings_the_key_is_enough(ring: KeyRing, issuer: Issuer) -> None:
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


def test_many_requests_meet_a_new_key_at_once(ring: KeyRing, issuer: Issuer) -> None:
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
    assert all(isinstance(key, keys.Key) for key in found)
    assert len(issuer.requests) == 3


def test_requests_at_the_start_share_one_fetch(ring: KeyRing, issuer: Issuer) -> None:
    issuer.answer = slow(document(OLD), 0.2)

    found = at_once(16, lambda _: ring.get("old"))

    assert all(isinstance(key, keys.Key) for key in found)
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
    clock.now += FRESH - 1

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


def test_keys_are_refreshed_in_the_background_when_they_have_aged(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    ring.load()
    gate = issuer.answer = Gate(answer(document(OLD, NEW)))
    clock.now += FRESH - 1
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


def test_a_refresh_starts_a_new_age(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
    issuer.lists(OLD)
    ring.load()
    for _ in range(3):
        clock.now += FRESH
        ring.get("old")
        settle()
        ring.get("old")

    assert len(issuer.requests) == 4
    assert refreshes() == []


def test_it_says_when_it_fetched_and_how_often_it_failed_since(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    assert (ring.fetched_at, ring.failures) == (None, 0)
    ring.load()
    fetched = clock.now
    issuer.answer = answer(b"", 500)
    clock.now += FRESH
    for failures in (1, 2):
        ring.get("key-EdDSA")
        settle()
        assert (ring.fetched_at, ring.failures) == (fetched, failures)
        clock.now += max(BACK_OFF)

    issuer.lists(signer())
    ring.get("key-EdDSA")
    settle()
    assert (ring.fetched_at, ring.failures) == (clock.now, 0)


def test_refresh_by_age_is_not_held_up_by_a_flood(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    for _ in range(100):
        ring.get(kid_at_random())
    so_far = len(issuer.requests)
    issuer.lists(OLD, NEW)
    clock.now += FRESH

    ring.get("old")
    settle()

    assert set(ring.keys) == {"old", "new"}
    assert len(issuer.requests) == so_far + 1


def test_key_that_is_listed_no_longer_is_dropped(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD, NEW)
    ring.load()
    issuer.lists(NEW)
    clock.now += FRESH
    ring.get("old")
    settle()

    assert ring.get("old") is None
    assert ring.get("new") is not None


def test_an_unchanged_set_leaves_the_keys_as_they_are(
    ring: KeyRing, issuer: Issuer, clock: Clock
) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    clock.now += FRESH
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
    clock.now += FRESH
    ring.get("old")
    settle()

    after = ring.get("old")
    assert after is not None
    assert after is not before


# An issuer in trouble


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_good_keys_survive(bad: Answer, ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.answer = bad

    with pytest.raises(KeysUnavailable):
        ring.get("new")

    assert ring.get("old") is before
    assert len(issuer.requests) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_without_a_key_there_is_no_verdict(bad: Answer, ring: KeyRing, issuer: Issuer) -> None:
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable) as caught:
        ring.get("old")

    assert caught.value.retry_after == 1
    assert time.monotonic() - start < 1.3


@pytest.mark.usefixtures("impatient")
def test_good_keys_survive_a_refused_connection(ring: KeyRing, issuer: Issuer) -> None:
    issuer.lists(OLD)
    before = ring.get("old")
    issuer.stop()

    with pytest.raises(KeysUnavailable):
        ring.get("new")

    assert ring.get("old") is before


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, ring: KeyRing, issuer: Issuer) -> None:
    elsewhere = Issuer()
    elsewhere.start()
    elsewhere.lists(signer())
    issuer.answer = answer(b"", status, Location=f"http://localhost:{elsewhere.port}/api/auth/jwks")

    with pytest.raises(KeysUnavailable):
        ring.load()

    elsewhere.stop()
    assert elsewhere.requests == []
    assert len(issuer.requests) == 1


def test_no_redirect_is_followed_on_the_same_host_either(ring: KeyRing, issuer: Issuer) -> None:
    issuer.answer = answer(b"", 302, Location="/jwks")

    with pytest.raises(KeysUnavailable):
        ring.load()

    assert len(issuer.requests) == 1


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
    clock.now += FRESH
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
def test_threads_do_not_pile_up_in_a_tarpit(
    bad: Answer, ring: KeyRing, issuer: Issuer, clock: Clock, impatient: None
) -> None:
    issuer.lists(OLD)
    ring.load()
    issuer.answer = bad
    clock.now += FRESH
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


def test_without_a_thread_to_be_had_known_keys_do(
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
    clock.now += FRESH
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
        "key set: the key set answered 500"
    ]


# Back-off


def test_during_the_back_off_nobody_is_asked(ring: KeyRing, issuer: Issuer, clock: Clock) -> None:
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


def test_a_back_off_is_told_in_whole_seconds_rounded_up(
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


def test_a_spent_allowance_in_an_outage_is_no_verdict_on_the_key(
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


# One fetch


def test_a_slow_answer_is_good(issuer: Issuer) -> None:
    issuer.answer = slow(document(OLD), 0.5)

    assert fetch(issuer.url) == document(OLD)


@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_a_fetch_ends_in_time(bad: Answer, issuer: Issuer, impatient: None) -> None:
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        fetch(issuer.url)

    assert 0.25 < time.monotonic() - start < 1


def test_headers_cut_off_by_the_deadline_are_no_answer(issuer: Issuer, impatient: None) -> None:
    issuer.answer = drip_headers

    with pytest.raises(KeysUnavailable, match=r"took more than 0\.75 s"):
        fetch(issuer.url)


def test_an_answer_may_be_as_large_as_the_limit(issuer: Issuer) -> None:
    whole = document(OLD)
    issuer.answer = answer(whole + b" " * (MOST_BYTES - len(whole)))

    assert len(fetch(issuer.url)) == MOST_BYTES


def test_an_endless_answer_is_refused(issuer: Issuer) -> None:
    issuer.answer = answer(b" " * (MOST_BYTES + 1))

    with pytest.raises(KeysUnavailable, match="more than 524288 bytes"):
        fetch(issuer.url)


def test_a_query_is_kept_and_credentials_are_not(issuer: Issuer) -> None:
    asked = []

    def record(request: Any) -> None:
        asked.append((request.path, request.headers["Host"]))
        answer(b"{}")(request)

    issuer.answer = record

    fetch(f"http://name:word@127.0.0.1:{issuer.port}/jwks?tenant=1")
    fetch(issuer.origin)

    host = f"127.0.0.1:{issuer.port}"
    assert asked == [("/jwks?tenant=1", host), ("/", host)]
    assert all(headers["Authorization"] is None for headers in issuer.requests)


def test_no_proxy_is_used(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert fetch(issuer.url) == document(signer())


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:port/jwks", id="port"),
        pytest.param("http://127.0.0.1:1/a b", id="blank"),
        pytest.param("http://127.0.0.1:1/\u00e9", id="not_ascii"),
        pytest.param("http://nobody.invalid/jwks", id="unknown_host"),
    ],
)
def test_an_address_that_is_none_is_an_outage(url: str) -> None:
    with pytest.raises(KeysUnavailable):
        fetch(url)


def test_a_dead_address_of_a_host_leaves_time_for_the_next(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "TIMEOUT", 1.0)
    with black_hole() as dead:
        resolve_to(monkeypatch, dead, issuer.port)

        assert fetch(issuer.url) == document(signer())


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Every host has these ports of loopback as its addresses."""
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers no attempt to connect: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, signed by itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "issuer.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(issuer: Issuer, certificate: Path) -> str:
    """The address of the issuer, which speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    assert issuer.server
    # The handshake is the business of each connection's own thread.
    issuer.server.socket = context.wrap_socket(
        issuer.server.socket, server_side=True, do_handshake_on_connect=False
    )
    return issuer.url.replace("http:", "https:")


def test_a_set_is_fetched_over_tls(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert fetch(secure) == document(signer())


def test_a_certificate_of_nobody_is_refused(secure: str) -> None:
    with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):
        fetch(secure)


def test_a_certificate_of_another_host_is_refused(
    secure: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with pytest.raises(KeysUnavailable, match="SSLCertVerificationError"):
        fetch(secure.replace("127.0.0.1", "localhost"))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("bad", [hang, drip_headers, drip_body])
def test_a_fetch_over_tls_ends_in_time(
    bad: Answer, secure: str, issuer: Issuer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    issuer.answer = bad
    start = time.monotonic()

    with pytest.raises(KeysUnavailable):
        fetch(secure)

    assert time.monotonic() - start < 1


def test_a_handshake_has_what_the_connection_left_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "TIMEOUT", 1.0)
    with black_hole() as dead, closing(socket.create_server(("127.0.0.1", 0))) as silent:
        resolve_to(monkeypatch, dead, silent.getsockname()[1])
        start = time.monotonic()

        with pytest.raises(KeysUnavailable):
            fetch("https://app.example.com/jwks")

        assert 0.9 < time.monotonic() - start < 1.3


# Which keys are usable


def rsa_jwk(bits: int) -> dict[str, Any]:
    private = rsa.generate_private_key(65537, bits)
    return {**RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "key"}


def ec_jwk(curve: ec.EllipticCurve) -> dict[str, Any]:
    private = ec.generate_private_key(curve)
    return {**ECAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "key"}


def okp_jwk(private: Any) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(private, as_dict=True), "kid": "key"}


USABLE = {
    "eddsa": (signer("EdDSA").jwk(), {"EdDSA"}),
    "es256": (signer("ES256").jwk(), {"ES256"}),
    "es512": (signer("ES512").jwk(), {"ES512"}),
    "ps256": (signer("PS256").jwk(), {"PS256"}),
    "rs256": (signer("RS256").jwk(), {"RS256"}),
    "eddsa_without_alg": (signer("EdDSA").jwk(alg=...), {"EdDSA"}),
    "es256_without_alg": (signer("ES256").jwk(alg=...), {"ES256"}),
    "es512_without_alg": (signer("ES512").jwk(alg=...), {"ES512"}),
    "rsa_without_alg": (signer("RS256").jwk(alg=...), {"PS256", "RS256"}),
    "use_sig": (signer().jwk(use="sig"), {"EdDSA"}),
    "key_ops_verify": (signer().jwk(key_ops=["verify"]), {"EdDSA"}),
    "longest_kid": (signer().jwk(kid="k" * 255), {"EdDSA"}),
    "odd_kid": (signer().jwk(kid="\U0001f511 ../\x00"), {"EdDSA"}),
    "curve_beside_rsa": (signer("RS256").jwk(crv="Ed25519"), {"RS256"}),
    "strangers_members": (signer().jwk(x5c=5, expiresAt=[], ext=True), {"EdDSA"}),
}

UNUSABLE: dict[str, Callable[[], Any]] = {
    "symmetric": lambda: {"kty": "oct", "k": b64(b"s" * 32), "kid": "key", "alg": "HS256"},
    "symmetric_as_eddsa": lambda: {"kty": "oct", "k": b64(b"s" * 32), "kid": "key", "alg": "EdDSA"},
    "use_enc": lambda: signer().jwk(use="enc"),
    "use_null": lambda: signer().jwk(use=None),
    "key_ops_sign": lambda: signer().jwk(key_ops=["sign"]),
    "key_ops_empty": lambda: signer().jwk(key_ops=[]),
    "key_ops_text": lambda: signer().jwk(key_ops="verify"),
    "key_ops_null": lambda: signer().jwk(key_ops=None),
    "weak_rsa": lambda: rsa_jwk(1024),
    "almost_strong_rsa": lambda: rsa_jwk(2040),
    "private_rsa": lambda: (
        {
            **RSAAlgorithm.to_jwk(signer("RS256").private, as_dict=True),
            "kid": "key",
        }
        | {"key_ops": ["verify"]}
    ),
    "private_ec": lambda: {
        **ECAlgorithm.to_jwk(signer("ES256").private, as_dict=True),
        "kid": "key",
    },
    "private_ed25519": lambda: okp_jwk(signer().private),
    "ed448": lambda: okp_jwk(Ed448PrivateKey.generate().public_key()),
    "p_384": lambda: ec_jwk(ec.SECP384R1()),
    "secp256k1": lambda: ec_jwk(ec.SECP256K1()),
    "not_on_the_curve": lambda: signer("ES256").jwk(x=b64(b"\x01" * 32)),
    "short_ed25519": lambda: signer().jwk(x=b64(b"\x01" * 31)),
    "even_exponent": lambda: signer("RS256").jwk(e="Ag"),
    "without_kid": lambda: signer().jwk(kid=...),
    "empty_kid": lambda: signer().jwk(kid=""),
    "long_kid": lambda: signer().jwk(kid="k" * 256),
    "numeric_kid": lambda: signer().jwk(kid=1),
    "null_kid": lambda: signer().jwk(kid=None),
    "list_kid": lambda: signer().jwk(kid=["key"]),
    "alg_of_another_type": lambda: signer().jwk(alg="RS256"),
    "alg_of_another_curve": lambda: signer("ES256").jwk(alg="ES512"),
    "alg_none": lambda: signer().jwk(alg="none"),
    "alg_hs256": lambda: signer("RS256").jwk(alg="HS256"),
    "alg_rs512": lambda: signer("RS256").jwk(alg="RS512"),
    "alg_empty": lambda: signer().jwk(alg=""),
    "alg_null": lambda: signer().jwk(alg=None),
    "alg_list": lambda: signer().jwk(alg=["EdDSA"]),
    "kty_missing": lambda: signer().jwk(kty=...),
    "kty_in_another_case": lambda: signer().jwk(kty="okp"),
    "crv_missing": lambda: signer("ES256").jwk(crv=...),
    "x_missing": lambda: signer().jwk(x=...),
    "n_missing": lambda: signer("RS256").jwk(n=...),
    "a_number": lambda: 1,
    "a_text": lambda: "key",
    "null": lambda: None,
    "a_list": lambda: [signer().jwk()],
    "an_empty_object": dict,
}


@pytest.mark.parametrize(("jwk", "algorithms"), USABLE.values(), ids=USABLE)
def test_a_key_verifies_the_algorithms_of_its_type(
    jwk: dict[str, Any], algorithms: set[str]
) -> None:
    (key,) = parse(document(jwk)).values()

    assert set(key.algorithms) == algorithms


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_key_is_skipped(unusable: Callable[[], Any]) -> None:
    found = parse(document(unusable(), OLD, unusable()))

    assert set(found) == {"old"}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_a_set_of_unusable_keys_is_none(unusable: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="no usable key in the set"):
        parse(document(unusable()))


ABSURD: list[Any] = [
    None, True, 0, -1, 1.5, math.inf, 10**400, "", "A", "=", "AQAB", "\x00", "\ud800", "\u00e9",
    "A" * 10_000, [], [[]], ["verify", []], [{}], {}, {"a": {"b": []}},
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_absurd_members_raise_nothing_but_valueerror(algorithm: str) -> None:
    sound = signer(algorithm).jwk()
    outcomes = set()
    for name in (*sound, "use", "key_ops", "d", "k", "oth", "p", "x5c", "ext"):
        for value in ABSURD:
            try:
                outcomes.add(len(parse(document({**sound, name: value}))))
            except ValueError:
                outcomes.add(0)

    assert outcomes == {0, 1}


def test_of_keys_with_one_id_the_last_counts() -> None:
    found = parse(document(OLD, NEW.jwk(kid="old")))

    (jwk,) = found["old"].algorithms.values()
    assert jwk.key.public_bytes_raw() == NEW.public.public_bytes_raw()


def test_an_unusable_double_does_not_displace_a_key() -> None:
    assert set(parse(document(OLD, OLD.jwk(use="enc")))) == {"old"}


def test_of_more_than_a_hundred_keys_the_first_hundred_count() -> None:
    found = parse(document(*(OLD.jwk(kid=f"{number}") for number in range(150))))

    assert list(found) == [f"{number}" for number in range(100)]


def test_a_set_may_have_members_beside_its_keys() -> None:
    found = parse(json.dumps({"keys": [OLD.jwk()], "note": "\u00e9"}).encode())

    assert set(found) == {"old"}
