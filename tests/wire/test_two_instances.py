"""Two instances of the service behind nginx and PgBouncer, as on a host with two machines."""

import gzip
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Semaphore, Thread
from typing import Any, Self
from urllib.parse import quote

import pytest

from tasks.models import Task
from tests.load import Load, RepeatingClient
from tests.lossy import LossyProxy
from tests.outage import children
from tests.people import SECRET, token_of
from tests.server import Answer, Server, free_port, send
from tests.wire.daemons import Nginx, PgBouncer

BUFFERS = "large_client_header_buffers 4 32k;"
"""As in the README: nginx refuses header lines of 16 kB by default."""
UNBUFFERED = f"{BUFFERS} proxy_request_buffering off; proxy_http_version 1.1;"

LONG_USER_ID = "🦆" * 255


@contextmanager
def deployed(folder: Path) -> Iterator[list[Server]]:
    with ExitStack() as running:
        pooler = running.enter_context(PgBouncer())
        pooler.migrate()
        environment = {
            "DATABASE_URL": pooler.url,
            "BETTER_AUTH_SECRET": SECRET,
        }
        both = [Server(folder / name, **environment) for name in ("first", "second")]
        for server in both:
            running.callback(server.stop)
        for server in both:
            server.wait_until_ready()
        yield both


