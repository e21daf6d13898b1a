"""Measures filtered, sorted and paged lists of users with many tasks, beside a peer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from urllib.parse import urlencode

from tests.benchmarks import report
from tests.benchmarks.comparison import Bench, Sample, Scene, Usage, bench, sample, turns
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.load import Expected, Request, Result
from tests.benchmarks.operations import LIST, Person, ask, hold, people, verify_locks
from tests.benchmarks.servers import OURS, PEERS, Candidate
from tests.benchmarks.stored import PAGE, QUESTIONS, Page, Question, Stored, content

PEER = next(peer for peer in PEERS if peer.name == "fastapi_sqlmodel")
"""The one whose list has the same filters."""

MAX_RATIO = 3
"""The goal for CPU, as a multiple of the plain list of 20."""
MAX_P95 = 200
"""The goal for a user with very many tasks, in milliseconds."""


@dataclass(frozen=True)
class Crowd:
    """Users with `tasks` tasks each, and the scenes in which they ask. warm_up: requests."""

    users: int
    tasks: int
    scenes: tuple[Scene, ...]
    warm_up: int

    def operation(self, question: Question) -> str:
        return f"{self.tasks:,}: {question.name}"


BUSY = Crowd(20, 1000, (Scene("EdDSA", connections=32, distance=0, requests=400),), warm_up=300)
ONE_CLIENT = Scene("EdDSA", connections=1, distance=0, requests=30)
TWO_CLIENTS = Scene("EdDSA", connections=2, distance=0, requests=30)
HUGE = Crowd(1, 100_000, (ONE_CLIENT, TWO_CLIENTS), warm_up=12)


def filled(database: Database, *crowds: Crowd) -> Stored:
    return Stored(database, {crowd.tasks: crowd.users for crowd in crowds or (BUSY, HUGE)})


def measure(
    stored: Stored,
    issuer: Issuer,
    candidates: Sequence[Candidate] = (OURS, PEER),
    crowds: Sequence[Crowd] = (BUSY, HUGE),
    *,
    rounds: int,
    share: float = 1,
) -> Iterator[Sample]:
    for turn in turns(rounds):
        for candidate in candidates:
            with bench(candidate, stored.database, issuer) as running:
                usual = people(stored.database, issuer, "EdDSA")
                verify_locks(running.server.url, usual[0], usual[1])
                for crowd in crowds:
                    users = [
                        Person(user, issuer.token(user, "EdDSA"), range(0))
                        for user in stored.users[crowd.tasks]
                    ]
                    yield from _samples(turn, Asking(running, stored, crowd, users, usual), share)


@dataclass(frozen=True)
class Asking:
    """A crowd asks a running server.

    users: those of the crowd. Each has one token for as long as the server runs.
    usual: those of the other benchmarks, with 20 tasks each.
    """

    running: Bench
    stored: Stored
    crowd: Crowd
    users: list[Person]
    usual: list[Person]

    def run(self, question: Question, connections: int, requests: int) -> tuple[Result, Usage]:
        """Verifies the answer to each user, then sends the load.

        No task changes, so answers under load have the sizes of those that were verified.
        """
        url, candidate = self.running.server.url, self.running.server.candidate
        verified, sizes = [], []
        for person in self.users:
            request = _request(url, question, person)
            page = self.stored.page(candidate, person.user_id, question)
            verified.append(request)
            sizes.append(_verify(url, request, page))
        return self.running.send(
            self.crowd.operation(question),
            list(islice(cycle(verified), requests)),
            Expected(200, min(sizes), max(sizes)),
            connections,
        )


def _samples(turn: int, asking: Asking, share: float) -> Iterator[Sample]:
    running, crowd = asking.running, asking.crowd
    connections = max(scene.connections for scene in crowd.scenes)
    running.run(LIST, asking.usual, connections, crowd.warm_up)
    for question in QUESTIONS:
        asking.run(question, connections, crowd.warm_up)
    for scene in crowd.scenes:
        requests = scene.count(share)
        run = running.run(LIST, asking.usual, scene.connections, requests)
        yield sample(turn, running, scene, LIST.name, run)
        for question in QUESTIONS:
            run = asking.run(question, scene.connections, requests)
            yield sample(turn, running, scene, crowd.operation(question), run)


def _request(url: str, question: Question, person: Person) -> Request:
    path = f"{person.path}?{urlencode({**question.params, 'limit': PAGE})}"
    request = Request("GET", path, person.token)
    if question.page == 1:
        return request
    answer = ask(url, request)
    hold(answer.status == 200, request, answer)
    listed = answer.json()
    after = {"cursor": listed["next_cursor"]} if "next_cursor" in listed else {"offset": PAGE}
    return Request("GET", f"{path}&{urlencode(after)}", person.token)


def _verify(url: str, request: Request, page: Page) -> int:
    """Returns the bytes of the answer."""
    answer = ask(url, request)
    hold(answer.status == 200, request, answer)
    listed = answer.json()
    hold(
        listed["count"] == page.count
        and [content(task) for task in listed["tasks"]] == [row.content() for row in page.rows],
        request,
        answer,
    )
    return len(answer.body)


class Tables:
    """The figures as medians of the rounds, in Markdown.

    crowds: that of the CPU, in one scene, and that of the latencies, in two.
    """

    def __init__(
        self,
        samples: Sequence[report.Sample],
        titles: Mapping[str, str],
        stored: Stored,
        crowds: tuple[Crowd, Crowd] = (BUSY, HUGE),
    ) -> None:
        self._cells = report.cells(samples)
        self._titles = titles
        self._stored = stored
        self._many, self._very_many = crowds

    def __str__(self) -> str:
        return f"{self.cpu()}\n\n{self.latency()}"

    def cpu(self) -> str:
        (scene,) = self._many.scenes
        rows = [[f"page of {PAGE} of {self._many.tasks:,} tasks", "found"]]
        for title in self._titles.values():
            rows[0] += [f"{title}, µs", f"times its {LIST.name}"]
        rows.append([LIST.name, "20"])
        for server in self._titles:
            rows[1] += [report.median(map(report.cpu, self._runs(scene, LIST.name, server))), "1"]
        for question in QUESTIONS:
            row = [question.name, self._found(self._many, question)]
            for server in self._titles:
                runs = self._runs(scene, self._many.operation(question), server)
                row += [
                    report.median(map(report.cpu, runs)),
                    f"{self._ratio(question, server):.2f}",
                ]
            rows.append(row)
        return report.markdown(rows)

    def latency(self) -> str:
        rows = [[f"page of {PAGE} of {self._very_many.tasks:,} tasks", "found"]]
        for title in self._titles.values():
            rows[0] += [
                f"{title}, {_clients(scene)}: p50, p95 in ms" for scene in self._very_many.scenes
            ]
        for question in QUESTIONS:
            row = [question.name, self._found(self._very_many, question)]
            for server in self._titles:
                for scene in self._very_many.scenes:
                    runs = self._runs(scene, self._very_many.operation(question), server)
                    row.append(
                        ", ".join(report.median(run[name] for run in runs) for name in P50_P95)
                    )
            rows.append(row)
        return report.markdown(rows)

    def readme(self) -> str:
        """The row for the table in README."""
        (scene,) = self._many.scenes
        found = {
            server: [
                report.ratios(
                    self._runs(scene, self._many.operation(question), server),
                    self._runs(scene, LIST.name, OURS.name),
                ).median
                for question in QUESTIONS
            ]
            for server in self._titles
        }
        ours = found.pop(OURS.name)
        return report.readme_row(
            f"a page of {PAGE} of {self._many.tasks:,} tasks, filtered or sorted "
            f"(1: a plain {LIST.name} here)",
            f"[{min(ours):.1f} to {max(ours):.1f}](docs/performance.md#filters-and-sorting)",
            found,
        )

    def missed(self) -> list[str]:
        """The goals that our figures miss."""
        missed = [
            f"{self._many.operation(question)}: {ratio:.2f} times the {LIST.name}, "
            f"more than {MAX_RATIO}"
            for question in QUESTIONS
            if (ratio := self._ratio(question, OURS.name)) > MAX_RATIO
        ]
        for scene in self._very_many.scenes:
            for question in QUESTIONS:
                operation = self._very_many.operation(question)
                runs = self._runs(scene, operation, OURS.name)
                p95 = report.spread(run["p95"] for run in runs).median
                if p95 > MAX_P95:
                    missed.append(
                        f"{operation}, {_clients(scene)}: p95 {p95:.0f} ms, more than {MAX_P95}"
                    )
        return missed

    def _runs(self, scene: Scene, operation: str, server: str) -> Sequence[report.Sample]:
        return self._cells[(scene.token, scene.connections, scene.distance, operation)][server]

    def _ratio(self, question: Question, server: str) -> float:
        (scene,) = self._many.scenes
        runs = self._runs(scene, self._many.operation(question), server)
        return report.ratios(runs, self._runs(scene, LIST.name, server)).median

    def _found(self, crowd: Crowd, question: Question) -> str:
        return f"{self._stored.found(crowd.tasks, question):,.0f}"


P50_P95 = ("p50", "p95")


def _clients(scene: Scene) -> str:
    return f"{scene.connections} client{'' if scene.connections == 1 else 's'}"
