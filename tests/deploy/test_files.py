"""The files for deployment agree with the project, and with what `serve` really does."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import VERSION
from config.http.api import api
from tests.deploy.image import instructions
from tests.processes import ROOT
from tests.wire.daemons import program

DEPLOY = ROOT / "deploy"
FINISHING = 10
"""Seconds that requests in progress may take after the drain (docs/operations.md)."""
COMMANDS = {"migrate": "python manage.py migrate", "serve": "python manage.py serve"}
SETTINGS = (ROOT / "config" / "settings.py").read_text(encoding="utf-8")
VARIABLES = {*re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SETTINGS)}
DRAIN_SECONDS = int(re.findall(r'"DRAIN_SECONDS", (\d+)', SETTINGS)[0])
PORT = int(re.findall(r'"PORT", (\d+)', SETTINGS)[0])
LIVE, READY = "/health", "/health/ready"
NOT_OURS = {"POSTGRES_USER", "POSTGRES_PASSWORD", "PATH", "PYTHONDONTWRITEBYTECODE"}

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
KUBERNETES = [
    *yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")),
]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
FLY = tomllib.loads((DEPLOY / "fly.toml").read_text(encoding="utf-8"))
RENDER = yaml.safe_load((DEPLOY / "render.yaml").read_text(encoding="utf-8"))
UNIT = (DEPLOY / "tasks.service").read_text(encoding="utf-8")
MIGRATION_UNIT = (DEPLOY / "tasks-migrate.service").read_text(encoding="utf-8")
PROCFILE = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
)
(JOB,) = (each for each in KUBERNETES if each["kind"] == "Job")
(DEPLOYMENT,) = (each for each in KUBERNETES if each["kind"] == "Deployment")
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
MIGRATION = JOB["spec"]["template"]["spec"]
(WEB,) = RENDER["services"]
DOCKER = dict(instructions(DOCKERFILE))


def seconds(text: str | int) -> int:
    return int(str(text).removesuffix("s"))


def test_python_is_the_version_that_ci_tries() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = (ROOT / ".python-version").read_text(encoding="utf-8").strip()

    assert version == "{}.{}".format(*sys.version_info)
    assert pyproject["project"]["requires-python"] == f">={version}"
    # Debian 12 has Python 3.11.
    assert re.findall(r"^FROM debian:(\S+)", DOCKERFILE, re.MULTILINE) == ["bookworm-slim"]
    assert version == "3.11"


def test_the_image_has_all_packages_of_the_project_and_their_lock() -> None:
    copied = {
        name
        for instruction, rest in instructions(DOCKERFILE)
        if instruction == "COPY" and not rest.startswith("--from=")
        for name in rest.split()[:-1]
    }
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    needed = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"release", "tests"}

    assert copied == {*allowed} == {*needed, "manage.py", "requirements.txt"}
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("Procfile", (PROCFILE["release"], PROCFILE["web"])),
        ("compose", (" ".join(COMPOSE["services"]["migrate"]["command"]), None)),
        ("Dockerfile", (None, " ".join(yaml.safe_load(DOCKER["CMD"])))),
        ("Kubernetes", (" ".join(MIGRATION["containers"][0]["command"]), None)),
        ("Fly", (FLY["deploy"]["release_command"], None)),
        ("Render", (WEB["preDeployCommand"], None)),
        (
            "systemd",
            tuple(
                re.findall(r"^ExecStart=/opt/tasks/\.venv/bin/(.*)$", unit, re.MULTILINE)[0]
                for unit in (MIGRATION_UNIT, UNIT)
            ),
        ),
    ],
)
def test_migration_is_a_step_of_its_own(place: str, command: tuple[str | None, str | None]) -> None:
    migrate, serve = command

    assert (migrate or COMMANDS["migrate"]) == COMMANDS["migrate"], place
    assert (serve or COMMANDS["serve"]) == COMMANDS["serve"], place


def test_nothing_is_killed_before_the_drain_and_the_requests_have_ended() -> None:
    enough = DRAIN_SECONDS + FINISHING
    sleep = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    drain = next(each["value"] for each in CONTAINER["env"] if each["name"] == "DRAIN_SECONDS")

    assert sleep[0] == "sleep"
    assert POD["terminationGracePeriodSeconds"] >= int(sleep[1]) + int(drain) + FINISHING
    assert seconds(COMPOSE["services"]["service"]["stop_grace_period"]) >= enough
    assert FLY["kill_timeout"] >= enough
    assert WEB["maxShutdownDelaySeconds"] >= enough
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0]) >= enough
    assert "\nKillMode=mixed\n" in UNIT
    assert FLY["kill_signal"] == "SIGTERM"


def test_health_checks_ask_addresses_that_exist() -> None:
    paths = {*api.get_openapi_schema()["paths"]}
    (fly,) = FLY["http_service"]["checks"]

    assert {LIVE, READY} <= paths
    # A restart does not help against a database that is down.
    assert f"}}{LIVE}'" in DOCKER["HEALTHCHECK"]
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == LIVE
    assert CONTAINER["startupProbe"]["httpGet"]["path"] == LIVE
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == READY
    assert fly["path"] == WEB["healthCheckPath"] == READY


def test_a_check_of_readiness_waits_as_long_as_the_database_may_take() -> None:
    (fly,) = FLY["http_service"]["checks"]

    assert seconds(CONTAINER["readinessProbe"]["timeoutSeconds"]) >= 5
    assert seconds(fly["timeout"]) >= 5


def test_the_port_is_the_default_of_the_server() -> None:
    assert DOCKER["EXPOSE"] == str(PORT)
    assert f"PORT:-{PORT}" in DOCKER["HEALTHCHECK"]
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": PORT}]
    assert COMPOSE["services"]["service"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert FLY["http_service"]["internal_port"] == PORT


def names(node: Any) -> set[str]:
    """Of all environment variables in a file."""
    if isinstance(node, list):
        return {name for each in node for name in names(each)}
    if not isinstance(node, dict):
        return set()
    found = {name for value in node.values() for name in names(value)}
    for key in ("environment", "env", "envVars"):
        variables = node.get(key, {})
        found |= {
            variable if isinstance(variable, str) else variable.get("name") or variable["key"]
            for variable in variables
        }
    return found


@pytest.mark.parametrize(
    "document", [COMPOSE, KUBERNETES, FLY, RENDER], ids=["compose", "Kubernetes", "Fly", "Render"]
)
def test_every_variable_is_a_setting(document: Any) -> None:
    assert "ALLOWED_HOSTS" in names(document)
    assert names(document) - VARIABLES - NOT_OURS == set()


def test_containers_have_no_right_that_they_do_not_need() -> None:
    user = int(DOCKER["USER"].split(":")[0])
    for pod in (POD, MIGRATION):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == user > 0
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        assert container["image"].endswith(f"better-auth-tasks:{VERSION}")
    for name in ("service", "migrate"):
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_database_of_compose_is_one_that_ci_tries() -> None:
    image = COMPOSE["services"]["database"]["image"]
    versions = (ROOT / "tests" / "cluster.py").read_text(encoding="utf-8")
    (number,) = re.findall(r"^postgres:(\d+)-", image)

    assert re.search(rf"^    {number}: ", versions, re.MULTILINE)
    assert RENDER["databases"][0]["postgresMajorVersion"] == number


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    for unit in (DEPLOY / "tasks.service", DEPLOY / "tasks-migrate.service"):
        here = unit.read_text(encoding="utf-8").replace("/opt/tasks/.venv/bin/python", "/bin/true")
        (tmp_path / unit.name).write_text(here, encoding="utf-8")
    units = [*map(str, tmp_path.glob("*.service"))]

    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
