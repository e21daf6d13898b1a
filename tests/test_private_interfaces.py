"""The list of private interfaces that the project uses is complete, and its tests exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIST = (ROOT / "docs" / "private-interfaces.md").read_text(encoding="utf-8")
PRIVATE = re.compile(r"# noqa: SLF001(?!  documented)|\bself\._ensure_not_in_transaction")


@pytest.mark.parametrize(("path", "name"), re.findall(r"`(tests/\S+\.py)::(\w+)`", LIST))
def test_each_interface_has_a_test(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_each_use_in_the_code_is_in_the_list() -> None:
    places = [
        str(path.relative_to(ROOT))
        for app in ("authjwt", "config", "tasks")
        for path in (ROOT / app).rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    ]

    assert places
    assert [place for place in places if place not in LIST] == []
