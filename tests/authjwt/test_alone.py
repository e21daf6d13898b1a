"""`authjwt` as a package of its own, installed into a new project of somebody else."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from typing import Any

import pytest

from tests.authjwt.conftest import Issuer, claims, signer
from tests.authjwt.test_access_tokens import access_claims
from tests.processes import ROOT
from tests.server import Answer, free_port, send

UV = Path(sys.executable).with_name("uv")
TIMEOUT = 60.0
FRAMEWORKS = ("ninja", "rest-framework")

SETTINGS = """
INSTALLED_APPS += ["authjwt"]
BETTER_AUTH_URL = "{origin}"
"""
ACCESS_TOKENS = 'BETTER_AUTH_RESOURCE = "{resource}"\n'
URLS = """
from django.urls import include, path
from shop import views

urlpatterns = [
    path("plain", views.plain),
    path("of/<user>", views.of_user),
    path("", include("authjwt.urls")),
]
"""
VIEWS = """
from django.http import JsonResponse
from authjwt.views import token_required

@token_required
def plain(request):
    return JsonResponse({"user": request.auth.user_id})

@token_required(owner="user")
def of_user(request, user):
    return JsonResponse({"user": user})
"""
FRAMEWORK_URLS = """
urlpatterns += [
    path("rest", views.Rest.as_view()),
    path("open", views.Open.as_view()),
    path("ninja/", views.api.urls),
]
"""
FRAMEWORK_VIEWS = """
from ninja import NinjaAPI, Router
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from authjwt.answers import answer
from authjwt.bearer import BearerToken
from authjwt.exceptions import TokenError
from authjwt.rest_framework import BetterAuth

class Rest(APIView):
    authentication_classes = [BetterAuth]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.pk})

    post = get

class Open(Rest):
    permission_classes = [AllowAny]

router = Router(auth=BearerToken())

@router.api_operation(["GET", "POST"], "/orders")
def orders(request):
    return {"user": request.auth.user_id}

