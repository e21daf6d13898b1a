"""Where the clients are made and run."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.people import token_of
from tests.server import Server

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
TIMEOUT = 120
COMPILE = ["tsc", "--project", "."]


class Workshop:
    """A folder with the document of the service, in which the tools run."""

    def __init__(self, folder: Path, server: Server, tools: str) -> None:
        self.folder = folder
        self._server = server
        self._path = tools
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        document = server.request("GET", "/openapi.json").body
        (folder / "openapi.json").write_bytes(document)
        self.take("package.json", HERE)

    def take(self, name: str, source: Path = PROGRAMS) -> None:
        shutil.copy(source / name, self.folder)

    def environment(self, user: str) -> dict[str, str]:
        return {
            "PATH": self._path,
            "HOME": str(self.folder),
            "BASE": self._server.url,
            "USER_ID": user,
            "TOKEN": token_of(user),
            "NO_COLOR": "1",
            # Nothing is reported to anybody.
            "DO_NOT_TRACK": "1",
            "REDOCLY_TELEMETRY": "off",
            "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        }

    def run(self, *command: str, user: str = "") -> None:
        """The test fails if the command fails or warns."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(user),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert not re.search(r"(?i)(?<!\b0 )\bwarn|deprecat|[⚠✗✖]", done.stdout), done.stdout
