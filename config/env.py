"""The environment, read strictly: each variable also as NAME_FILE, bad values collected by name."""

import re
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

TRUE = ("true", "1")
FALSE = ("false", "0")


class Environment:
    """Reads variables and collects what is wrong with them in `faults`.

    A fault does not raise: the system check `config.E001` tells them all at once,
    so that an operator corrects a configuration in one go.
    An empty variable counts as one that is not set, as container tools pass them on.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.faults: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        value = self.variables.get(name, "")
        path = self.variables.get(f"{name}_FILE", "")
        if value and path:
            self.faults.append(f"{name} and {name}_FILE are both set: keep one of them.")
        elif path:
            value = self._contents(name, Path(path))
        return value or default

    def _contents(self, name: str, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{name}_FILE: {path} cannot be read ({type(error).__name__}).")
            return ""

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value in TRUE:
            return True
        if value and value not in FALSE:
            self.faults.append(f'{name} must be "true" or "false".')
        return False if value else default

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if re.fullmatch("[0-9]{1,9}", value) and least <= int(value) <= most:
            return int(value)
        self.faults.append(f"{name} must be a whole number from {least} to {most}.")
        return default

    def address(self, name: str, default: str) -> str:
        value = self.text(name, default)
        try:
            return str(ip_address(value))
        except ValueError:
            self.faults.append(f"{name} must be an IP address, for instance {default}.")
            return default

    def words(self, name: str) -> list[str]:
        """The parts between commas, trimmed; empty ones are left out."""
        return [word for part in self.text(name).split(",") if (word := part.strip())]

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value and not any(fault.startswith(name) for fault in self.faults):
            self.faults.append(f"{name} (or {name}_FILE) must be set.")
        return value


def generated(path: Path) -> str:
    """The secret in `path`, 64 random characters, made at the first call.

    Two processes that call at once read the same secret: `link` puts the whole file in place,
    and refuses where one stands already.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48) + "\n", encoding="utf-8")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
