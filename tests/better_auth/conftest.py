import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.better_auth.issuer import HERE, Issuer, Node
from tests.server import Server

INSTALLED = HERE / "node_modules" / ".package-lock.json"
LOCK = HERE / "package-lock.json"


@pytest.fixture(scope="session")
def packages() -> None:
    """Installs the locked Better Auth. Without Node the tests are skipped, but in CI they fail."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    if missing:
        sentence = f"The real Better Auth needs {' and '.join(missing)}, not found here."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the processes of a parallel run install it once
        if not INSTALLED.exists() or INSTALLED.stat().st_mtime < LOCK.stat().st_mtime:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True)


@pytest.fixture(scope="session")
def node(packages: None) -> Iterator[Node]:
    with Node() as running:
        yield running


@pytest.fixture
def start_issuer(node: Node) -> Iterator[Callable[..., Issuer]]:
    """Starts issuers for one test, which may stop them and change their keys."""
    with ExitStack() as running:
        yield lambda **variant: running.enter_context(Issuer(node, **variant))


@pytest.fixture(scope="module")
def deploy(
    node: Node, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., tuple[Issuer, Server]]]:
    """Starts an issuer of a variant, and the service that trusts it. Tests must not change them.

    The service is a process, so tests with the same variant and environment share a pair. PORT is
    replaced by the port of the issuer, also in the environment of the service.
    """
    started: dict[str, tuple[Issuer, Server]] = {}
    logs = tmp_path_factory.mktemp("servers")
    with ExitStack() as running:

        def pair(
            variant: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
        ) -> tuple[Issuer, Server]:
            name = json.dumps([variant or {}, environment or {}], sort_keys=True)
            if name not in started:
                issuer = Issuer(node, **(variant or {}))
                variables = {"BETTER_AUTH_URL": issuer.base, **(environment or {})}
                server = Server(
                    logs / f"{issuer.port}.log",
                    **{
                        key: value.replace("PORT", str(issuer.port))
                        for key, value in variables.items()
                    },
                )
                # It starts while the issuer does.
                running.callback(server.stop)
                running.enter_context(issuer)
                server.wait_until_ready()
                started[name] = issuer, server
            return started[name]

        yield pair
        for _, server in started.values():
            server.process.terminate()
