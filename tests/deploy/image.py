"""Builds the image of the Dockerfile as a folder, and runs commands in it, without Docker.

The base image comes from Debian's packages (mmdebstrap). Each instruction is carried out as Docker
would: RUN in a chroot, COPY, ENV, USER, WORKDIR. A container is a process with namespaces of its
own for processes and mounts, a read-only root, and neither capabilities nor a home. Needs root.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ROOT

INSTRUCTION = re.compile(r"([A-Z]+) +(.*)", re.DOTALL)
REGISTRIES = (
    "/etc/apt/apt.conf.d",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/pip.conf",
    "/etc/resolv.conf",
    "/usr/local/share/ca-certificates",
)
"""How this machine reaches the registries of packages. Copied and never mounted, because packages
change such files when they are installed, and would change those of the machine."""
DEVICES = ("full", "null", "random", "urandom", "zero")
MOUNTS = "; ".join(
    [
        "set -e; mount -t proc proc {root}/proc",
        "mount -t tmpfs -o mode=755 tmpfs {root}/dev",
        "mkdir -m 1777 {root}/dev/shm",
        "ln -s /proc/self/fd {root}/dev/fd",
        *(
            f"touch {{root}}/dev/{name}; mount --bind /dev/{name} {{root}}/dev/{name}"
            for name in DEVICES
        ),
    ]
)
"""In namespaces of their own, so that they end with the process. Of the machine only devices."""
READ_ONLY = (
    "mount --bind {root} {root}; mount -o remount,ro,bind {root}; mount -t tmpfs tmpfs {root}/tmp"
)
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")


@dataclass
class Image:
    """A folder with a root file system, and what the Dockerfile says about its containers."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    workdir: str = "/"
    user: str = "0:0"
    command: Sequence[str] = ()
    health_check: str = ""

    def carry_out(self, name: str, rest: str, stages: Mapping[str, "Image"]) -> None:
        """An instruction of the Dockerfile, except FROM."""
        match name:
            case "RUN":
                self.build(rest)
            case "COPY":
                *words, destination = rest.split()
                source = ROOT
                if words[0].startswith("--from="):
                    source = stages[words.pop(0).removeprefix("--from=")].root
                self.copy(source, words, destination)
            case "ENV":
                variable, _, value = rest.partition("=")
                self.env[variable] = value
            case _:
                self.configure(name, rest)

    def configure(self, name: str, rest: str) -> None:
        match name:
            case "WORKDIR":
                self.workdir = rest
                (self.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = rest
            case "CMD":
                self.command = json.loads(rest)
            case "HEALTHCHECK":
                self.health_check = rest.partition("CMD ")[2]
            case _:
                assert name == "EXPOSE", f"not known here: {name}"

    def build(self, command: str) -> None:
        inside = shlex.quote(f"cd {self.workdir} && {command}")
        script = f"{MOUNTS.format(root=self.root)}; exec chroot {self.root} sh -c {inside}"
        done = subprocess.run(
            [*UNSHARE, "sh", "-c", script],
            env={**self.env, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout}\n{done.stderr}"

    def copy(self, source: Path, names: Sequence[str], destination: str) -> None:
        target = self.root / str(Path(self.workdir) / destination).lstrip("/")
        for name in names:
            path = source / name.lstrip("/")
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__") if source == ROOT else None
                shutil.copytree(path, target, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> subprocess.Popen[bytes]:
        """A container, as `docker run --read-only --cap-drop ALL --tmpfs /tmp` makes it.

        Its process 1 is the command. The one that this returns is its parent, and has its exit
        status.
        """
        user, group = self.user.split(":")
        variables = [f"{name}={value}" for name, value in {**self.env, **environment}.items()]
        inside = f"cd {self.workdir} && exec {shlex.join(command)}"
        mounts = f"{READ_ONLY}; {MOUNTS}".format(root=self.root)
        script = (
            f"{mounts}; exec chroot {self.root} setpriv "
            f"--reuid={user} --regid={group} --clear-groups --no-new-privs --bounding-set=-all "
            f"--inh-caps=-all env -i {shlex.join(variables)} sh -c {shlex.quote(inside)}"
        )
        with output.open("wb") as log:
            return subprocess.Popen(
                [*UNSHARE, "sh", "-c", script], stdout=log, stderr=subprocess.STDOUT
            )

    def run(self, command: Sequence[str], environment: Mapping[str, str], output: Path) -> str:
        """What the command prints. It must succeed."""
        status = self.start(command, environment, output).wait(120)
        assert status == 0, output.read_text()
        return output.read_text()


def base(folder: Path) -> Image:
    """What `debian:bookworm-slim` is made from, and how to reach the registries of packages."""
    root = folder / "base"
    sources = [path for path in REGISTRIES if path.endswith(".sources") and Path(path).exists()]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(root), *sources]
    subprocess.run(command, check=True)
    for name in REGISTRIES:
        source, target = Path(name), root / name[1:]
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.unlink(missing_ok=True)
            shutil.copy(source, target)
    return Image(root)


def instructions(text: str) -> list[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = lines.replace("\\\n", " ")
    found = [INSTRUCTION.fullmatch(line.strip()) for line in joined.splitlines() if line.strip()]
    return [(each[1], each[2]) for each in found if each]


def build(dockerfile: Path, folder: Path) -> Image:
    """The image of the last stage."""
    stages = {"debian:bookworm-slim": base(folder)}
    image = stages["debian:bookworm-slim"]
    for name, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        if name == "FROM":
            parent, _, alias = rest.partition(" AS ")
            image = stage(stages[parent], folder / f"stage-{len(stages)}")
            stages[alias] = image
        else:
            image.carry_out(name, rest, stages)
    return image


def stage(parent: Image, root: Path) -> Image:
    subprocess.run(["cp", "--archive", str(parent.root), str(root)], check=True)
    return Image(root, dict(parent.env), parent.workdir, parent.user)
