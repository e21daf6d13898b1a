"""The time that a request has for the database, whatever the database does with it."""

import socket
from collections.abc import Iterator
from time import perf_counter
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.errors import ConnectionTimeout

from config.database import patience
from config.database.patience import PAUSE, PatientConnection, Silence, due
from tests.server import database_url


@pytest.fixture
def _half_a_second() -> Iterator[None]:
    token = due.set(perf_counter() + 0.5)
    yield
    due.reset(token)


@pytest.fixture(autouse=True)
def _silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "silence", Silence())


@pytest.fixture
def connection() -> Iterator[PatientConnection]:
    with PatientConnection.connect(database_url(), autocommit=True) as connected:
        yield connected


@pytest.mark.usefixtures("_half_a_second")
def test_all_addresses_of_a_host_share_the_time_of_a_request() -> None:
    start = perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(ConnectionTimeout):
            PatientConnection.connect(f"host=127.0.0.1,127.0.0.1 port={port}", connect_timeout=2)

    assert 0.4 < perf_counter() - start < 1.5


@pytest.mark.django_db
@pytest.mark.usefixtures("_half_a_second")
def test_a_connection_whose_answer_is_late_is_not_used_again() -> None:
    start = perf_counter()
    with PatientConnection.connect(database_url(), autocommit=True) as connection:
        with pytest.raises(psycopg.OperationalError, match="no answer in the time of a request"):
            connection.execute("SELECT pg_sleep(3)")

        assert connection.closed
    assert 0.4 < perf_counter() - start < 1.5


@pytest.mark.django_db
@pytest.mark.usefixtures("_half_a_second")
def test_nor_is_one_whose_call_is_late() -> None:
    start = perf_counter()
    with PatientConnection.connect(database_url(), autocommit=True) as connection:
        with pytest.raises(psycopg.OperationalError, match="no answer in the time of a request"):
            connection.call(b"SELECT pg_sleep($1)", [b"3"])

        assert connection.closed
    assert 0.4 < perf_counter() - start < 1.5


@pytest.mark.django_db
def test_a_call_gives_and_takes_text(connection: PatientConnection) -> None:
    statement = b"SELECT $1::int + 1, $2::text, repeat($2, 100000), nullif($2, 'x')"
    for _ in range(3):
        answer = [b"42", b"x", b"x" * 100_000, None]
        assert connection.call(statement, [b"41", b"x"]) == answer


@pytest.mark.django_db
def test_a_call_that_fails_leaves_the_connection_as_it_was(connection: PatientConnection) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.call(b"SELECT 1 / $1::int", [b"0"])
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.call(b"SELECT nonsense $1", [b"0"])

        assert connection.call(b"SELECT 4 / $1::int", [b"2"]) == [b"2"]


@pytest.mark.django_db
def test_a_text_is_never_cut_short(connection: PatientConnection) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        connection.call(b"SELECT $1::text", [b"alice\0's neighbour"])


@pytest.mark.django_db
def test_a_call_that_breaks_off_leaves_no_answer_behind(
    connection: PatientConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_next_result", Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        connection.call(b"SELECT $1::text", [b"alice"])

    assert connection.closed


@pytest.mark.django_db
def test_a_call_is_part_of_its_transaction(connection: PatientConnection) -> None:
    connection.execute("CREATE TEMPORARY TABLE made (id int)")
    connection.set_autocommit(False)
    connection.call(b"INSERT INTO made VALUES ($1)", [b"1"])
    connection.rollback()

    assert connection.execute("SELECT count(*) FROM made").fetchone() == (0,)


@pytest.mark.django_db
@pytest.mark.parametrize("calls", [0, 1])
def test_a_server_that_ends_during_a_call_is_an_operational_error(
    connection: PatientConnection, calls: int
) -> None:
    end = b"SELECT pg_terminate_backend(nullif($1::int, 0))"
    for _ in range(calls):
        connection.call(end, [b"0"])
    with pytest.raises(psycopg.OperationalError):
        connection.call(end, [b"%d" % connection.info.backend_pid])

    assert connection.is_stale()


@pytest.mark.django_db
def test_a_command_waits_as_long_as_it_takes() -> None:
    with PatientConnection.connect(database_url(), autocommit=True) as connection:
        assert connection.execute("SELECT pg_sleep(0.3), 1").fetchall() == [("", 1)]


def test_of_a_silent_database_one_request_in_each_pause_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(patience, "perf_counter", lambda: now)
    silence = Silence()
    silence.begin()

    assert silence.refuses()
    now += PAUSE
    assert [silence.refuses(), silence.refuses()] == [False, True]
    silence.end()
    assert not silence.refuses()


def test_a_lost_connection_is_no_silence_while_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(patience, "perf_counter", lambda: now)
    silence = Silence()
    silence.end()
    silence.begin()

    assert not silence.refuses()
