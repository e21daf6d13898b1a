"""Programs that surround the service in production, each as an unprivileged process."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from tests.cluster import Cluster
from tests.processes import INHERITED, ROOT, manage
from tests.server import database_address, database_url_at, free_port

START_UP = 10.0
SHUT_DOWN = 10.0
SYSTEM = ":/usr/sbin:/usr/local/sbin"


def program(name: str) -> str:
    """The path of a program. Without it, the test is skipped, but fails in CI."""
    path = shutil.which(name, path=os.environ["PATH"] + SYSTEM)
    if path:
        return path
    message = f"This test needs {name}, not found here."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Daemon:
    """A program that listens on a port of the loopback interface, with a folder for its files.

    run_as: a path whose owner it runs as, if the tests run as root; without it, `nobody`.
    """

    def __init__(self, name: str, run_as: Path | None = None) -> None:
        self.program = program(name)
        self.port = free_port()
        self.run_as = run_as
        self._running = ExitStack()

    def configure(self, folder: Path) -> list[str]:
        """Writes its files, and returns its arguments."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            folder = Path(starting.enter_context(TemporaryDirectory()))
            self.log = folder / "log"
            command = [self.program, *self.configure(folder)]
            root = os.getuid() == 0
            owner = self._owner()
            for path in (folder, *folder.iterdir()) if root else ():
                os.chown(path, *owner)
            output = starting.enter_context(self.log.open("wb"))
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=owner[0] if root else None,
                group=owner[1] if root else None,
                extra_groups=[] if root else None,
            )
            starting.callback(self._stop)
            self._wait()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _owner(self) -> tuple[int, int]:
        if self.run_as is None:
            nobody = getpwnam("nobody")
            return nobody.pw_uid, nobody.pw_gid
        status = self.run_as.stat()
        return status.st_uid, status.st_gid

    def _wait(self) -> None:
        deadline = time.monotonic() + START_UP
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)
            else:
                return

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SHUT_DOWN)
        finally:
            self.process.kill()


POOL = 4
SUPPORTS_PREPARED_STATEMENTS = (1, 21)

PGBOUNCER = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
pool_mode = transaction
default_pool_size = {pool}
server_round_robin = 1
auth_type = scram-sha-256
auth_file = {users}
auth_user = {user}
stats_users = {user}
"""


class PgBouncer(Daemon):
    """Debian's PgBouncer in transaction mode, with fewer connections than the server has threads.

    It reads the login role from a file, and the API's role from PostgreSQL (`auth_query`).
    cluster: the cluster behind it; without one, that of the tests' database.
    url: a DATABASE_URL that leads through it, but has no parameter that says so.
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        self.host, self.database_port = (
            ("127.0.0.1", cluster.port) if cluster else database_address()
        )
        # Only its owner may use the socket of the embedded server.
        super().__init__("pgbouncer", Path(self.host) if self.host.startswith("/") else None)
        parts = urlsplit(cluster.url if cluster else database_url_at(self.port))
        if cluster:
            self.user, self.password = parts.username, parts.password
        else:
            self.user = connection.settings_dict["USER"]
            self.password = connection.settings_dict["PASSWORD"] or "known-only-to-the-pooler"
        netloc = f"{self.user}:{self.password}@127.0.0.1:{self.port}"
        self.url = parts._replace(netloc=netloc, query="").geturl()

    def configure(self, folder: Path) -> list[str]:
        users = folder / "users"
        users.write_text(f'"{self.user}" "{self.password}"\n')
        text = PGBOUNCER.format(
            host=self.host,
            port=self.database_port,
            listen=self.port,
            pool=POOL,
            users=users,
            user=self.user,
        )
        shown = subprocess.run([self.program, "--version"], capture_output=True, check=True)
        version = tuple(map(int, shown.stdout.split()[1].split(b".")[:2]))
        if version >= SUPPORTS_PREPARED_STATEMENTS:
            text += "max_prepared_statements = 0\n"
        (folder / "pgbouncer.ini").write_text(text)
        return [str(folder / "pgbouncer.ini")]

    def migrate(self) -> None:
        """Gives the API's role the password that is derived from this URL."""
        environment = INHERITED | {"DATABASE_URL": self.url, "DEBUG": "true"}
        manage("migrate", env=environment).check_returncode()

    def clients(self) -> list[str]:
        """The roles of the connections that it holds for clients."""
        url = urlsplit(self.url)._replace(path="/pgbouncer", query="").geturl()
        with psycopg.connect(url, autocommit=True) as console:
            rows = console.execute("SHOW CLIENTS")
            assert rows.description
            user = [column.name for column in rows.description].index("user")
            return [row[user] for row in rows]


NGINX = """\
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream tasks {{
        {instances}
    }}
    server {{
        listen 127.0.0.1:{port};
        {options}
        location / {{
            proxy_pass http://tasks;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            {location}
        }}
    }}
}}
"""


class Nginx(Daemon):
    """nginx in front of instances of the service on these ports.

    options, upstream, location: additional lines for its blocks `server`, `upstream` and
    `location`.
    """

    def __init__(
        self, ports: list[int], options: str = "", upstream: str = "", location: str = ""
    ) -> None:
        super().__init__("nginx")
        self.options = options
        self.location = location
        self.instances = "".join(f"server 127.0.0.1:{port}; " for port in ports) + upstream
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, folder: Path) -> list[str]:
        path = folder / "nginx.conf"
        path.write_text(
            NGINX.format(
                folder=folder,
                port=self.port,
                options=self.options,
                instances=self.instances,
                location=self.location,
            )
        )
        return ["-e", "stderr", "-p", str(folder), "-c", str(path)]


PROMETHEUS = """\
global:
  scrape_interval: 250ms
  evaluation_interval: 250ms
rule_files: [{rules}]
scrape_configs:
  - job_name: tasks
    static_configs:
      - targets: ["127.0.0.1:{scraped}"]
"""


class Prometheus(Daemon):
    """Debian's Prometheus, which scrapes this port and evaluates the alerts in `deploy`."""

    def __init__(self, scraped: int) -> None:
        super().__init__("prometheus")
        self.scraped = scraped
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, folder: Path) -> list[str]:
        rules = folder / "alerts.yml"
        shutil.copyfile(ROOT / "deploy" / "prometheus-alerts.yml", rules)
        path = folder / "prometheus.yml"
        path.write_text(PROMETHEUS.format(rules=rules, scraped=self.scraped))
        return [
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