api = NinjaAPI()
api.add_exception_handler(TokenError, answer)
api.add_router("", router)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as in docs/authjwt.md."""
    source = tmp_path_factory.mktemp("package")
    shutil.copytree(
        ROOT / "authjwt", source / "authjwt", ignore=shutil.ignore_patterns("__pycache__")
    )
    (source / "authjwt" / "pyproject.toml").rename(source / "pyproject.toml")
    run([UV, "build", "--offline", "--wheel"], source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def run(command: Sequence[str | Path], folder: Path) -> str:
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


class Project:
    """A new project, whose Python has this package and its dependencies, and nothing else.

    extras: the optional dependencies that are installed too.
    """

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        self.packages = folder / "packages"
        self.folder = folder / "project"
        self.folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.resource = f"{self.url}/shop"
        run([UV, "pip", "install", "--offline", "--no-deps", "--target", self.packages, wheel],
            folder)  # fmt: skip
        (metadata,) = self.packages.glob("*.dist-info")
        for name in dependencies(PathDistribution(metadata), extras):
            link(distribution(name), self.packages)
        self.python("-m", "django", "startproject", "shop", ".")

    def command(self, *arguments: str) -> list[str]:
        """-S: without the packages of this project."""
        return ["env", "-i", f"PYTHONPATH={self.packages}", sys.executable, "-S", *arguments]

    def python(self, *arguments: str) -> str:
        return run(self.command(*arguments), self.folder)

    def append(self, name: str, text: str) -> None:
        with (self.folder / "shop" / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def get(self, path: str, token: str = "", method: str = "GET") -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return send(method, f"{self.url}{path}", None, headers)

    def serve(self) -> Iterator["Project"]:
        command = self.command("manage.py", "runserver", "--noreload", str(self.port))
        with subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                self.wait()
                yield self
            finally:
                server.terminate()

    def wait(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                self.get("/plain")
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return


def dependencies(package: Distribution, extras: Sequence[str] = ()) -> set[str]:
    """The names of all packages that a package needs, with these extras of its own."""
    found: set[str] = set()
    for line in package.requires or []:
        match = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", line)
        assert match
        name, wanted = match[1], (match[2] or "").split(",")
        extra = re.search(r"extra == ['\"]([\w-]+)", line)
        if (extra and extra[1] not in extras) or re.search("version <|win32", line):
            continue
        found |= {name} | dependencies(distribution(name), wanted)
    return found


def link(package: Distribution, folder: Path) -> None:
    for name in {file.parts[0] for file in package.files or [] if file.parts[0] != ".."}:
        target = folder / name
        if not target.exists() and name != "__pycache__":
            target.symlink_to(Path(str(package.locate_file(name))))


@pytest.fixture
def provider() -> Iterator[Issuer]:
    issuer = Issuer()
    issuer.start()
    issuer.lists(signer())
    yield issuer
    issuer.stop()


@pytest.fixture
def alone(tmp_path: Path, wheel: Path, provider: Issuer) -> Iterator[Project]:
    """With plain Django only, and without access tokens."""
    project = Project(tmp_path, wheel)
    project.append("settings.py", SETTINGS.format(origin=provider.origin))
    project.append("urls.py", URLS)
    project.append("views.py", VIEWS)
    yield from project.serve()


@pytest.fixture
def with_frameworks(tmp_path: Path, wheel: Path, provider: Issuer) -> Iterator[Project]:
    project = Project(tmp_path, wheel, *FRAMEWORKS)
    settings = SETTINGS + ACCESS_TOKENS
    project.append(
        "settings.py", settings.format(origin=provider.origin, resource=project.resource)
    )
    project.append("urls.py", URLS + FRAMEWORK_URLS)
    project.append("views.py", VIEWS + FRAMEWORK_VIEWS)
    yield from project.serve()


def session_token(issuer: Issuer, **changes: Any) -> str:
    return signer().token(claims(iss=issuer.origin, aud=issuer.origin, **changes))


def access_token(issuer: Issuer, resource: str, **changes: Any) -> str:
    ours = {"iss": f"{issuer.origin}/api/auth", "aud": resource, "scope": "read write"}
    return signer().token(access_claims(**ours | changes), signer().header(typ="at+jwt"))


def test_it_needs_only_django_and_pyjwt(alone: Project, provider: Issuer) -> None:
    names = {path.name.partition("-")[0] for path in alone.packages.glob("*.dist-info")}
    assert {name.lower() for name in names} == {
        "django_better_auth_jwt", "django", "asgiref", "sqlparse", "pyjwt", "cryptography",
        "cffi", "pycparser",
    }  # fmt: skip

    good = session_token(provider)
    assert alone.get("/plain", good).json() == {"user": "alice"}
    assert alone.get("/of/alice", good, "POST").json() == {"user": "alice"}
    assert alone.get("/of/bob", good).status == 403
    missing = alone.get("/plain")
    assert (missing.status, missing.headers["WWW-Authenticate"]) == (401, "Bearer")
    refused = alone.get("/plain", session_token(provider, exp=1))
    assert refused.json() == {
        "detail": "The token has expired. Fetch a new one.",
        "reason": "expired",
    }
    typed = access_token(provider, alone.resource)
    assert alone.get("/plain", typed).json()["reason"] == "wrong_type"
    assert alone.get("/.well-known/oauth-protected-resource").status == 404


def test_its_commands_work_alone(alone: Project, provider: Issuer) -> None:
    report = subprocess.run(
        alone.command("manage.py", "check_token", "--user", "bob"),
        cwd=alone.folder,
        input=session_token(provider),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )

    assert report.returncode == 1
    assert "found     opens /alice/" in report.stdout
    checked = alone.python("manage.py", "check", "--tag", "tokens", "--deploy")
    assert checked == "System check identified no issues (0 silenced).\n"
    alone.append("settings.py", 'BETTER_AUTH_SECRET = "short"\n')
    with pytest.raises(AssertionError, match=r"authjwt\.E002"):
        alone.python("manage.py", "check", "--tag", "tokens", "--deploy")


@pytest.mark.parametrize("path", ["/plain", "/rest", "/ninja/orders"])
def test_views_of_each_framework_are_protected(
    path: str, with_frameworks: Project, provider: Issuer
) -> None:
    project = with_frameworks
    metadata = f"{project.url}/.well-known/oauth-protected-resource/shop"
    named = f'resource_metadata="{metadata}"'

    for token in (session_token(provider), access_token(provider, project.resource)):
        for method in ("GET", "POST"):
            assert project.get(path, token, method).json() == {"user": "alice"}

    missing = project.get(path)
    assert (missing.status, missing.headers["WWW-Authenticate"]) == (401, f"Bearer {named}")
    refused = project.get(path, session_token(provider, exp=1))
    assert (refused.status, refused.json()["reason"]) == (401, "expired")
    assert refused.headers["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="expired: The token has expired. '
        f'Fetch a new one.", {named}'
    )
    reader = access_token(provider, project.resource, scope="read")
    assert project.get(path, reader).json() == {"user": "alice"}
    assert path == "/ninja/orders" or project.get(path, reader, "HEAD").status == 200
    forbidden = project.get(path, reader, "POST")
    assert forbidden.status == 403
    assert forbidden.json() == {"detail": "This needs an access token with the scope write."}
    assert forbidden.headers["WWW-Authenticate"] == (
        f'Bearer error="insufficient_scope", scope="write", {named}'
    )
    assert send("GET", metadata).json()["resource"] == project.resource

    provider.stop()
    unknown = signer("ES256").token(claims(iss=provider.origin, aud=provider.origin))
    unavailable = project.get(path, unknown)
    assert unavailable.status == 503
    assert int(unavailable.headers["Retry-After"]) >= 1
    assert project.get(path, session_token(provider)).status == 200


def test_a_view_of_rest_framework_may_be_open(with_frameworks: Project) -> None:
    assert with_frameworks.get("/open").json() == {"user": None}
    assert with_frameworks.get("/open", "undefined").status == 401
