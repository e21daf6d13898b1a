import os
import socket
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import psycopg

from tests.benchmarks.comparison import proxied
from tests.benchmarks.database import Database
from tests.benchmarks.proxy import Proxy


def connect(database: Database, proxy: Proxy) -> psycopg.Connection:
    return psycopg.connect(proxied(database.url, proxy.port), autocommit=True)


def test_each_statement_is_one_round_trip(database: Database) -> None:
    with Proxy(database.address, 0) as proxy, connect(database, proxy) as connection:
        before = proxy.round_trips
        for _ in range(3):
            connection.execute("SELECT 1")

        assert proxy.round_trips - before == 3


def test_a_transaction_waits_for_its_begin_and_its_commit_too(database: Database) -> None:
    with Proxy(database.address, 0) as proxy, connect(database, proxy) as connection:
        before = proxy.round_trips
        with connection.transaction():
            connection.execute("SELECT 1")

        assert proxy.round_trips - before == 3


def test_a_pipeline_is_one_round_trip(database: Database) -> None:
    with Proxy(database.address, 0.01) as proxy, connect(database, proxy) as connection:
        before = proxy.round_trips
        with connection.pipeline():
            first = connection.execute("SELECT 1")
            second = connection.execute("SELECT 2")

        assert (first.fetchone(), second.fetchone()) == ((1,), (2,))
        assert proxy.round_trips - before == 1


def test_an_answer_is_delayed_in_both_directions(database: Database) -> None:
    with Proxy(database.address, 0.05) as proxy, connect(database, proxy) as connection:
        start = monotonic()
        connection.execute("SELECT 1")

        assert monotonic() - start >= 0.1


def test_delays_do_not_add_up_over_connections(database: Database) -> None:
    with Proxy(database.address, 0.05) as proxy, ThreadPoolExecutor(20) as pool:
        connections = list(pool.map(lambda _: connect(database, proxy), range(20)))
        start = monotonic()
        for _ in pool.map(lambda connection: connection.execute("SELECT 1"), connections):
            pass

        assert monotonic() - start < 20 * 0.1 / 2
        for connection in connections:
            connection.close()


def test_large_answers_arrive_complete_and_in_order(database: Database) -> None:
    with Proxy(database.address, 0.001) as proxy, connect(database, proxy) as connection:
        before = proxy.round_trips
        rows = connection.execute("SELECT n FROM generate_series(1, 300000) AS n").fetchall()

        assert rows == [(number,) for number in range(1, 300_001)]
        assert proxy.round_trips - before == 1


def test_the_end_of_the_database_reaches_the_client(database: Database) -> None:
    with Proxy(database.address, 0.001) as proxy, connect(database, proxy) as connection:
        with psycopg.connect(database.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            wire.settimeout(10)
            while wire.recv(4096):  # its last message, then the end of the stream
                pass