@pytest.fixture(scope="module")
def shared(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    with deployed(tmp_path_factory.mktemp("instances")) as both:
        yield both


@pytest.fixture
def instances(shared: list[Server], transactional_db: None) -> list[Server]:
    """For tests that do not stop an instance."""
    return shared


def proxy(instances: list[Server], options: str = BUFFERS, **others: str) -> Nginx:
    return Nginx([server.port for server in instances], options, **others)


def request(
    nginx: Nginx, user: str, method: str, path: str = "", body: Any = None, **headers: str
) -> Answer:
    sent = {"Authorization": f"Bearer {token_of(user)}"} | headers
    return send(method, f"{nginx.url}/api/{quote(user, safe='')}/tasks{path}", body, sent)


def handled(server: Server) -> list[str]:
    """The ids of the requests that an instance has answered."""
    lines = map(json.loads, server.log.read_text().splitlines())
    return [line["request_id"] for line in lines if line["event"] == "request"]


def test_a_task_made_by_one_instance_is_read_through_the_other(instances: list[Server]) -> None:
    with proxy(instances) as nginx:
        for number in range(10):
            made = request(nginx, "alice", "POST", "", {"title": "x"}, **id_of(f"post-{number}"))
            address = nginx.url + made.headers["Location"]
            bearer = {"Authorization": f"Bearer {token_of('alice')}"}
            read = send("GET", address, None, bearer | id_of(f"read-{number}"))
            assert (made.status, read.status) == (201, 200)
            assert read.json() == made.json()
            assert read.headers["X-Request-ID"] == f"read-{number}"

    posts = {f"post-{number}" for number in range(10)}
    reads = {f"read-{number}" for number in range(10)}
    first, second = ({*handled(server)} & (posts | reads) for server in instances)
    assert (first, second) in ((posts, reads), (reads, posts))


def id_of(name: str) -> dict[str, str]:
    return {"X-Request-ID": name}


@pytest.mark.parametrize("user", ["a/b", "a//b", "a%2Fb", "../admin", "ü ?#&;=", ".", LONG_USER_ID])
def test_every_user_id_reaches_the_instances(instances: list[Server], user: str) -> None:
    with proxy(instances) as nginx:
        made = [request(nginx, user, "POST", "", {"title": title}) for title in "ab"]
        page = request(nginx, user, "GET", "?limit=1&complete=false")
        following = page.headers["Link"].partition(">")[0].removeprefix("<")
        bearer = {"Authorization": f"Bearer {token_of(user)}"}

        assert [each.status for each in made] == [201, 201]
        assert made[0].json()["user_id"] == user
        last = send("GET", nginx.url + following, None, bearer)
        assert [task["title"] for task in last.json()["tasks"]] == ["a"]
        read = send("GET", nginx.url + made[1].headers["Location"], None, bearer)
        assert read.json() == made[1].json()


@pytest.mark.parametrize(("options", "status"), [(BUFFERS, 200), ("", 400)], ids=["set", "unset"])
def test_a_token_of_16_kb_needs_the_buffers_of_the_readme(
    instances: list[Server], options: str, status: int
) -> None:
    token = token_of("alice", image="x" * 12_000)
    assert 16_000 < len(token) <= 16_384
    with proxy(instances, options) as nginx:
        answer = request(nginx, "alice", "GET", Authorization=f"Bearer {token}")

    assert answer.status == status


@pytest.mark.parametrize("options", [BUFFERS, UNBUFFERED], ids=["buffered", "passed on"])
def test_a_chunked_body_reaches_the_instances(instances: list[Server], options: str) -> None:
    # nginx adds a length if it has the whole body before it connects, even when unbuffered.
    with proxy(instances, options) as nginx:
        wire = HTTPConnection("127.0.0.1", nginx.port, timeout=10)
        wire.request(
            "POST",
            "/api/alice/tasks",
            iter([b'{"title":', b" " * 50_000, b' "in parts"}']),
            {
                "Authorization": f"Bearer {token_of('alice')}",
                "Content-Type": "application/json",
            },
            encode_chunked=True,
        )
        response = wire.getresponse()
        body = json.loads(response.read())
        wire.close()

    assert (response.status, body.get("title")) == (201, "in parts")


@pytest.fixture
def dying() -> Iterator[int]:
    """The port of an instance that closes the connection of a request without an answer."""

    class Dying(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)

    with ThreadingTCPServer(("127.0.0.1", 0), Dying) as listener:
        Thread(target=listener.serve_forever, args=[0.05], daemon=True).start()
        yield listener.server_address[1]
        listener.shutdown()


REQUESTS: dict[str, tuple[str, Any, int]] = {
    "GET": ("/{id}", None, 200),
    "PUT": ("/{id}", {"title": "y", "complete": True}, 200),
    "DELETE": ("/{id}", None, 204),
    "POST": ("", {"title": "y"}, 201),
    "PATCH": ("/{id}", {"complete": True}, 200),
}
IDEMPOTENT = {"GET", "PUT", "DELETE"}


@pytest.mark.parametrize("method", REQUESTS)
def test_nginx_repeats_a_request_that_an_instance_died_of_if_that_is_safe(
    instances: list[Server], dying: int, method: str
) -> None:
    """By default. The other methods are 502: the request may have been done, and only its client
    knows whether to repeat it. `non_idempotent` needs keys, as a test below shows."""
    path, body, status = REQUESTS[method]
    with proxy(instances) as nginx:
        task = request(nginx, "alice", "POST", "", {"title": "x"}).json()
    with Nginx([dying, instances[0].port], BUFFERS) as nginx:
        answer = request(nginx, "alice", method, path.format(**task), body)

    assert answer.status == (status if method in IDEMPOTENT else 502)
    made = 0 if method == "DELETE" else 1
    assert Task.objects.alive().count() == made


@pytest.mark.parametrize("method", REQUESTS)
def test_nginx_sends_a_request_that_an_instance_did_not_accept_to_the_other(
    instances: list[Server], method: str
) -> None:
    path, body, status = REQUESTS[method]
    with proxy(instances) as nginx:
        task = request(nginx, "alice", "POST", "", {"title": "x"}).json()
    with Nginx([free_port(), instances[0].port], BUFFERS) as nginx:
        answer = request(nginx, "alice", method, path.format(**task), body)

    assert answer.status == status


NON_IDEMPOTENT = "proxy_next_upstream error timeout non_idempotent;"


@pytest.mark.parametrize("key", [None, "key"])
def test_nginx_may_repeat_a_post_that_has_a_key(instances: list[Server], key: str | None) -> None:
    """The first instance creates the task, but its answer is lost."""
    headers = {"Idempotency-Key": key} if key else {}
    with (
        LossyProxy(instances[0].port, loses=1, cuts=False) as losing,
        Nginx([losing.port, instances[1].port], BUFFERS, location=NON_IDEMPOTENT) as nginx,
    ):
        made = request(nginx, "alice", "POST", "", {"title": "x"}, **headers)

    assert (losing.lost, made.status) == (1, 201)
    assert made.headers["Idempotent-Replayed"] == ("true" if key else None)
    assert Task.objects.alive().count() == (1 if key else 2)


GZIP = "gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;"


def test_conditions_work_behind_a_proxy_that_compresses(instances: list[Server]) -> None:
    """nginx makes the tag weak, because its bytes are others (RFC 9110, section 8.8.1)."""
    with proxy(instances, f"{BUFFERS} {GZIP}") as nginx, Compressed(nginx, "alice") as client:
        for path in ("", f"/{client.ask('POST', body={'title': 'x' * 100})[2]['id']}"):
            status, headers, content = client.ask("GET", path)
            weak = headers["ETag"]
            assert (status, headers["Content-Encoding"], weak[:3]) == (200, "gzip", 'W/"')
            for method in ("GET", "HEAD"):
                assert client.ask(method, path, If_None_Match=weak)[0] == 304
            assert client.ask("GET", path, If_None_Match='W/"x"')[0] == 200

        change = {"title": "y" * 100}
        status, headers, refused = client.ask("PATCH", path, change, If_Match=weak)
        assert (status, refused["error_code"]) == (412, "PRECONDITION_FAILED")
        by_time = {"If_Match": f'"{content["updated_at"]}"'}
        assert client.ask("PATCH", path, change, **by_time)[0] == 200
        assert client.ask("PATCH", path, change, **by_time)[0] == 412
        assert client.ask("DELETE", path, None, **by_time)[0] == 412
        assert client.ask("DELETE", path, None, If_Match="*")[0] == 204


class Compressed:
    """A client that accepts gzip, on one connection, as a browser."""

    def __init__(self, nginx: Nginx, user: str) -> None:
        self.wire = HTTPConnection("127.0.0.1", nginx.port, timeout=10)
        self.path = f"/api/{user}/tasks"
        self.headers = {
            "Authorization": f"Bearer {token_of(user)}",
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def ask(self, method: str, path: str = "", body: Any = None, **headers: str) -> Any:
        """Status, headers and content of an answer."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        self.wire.request(method, self.path + path, json.dumps(body) if body else None, sent)
        response = self.wire.getresponse()
        # With a length, the answer is not compared with OpenAPI, which is not about encodings.
        data = response.read(10**6)
        response.close()
        if response.headers["Content-Encoding"] == "gzip" and data:
            data = gzip.decompress(data)
        return response.status, response.headers, json.loads(data) if data else None


class Visitor:
    """A client that repeats all operations until `stop` is set, and counts the answers."""

    def __init__(self, nginx: Nginx, user: str, stop: Event, progress: Semaphore) -> None:
        self.wire = HTTPConnection("127.0.0.1", nginx.port, timeout=30)
        self.path = f"/api/{user}/tasks"
        self.headers = {
            "Authorization": f"Bearer {token_of(user)}",
            "Content-Type": "application/json",
        }
        self.stop = stop
        self.progress = progress
        self.answers = Counter[tuple[str, int]]()

    def ask(self, method: str, path: str = "", body: Any = None) -> Any:
        data = json.dumps(body) if body else None
        self.wire.request(method, self.path + path, data, self.headers)
        response = self.wire.getresponse()
        content = response.read()
        self.answers[method, response.status] += 1
        return json.loads(content) if content else None

    def run(self) -> Counter[tuple[str, int]]:
        while not self.stop.is_set():
            task = f"/{self.ask('POST', body={'title': 'x'})['id']}"
            self.ask("GET", task)
            self.ask("PUT", task, {"title": "y", "complete": True})
            self.ask("PATCH", task, {"complete": False})
            self.ask("GET", "?limit=5")
            self.ask("DELETE", task)
            self.progress.release()
        self.wire.close()
        return self.answers


VISITORS = 12
ROUNDS = 120
"""Of all operations, before an instance ends, and again afterwards."""


@pytest.fixture
def own_instances(transactional_db: None, tmp_path: Path) -> Iterator[list[Server]]:
    with deployed(tmp_path) as both:
        yield both


def test_the_end_of_an_instance_under_load_loses_no_request(own_instances: list[Server]) -> None:
    """This needs no option of nginx: an instance that stops answers all requests that it accepted.

    nginx sends the others to the other instance, whatever their method, because they were not sent.
    With kept-alive connections, which nginx does not use by default, a POST could be sent on a
    connection that is just closed, and HTTP has no means to find out that it was not done.
    """
    stop, progress = Event(), Semaphore(0)
    with proxy(own_instances) as nginx, ThreadPoolExecutor(VISITORS) as pool:
        visitors = [Visitor(nginx, f"user-{n}", stop, progress) for n in range(VISITORS)]
        running = [pool.submit(visitor.run) for visitor in visitors]
        try:
            wait_for(progress, ROUNDS)
            own_instances[0].process.send_signal(signal.SIGTERM)
            assert own_instances[0].process.wait(20) == 0
            wait_for(progress, ROUNDS)
        finally:
            stop.set()
        answers = sum((each.result() for each in running), Counter[tuple[str, int]]())

    assert {*answers} == {
        ("POST", 201),
        ("GET", 200),
        ("PUT", 200),
        ("PATCH", 200),
        ("DELETE", 204),
    }
    assert len(handled(own_instances[0])) > ROUNDS


def test_writes_that_are_repeated_with_a_key_survive_the_death_of_an_instance(
    own_instances: list[Server],
) -> None:
    """nginx repeats them too, and the network between it and the instance loses answers."""
    dying, other = own_instances
    with (
        LossyProxy(dying.port, loses=0.2) as losing,
        Nginx([losing.port, other.port], BUFFERS, location=NON_IDEMPOTENT) as nginx,
        Load(nginx.url, "repeated", uncertain=True, kind=RepeatingClient) as writes,
    ):
        writes.wait_for(200, succeeded=True)
        for pid in (dying.process.pid, *children(dying.process.pid)):
            os.kill(pid, signal.SIGKILL)
        writes.wait_for(200, succeeded=True, after=time.monotonic())

    tasks = Task.objects.alive().values_list("id", "title", "description")
    writes.check_everything_is_done(list(tasks))
    assert losing.lost
    assert writes.replayed


def wait_for(progress: Semaphore, rounds: int) -> None:
    for _ in range(rounds):
        assert progress.acquire(timeout=30)
