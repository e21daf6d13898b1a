"""Measures this project and others in turns, in several scenarios."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic

from psycopg.conninfo import conninfo_to_dict

from tests.benchmarks import load
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.operations import (
    OPERATIONS,
    Operation,
    Person,
    WrongAnswer,
    people,
    plan,
    verify,
    verify_locks,
)
from tests.benchmarks.proxy import Proxy
from tests.benchmarks.servers import Candidate, Server, cpu_seconds, memory

MAX_SECONDS = 15 * 60
"""Of a whole comparison."""

WARM_UP = 300
WARM_UP_CONNECTIONS = 32
"""The maximum of all scenes: with fewer, the first run would pay for connections of later ones."""


@dataclass(frozen=True)
class Scene:
    """distance: round-trip time to the database in milliseconds. requests: per run."""

    token: str
    connections: int
    distance: int
    requests: int

    def count(self, share: float) -> int:
        return max(1, round(self.requests * share))


SCENES = (
    Scene("EdDSA", connections=32, distance=0, requests=800),
    Scene("EdDSA", connections=1, distance=0, requests=300),
    Scene("HS256", connections=32, distance=0, requests=500),
    Scene("EdDSA", connections=1, distance=2, requests=60),
    Scene("EdDSA", connections=32, distance=2, requests=400),
)


@dataclass(frozen=True)
class Sample:
    """One run. CPU in microseconds per request, latencies in milliseconds, memory in MiB.

    answer_bytes: of an answer, its headers included.
    round_trips: waits for the database per request; None without a proxy that counts them.
    """

    turn: int
    server: str
    operation: str
    token: str
    connections: int
    distance: int
    requests: int
    answer_bytes: float
    server_cpu: float
    database_cpu: float
    throughput: float
    p50: float
    p95: float
    p99: float
    memory: float
    round_trips: float | None


@dataclass(frozen=True)
class Usage:
    """Seconds of CPU, and round trips to the database if a proxy counts them."""

    server: float
    database: float
    round_trips: int


@dataclass(frozen=True)
class Bench:
    """A running server, its database, and the proxy between them, if any."""

    server: Server
    database: Database
    proxy: Proxy | None = None

    def run(
        self, operation: Operation, asking: list[Person], connections: int, count: int
    ) -> tuple[load.Result, Usage]:
        """Sends one request and verifies its answer, then the load. Leaves the table unchanged."""
        requests = plan(operation, asking, 1 + count, self.database)
        try:
            expected = verify(self.server.url, operation, requests[0])
            return self.send(operation.name, requests[1:], expected, connections)
        finally:
            if operation.adds_tasks:
                self.database.forget_new_tasks()

    def send(
        self, name: str, requests: Sequence[load.Request], expected: load.Expected, connections: int
    ) -> tuple[load.Result, Usage]:
        before = self.usage()
        result = load.send(self.server.port, requests, expected, connections)
        after = self.usage()
        if result.wrong or not result.answered:
            raise WrongAnswer(
                f"{self.server.candidate.title}, {name}: of {result.answered} answers "
                f"{result.wrong} are not {expected}"
            )
        return result, Usage(
            after.server - before.server,
            after.database - before.database,
            after.round_trips - before.round_trips,
        )

    def usage(self) -> Usage:
        return Usage(
            cpu_seconds(self.server.process.pid),
            cpu_seconds(self.database.pid),
            self.proxy.round_trips if self.proxy else 0,
        )

    def warm_up(self, asking: list[Person]) -> None:
        """Opens connections, prepares statements, and fills the token cache of every worker."""
        verify_locks(self.server.url, asking[0], asking[1])
        for operation in OPERATIONS:
            self.run(operation, asking, WARM_UP_CONNECTIONS, WARM_UP)


def compare(
    candidates: Mapping[Candidate, Database],
    issuer: Issuer,
    *,
    rounds: int,
    share: float = 1,
    scenes: Sequence[Scene] = SCENES,
) -> Iterator[Sample]:
    """candidates: each with its database. share: the fraction of a scene's requests to send."""
    for turn in turns(rounds):
        for candidate, database in candidates.items():
            for distance in sorted({scene.distance for scene in scenes}):
                with bench(candidate, database, issuer, distance) as running:
                    here = [scene for scene in scenes if scene.distance == distance]
                    yield from _samples(turn, running, here, issuer, share)


def turns(rounds: int) -> Iterator[int]:
    """Numbers the rounds from 1.

    A round that would exceed MAX_SECONDS is not started, so a busy machine gets fewer rounds.
    """
    begin = monotonic()
    for turn in range(1, rounds + 1):
        start = monotonic()
        yield turn
        now = monotonic()
        print(f"Round {turn} of {rounds} took {now - start:.0f} s.", flush=True)
        if now - begin + (now - start) > MAX_SECONDS:
            break


@contextmanager
def bench(
    candidate: Candidate, database: Database, issuer: Issuer, distance: int = 0
) -> Iterator[Bench]:
    database.settle()
    with ExitStack() as stack:
        proxy, url = None, database.url
        if distance:
            proxy = stack.enter_context(Proxy(database.address, distance / 1000 / 2))
            url = proxied(database.url, proxy.port)
        server = stack.enter_context(Server(candidate, url, issuer.environment))
        yield Bench(server, database, proxy)


def proxied(url: str, port: int) -> str:
    """The URL of the same database through a local port."""
    given = conninfo_to_dict(url)
    password = f":{given['password']}" if "password" in given else ""
    return f"postgresql://{given['user']}{password}@127.0.0.1:{port}/{given['dbname']}"


def _samples(
    turn: int, running: Bench, scenes: Sequence[Scene], issuer: Issuer, share: float
) -> Iterator[Sample]:
    asking = {
        token: people(running.database, issuer, token)
        for token in sorted({scene.token for scene in scenes})
    }
    for crowd in asking.values():
        running.warm_up(crowd)
    for scene in scenes:
        for operation in OPERATIONS:
            count = scene.count(share)
            run = running.run(operation, asking[scene.token], scene.connections, count)
            yield sample(turn, running, scene, operation.name, run)


def sample(
    turn: int, running: Bench, scene: Scene, operation: str, run: tuple[load.Result, Usage]
) -> Sample:
    result, used = run
    return Sample(
        turn,
        running.server.candidate.name,
        operation,
        scene.token,
        scene.connections,
        scene.distance,
        result.answered,
        answer_bytes=result.received / result.answered,
        server_cpu=used.server / result.answered * 1e6,
        database_cpu=used.database / result.answered * 1e6,
        throughput=result.answered / result.seconds,
        p50=result.p50,
        p95=result.p95,
        p99=result.p99,
        memory=memory(running.server.process.pid) / 2**20,
        round_trips=used.round_trips / result.answered if running.proxy else None,
    )
