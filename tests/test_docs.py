"""The documents point at what exists, and the picture shows what its source says."""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
LINK = re.compile(r"(?:\]\(|src=\"|srcset=\")(?!https?://)([^)\"#\s]*)(?:#([^)\"\s]+))?")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PICTURE = ROOT / "docs" / "request.dot"


def text_of(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Of its headings, as hosts of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for name, anchor in LINK.findall(text_of(page)):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), name
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name}#{anchor}"


def test_the_picture_of_a_request_shows_what_its_source_says() -> None:
    """If not: dot -Tsvg docs/request.dot -o docs/request.svg"""
    drawn = html.unescape(PICTURE.with_suffix(".svg").read_text(encoding="utf-8"))
    labels = re.findall(r'label="([^"]+)"', PICTURE.read_text(encoding="utf-8"))
    said = [line for label in labels for line in re.split(r"\\[nl]", label) if line]

    assert said
    assert [line for line in said if line not in drawn.replace("\N{NO-BREAK SPACE}", " ")] == []


def test_every_file_in_the_picture_exists() -> None:
    names = re.findall(
        r"\b(?<!/)(?:authjwt|config|tasks)/[\w/]+(?:\.py|/)", PICTURE.read_text(encoding="utf-8")
    )

    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []
