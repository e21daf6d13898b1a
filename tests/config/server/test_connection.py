"""What a call sends and returns, and how long it waits, whatever the database does."""

import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from time import perf_counter
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from config.server.connection import (
    AnswerLost,
    Connection,
    ConnectionFailed,
    ShardAnswerLost,
    ShardNotReached,
    cause_of,
)
from tests.server import database_url

LONG = 5.0
SHORT = 0.5


@pytest.fixture
def connection(db: None) -> Iterator[Connection]:
    with closing(Connection(database_url().encode(), perf_counter() + LONG)) as opened:
        yield opened


def test_all_addresses_of_a_host_share_the_deadline() -> None:
    start = perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conninfo = f"host=127.0.0.1,127.0.0.1 port={silent.getsockname()[1]} connect_timeout=2"
        with pytest.raises(ConnectionFailed) as caught:
            Connection(conninfo.encode(), start + SHORT)

    assert caught.value.cause == "timeout"
    assert SHORT - 0.1 < perf_counter() - start < SHORT + 1


def test_a_closed_port_is_refused() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        Connection(b"host=127.0.0.1 port=1", perf_counter() + LONG)

    assert caught.value.cause == "refused"


def test_any_error_of_libpq_while_connecting_is_a_failed_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For example, when the socket is closed between two addresses."""
    failing = Mock(side_effect=psycopg.OperationalError("the connection is lost"))
    monkeypatch.setattr(Connection, "_open", failing)
    with pytest.raises(ConnectionFailed) as caught:
        Connection(b"host=127.0.0.1 port=1", perf_counter() + LONG)

    assert caught.value.cause == "no_connection"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("connection to server at ... failed: Connection refused", "refused"),
        ('connection to server on socket "/x/.s.PGSQL.5432" failed: No such file', "refused"),
        ("connection failed: No route to host", "refused"),
        ('could not translate host name "x" to address: Name or service not known', "dns"),
        ('FATAL:  password authentication failed for user "x"', "password"),
        ("fe_sendauth: no password supplied", "password"),
        ('FATAL:  role "x" does not exist', "password"),
        ('FATAL:  no pg_hba.conf entry for host "::1", user "x", no encryption', "password"),
        ("FATAL:  sorry, too many clients already", "too_many"),
        ("FATAL:  remaining connection slots are reserved for roles", "too_many"),
        ('FATAL:  too many connections for role "x"', "too_many"),
        ("server does not support SSL, but SSL was required", "tls"),
        ("SSL error: certificate verify failed", "tls"),
        ("connection timeout expired", "timeout"),
        ("FATAL:  the database system is starting up", "no_connection"),
    ],
)
def test_each_kind_of_failure_has_a_cause(message: str, cause: str) -> None:
    assert cause_of(message) == cause


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"host": "nobody.invalid"}, "dns"),
        ({"host": "127.0.0.1", "port": "1"}, "refused"),
        ({"host": "/nowhere"}, "refused"),
        ({"user": "nobody"}, "password"),
    ],
)
def test_libpq_names_the_cause(db: None, changed: dict[str, str], cause: str) -> None:
    conninfo = make_conninfo(database_url(), **changed).encode()
    with pytest.raises(ConnectionFailed) as caught:
        Connection(conninfo, perf_counter() + LONG)

    assert caught.value.cause == cause


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("[tasks] PQconnectPoll: connection to server failed: Connection refused", ShardNotReached),
        ("[tasks] connect timeout to: host=db1", ShardNotReached),
        ("[tasks] query timeout", ShardAnswerLost),
        ("[tasks] PQconsumeInput: server closed the connection unexpectedly", ShardAnswerLost),
    ],
)
def test_an_error_of_a_proxy_says_whether_a_shard_may_have_done_it(
    connection: Connection, message: str, kind: type[Exception]
) -> None:
    message = f"PL/Proxy function tasks_api.create_task(2): {message}"
    statement = f"DO $$ BEGIN RAISE internal_error USING MESSAGE = '{message}'; END $$"
    with pytest.raises(kind):
        connection.call(statement.encode(), [], LONG)

    assert connection.call(b"SELECT 1", [], LONG) == [b"1"]


def test_libpq_says_that_a_server_has_no_tls() -> None:
    def refuse(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.recv(8)  # SSLRequest
            client.sendall(b"N")

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=refuse, args=[server], daemon=True).start()
        conninfo = f"host=127.0.0.1 port={server.getsockname()[1]} sslmode=require"
        with pytest.raises(ConnectionFailed) as caught:
            Connection(conninfo.encode(), perf_counter() + LONG)

    assert caught.value.cause == "tls"


def test_a_connection_is_closed_after_a_late_answer(connection: Connection) -> None:
    start = perf_counter()
    with pytest.raises(AnswerLost):
        connection.call(b"SELECT pg_sleep($1)", [b"3"], SHORT)

    assert not connection.is_open
    assert SHORT - 0.1 < perf_counter() - start < SHORT + 1


def test_a_call_sends_and_returns_text(connection: Connection) -> None:
    statement = b"SELECT $1::int + 1, $2::text, repeat($2, 100000), nullif($2, 'x')"
    for _ in range(3):
        answer = [b"42", b"x", b"x" * 100_000, None]
        assert connection.call(statement, [b"41", b"x"], LONG) == answer


@pytest.mark.parametrize("commits_each", [True, False])
def test_a_pipeline_is_one_transaction_or_one_for_each_statement(
    connection: Connection, *, commits_each: bool
) -> None:
    transaction = (b"SELECT pg_current_xact_id_if_assigned() IS NULL, pg_current_xact_id()", ())
    for _ in range(2):
        first, second = connection.pipeline([transaction] * 2, LONG, commits_each=commits_each)
        assert isinstance(first, list)
        assert isinstance(second, list)
        assert (second[0] == b"t") is (first[1] != second[1]) is commits_each

    assert connection.call(b"SELECT 1", [], LONG) == [b"1"]


@pytest.mark.parametrize(
    ("statements", "commits_each", "answers"),
    [
        ([b"SELECT 1", b"SELECT 1 / 0"], True, [[b"1"], "22012"]),
        ([b"SELECT 1 / 0", b"SELECT 1"], True, ["22012", [b"1"]]),
        ([b"SELECT 1", b"SELECT 1 / 0"], False, [[b"1"], "22012"]),
    ],
)
def test_a_statement_that_fails_in_a_pipeline_leaves_the_connection_as_it_was(
    connection: Connection, statements: list[bytes], *, commits_each: bool, answers: list[Any]
) -> None:
    pipeline = [(statement, ()) for statement in statements]
    results = connection.pipeline(pipeline, LONG, commits_each=commits_each)

    assert [getattr(result, "sqlstate", result) for result in results] == answers
    assert connection.call(b"SELECT 1", [], LONG) == [b"1"]


def test_a_pipeline_without_an_answer_closes_the_connection(connection: Connection) -> None:
    with pytest.raises(AnswerLost):
        connection.pipeline(
            [(b"SELECT 1", ()), (b"SELECT pg_sleep($1)", [b"3"])], SHORT, commits_each=True
        )

    assert not connection.is_open


def test_a_pipeline_refuses_nul(connection: Connection) -> None:
    with pytest.raises(psycopg.DataError):
        connection.pipeline([(b"SELECT $1::text", [b"a\0b"])], LONG, commits_each=True)

    assert connection.call(b"SELECT 1", [], LONG) == [b"1"]


def test_a_value_may_be_larger_than_the_buffer_of_the_socket(connection: Connection) -> None:
    large = b"x" * 20_000_000

    assert connection.call(b"SELECT length($1::text)", [large], LONG) == [b"20000000"]


def test_a_call_that_fails_leaves_the_connection_as_it_was(connection: Connection) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.call(b"SELECT 1 / $1::int", [b"0"], LONG)
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.call(b"SELECT nonsense $1", [b"0"], LONG)

        assert connection.call(b"SELECT 4 / $1::int", [b"2"], LONG) == [b"2"]


def test_a_text_is_never_truncated(connection: Connection) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        connection.call(b"SELECT $1::text", [b"alice\0's neighbour"], LONG)


def test_an_exception_during_a_call_closes_the_connection(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_next_result", Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        connection.call(b"SELECT $1::text", [b"alice"], LONG)

    assert not connection.is_open


def backend_of(connection: Connection) -> int:
    (pid,) = connection.call(b"SELECT pg_backend_pid()", [], LONG)
    assert pid
    return int(pid)


def test_a_backend_that_is_terminated_during_a_call_loses_the_answer(
    connection: Connection,
) -> None:
    pid = b"%d" % backend_of(connection)
    with pytest.raises(AnswerLost):
        connection.call(b"SELECT pg_terminate_backend($1::int)", [pid], LONG)

    assert not connection.is_open


def test_an_answer_that_is_cut_off_is_lost(connection: Connection) -> None:
    """As by a server that is killed, or by a broken network."""
    with socket.socket(fileno=socket.dup(connection._libpq.socket)) as wire:  # noqa: SLF001
        wire.shutdown(socket.SHUT_RD)
    with pytest.raises(AnswerLost):
        # An immediate answer could still be read.
        connection.call(b"SELECT pg_sleep($1::float)", [b"0.5"], LONG)

    assert not connection.is_open


def test_a_connection_that_was_closed_while_idle_is_stale(connection: Connection) -> None:
    assert not connection.is_stale
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend_of(connection)])

    assert connection.is_stale
