"""The image of the Dockerfile, built from Debian's packages, and run as compose.yaml does."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cluster import Cluster
from tests.deploy.image import Image, build
from tests.people import SECRET, token_of
from tests.processes import ROOT
from tests.server import Answer, free_port, send
from tests.wire.daemons import program

TASKS = "/api/alice/tasks"
DRAIN_SECONDS = 2
KEY = "a-key-of-fifty-characters-or-more-for-the-tests-only-0123456789"


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    program("mmdebstrap")
    if os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("This test needs root.")
        pytest.skip("This test needs root, for chroot and mounts.")
    before = digests_of_the_machine()
    with TemporaryDirectory(dir=memory_or_disk()) as folder:
        yield build(ROOT / "Dockerfile", Path(folder))
    assert digests_of_the_machine() == before, "The build changed files of this machine."


def memory_or_disk() -> str | None:
    """Writing and deleting four root file systems takes minutes on some disks."""
    memory = Path("/dev/shm")
    has_room = memory.exists() and shutil.disk_usage(memory).free > 4 * 2**30
    return str(memory) if has_room else None


def digests_of_the_machine() -> dict[Path, str]:
    """Of what packages change in /etc when they are installed, in the wrong root file system."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("apt", "ssl", "alternatives")
        for path in Path("/etc", folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with Cluster.running(18) as cluster:
        yield cluster.url


class Container:
    """A running container of the image, with the variables of a server."""

    def __init__(self, image: Image, log: Path, **environment: str) -> None:
        self.image = image
        self.log = log
        self.port = free_port()
        self.environment = {
            "SECRET_KEY": KEY,
            "ALLOWED_HOSTS": "tasks.example.com",
            "BETTER_AUTH_SECRET": SECRET,
            "DRAIN_SECONDS": str(DRAIN_SECONDS),
            "WEB_CONCURRENCY": "2",
            "PORT": str(self.port),
            **environment,
        }
        self.process = image.start(image.command, self.environment, log)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        url = f"http://127.0.0.1:{self.port}{path}"
        token = {"Authorization": f"Bearer {token_of('alice')}"}
        return send(method, url, body, {"Host": "tasks.example.com", **token, **headers})

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/health/ready").status == 200
        except OSError:
            return False

    @property
    def process_1(self) -> int:
        """The id that process 1 of the container has outside of it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text())

    def stop(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process_1, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def serve(image: Image, database: str, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Migrates as a step of its own, and starts containers of the service."""
    needed = {"DATABASE_URL": database, "SECRET_KEY": KEY}
    migrate = ["python", "manage.py", "migrate"]
    image.run(migrate, needed, tmp_path / "migrate.log")
    with ExitStack() as running:

        def start(**environment: str) -> Container:
            log = tmp_path / f"container-{time.monotonic_ns()}.log"
            container = Container(image, log, DATABASE_URL=database, **environment)
            running.callback(container.stop)
            container.wait()
            return container

        yield start


def test_the_image_has_the_service_and_nothing_else(image: Image) -> None:
    app = image.root / "app"

    assert {path.name for path in app.iterdir()} - {"__pycache__"} == {
        ".venv",
        "authjwt",
        "config",
        "manage.py",
        "requirements.txt",
        "tasks",
    }
    assert not [*app.glob(".venv/lib/*/site-packages/pip")]
    assert not [*app.glob(".venv/lib/*/site-packages/pytest")]
    assert image.user == "10001:10001"
    assert {path.stat().st_uid for path in app.rglob("*")} == {0}
    writable = [
        path for path in app.rglob("*") if not path.is_symlink() and path.stat().st_mode & 2
    ]
    assert writable == []


def test_the_service_is_process_1_without_any_right(serve: Callable[..., Container]) -> None:
    container = serve()
    process = Path(f"/proc/{container.process_1}")
    status = dict(re.findall(r"^(\w+):\t(.*)$", (process / "status").read_text(), re.MULTILINE))

    command = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert [*map(os.path.basename, command)] == [b"python", b"manage.py", b"serve"]
    assert status["NSpid"].split()[-1] == "1"
    assert {*status["Uid"].split(), *status["Gid"].split()} == {"10001"}
    assert {status[name].lstrip("0") for name in ("CapEff", "CapPrm", "CapBnd")} == {""}
    assert status["NoNewPrivs"] == "1"
    assert b"HOME=" not in (process / "environ").read_bytes()
    mounts = (process / "mounts").read_text().splitlines()
    root = next(line.split() for line in mounts if line.split()[1] == "/")
    assert "ro" in root[3].split(",")


def test_the_service_works_on_a_read_only_root(serve: Callable[..., Container]) -> None:
    port = free_port()
    container = serve(METRICS_PORT=str(port))
    made = container.ask("POST", TASKS, {"title": "Buy milk"})

    assert made.status == 201
    assert container.ask("GET", f"{TASKS}/{made.json()['id']}").json() == made.json()
    assert container.ask("GET", "/admin/login/", **{"X-Forwarded-Proto": "https"}).status == 200
    assert container.ask("GET", "/static/config/admin.css").status == 200
    assert b"tasks_workers 2" in send("GET", f"http://127.0.0.1:{port}/metrics").body
    assert "rror" not in container.log.read_text()


def test_the_health_check_follows_the_service(
    image: Image, serve: Callable[..., Container], tmp_path: Path
) -> None:
    container = serve()
    check = ["sh", "-c", image.health_check]
    log = tmp_path / "check.log"

    image.run(check, container.environment, log)
    container.stop()
    assert image.start(check, container.environment, log).wait(30) == 1


def test_probes_need_no_known_host(serve: Callable[..., Container]) -> None:
    """Kubernetes asks for the address of the pod."""
    container = serve()

    for path in ("/health", "/health/ready"):
        assert container.ask("GET", path, Host="10.1.2.3:8000").status == 200


def test_sigterm_drains_and_ends_the_container(serve: Callable[..., Container]) -> None:
    container = serve()
    begin = time.monotonic()
    os.kill(container.process_1, signal.SIGTERM)
    time.sleep(DRAIN_SECONDS / 2)

    assert container.ask("GET", "/health/ready").status == 503
    alive = container.ask("GET", TASKS)
    assert (alive.status, alive.headers["Connection"]) == (200, "close")
    assert container.process.wait(DRAIN_SECONDS + 10) == 0, container.log.read_text()
    assert time.monotonic() - begin >= DRAIN_SECONDS


def test_a_dead_worker_is_replaced_and_leaves_no_zombie(serve: Callable[..., Container]) -> None:
    container = serve()
    listed = Path(f"/proc/{container.process_1}/task/{container.process_1}/children")
    before = [*map(int, listed.read_text().split())]
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while {*(now := [*map(int, listed.read_text().split())])} == {*before} or len(now) < len(
        before
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    states = [
        Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in now
    ]
    assert "Z" not in states
    assert container.ask("GET", TASKS).status == 200


def test_the_doctor_finds_nothing(
    image: Image, serve: Callable[..., Container], tmp_path: Path
) -> None:
    container = serve()
    log = tmp_path / "doctor.log"
    image.run(["python", "manage.py", "doctor"], container.environment, log)


def test_a_wrong_configuration_ends_the_container(image: Image, tmp_path: Path) -> None:
    log = tmp_path / "log"

    assert image.start(image.command, {}, log).wait(60) == 1
    assert "(config.E001) DATABASE_URL (or DATABASE_URL_FILE) must be set." in log.read_text()
    assert subprocess.run(["grep", "-c", "Traceback", log], check=False).returncode == 1
