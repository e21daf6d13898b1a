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
COMPARISON = ROOT / "docs" / "comparison.md"
ANSWERS = {"yes", "partly", "build", "no", "not documented"}
UNKNOWN = "?"
"""What README says for "not documented"."""


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


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def compared() -> dict[str, dict[str, tuple[str, str]]]:
    """By heading and product: the answer, and what shows it."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for part in text_of(COMPARISON).split("\n## ")[1:]:
        heading, *lines = part.splitlines()
        rows = [cells(line) for line in lines if line.startswith("|")][2:]
        found[heading] = {name: (answer.strip("*"), shown) for name, answer, _, shown in rows}
    return found


def test_every_answer_of_the_comparison_is_shown() -> None:
    """Ours by tests that exist, those of others by a source."""
    for heading, products in compared().items():
        answers = iter(products.items())
        ours, (answer, shown) = next(answers)
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
        assert ours == "this service"
        assert tests or answer == "no", heading
        for file, name in tests:
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"
        for product, (answer, shown) in answers:
            assert answer in ANSWERS, f"{heading}: {product}"
            assert re.search(r"\]\(https://[^)\s]+\)", shown), f"{heading}: {product}"


def test_the_table_of_readme_has_the_answers_of_the_comparison() -> None:
    lines = text_of(ROOT / "README.md").splitlines()
    (start,) = (place for place, line in enumerate(lines) if "this service** | Todoist" in line)
    _, *products = (cell.strip("*") for cell in cells(lines[start]))
    written: dict[str, dict[str, str]] = {}
    for line in lines[start + 2 : lines.index("", start)]:
        name, *answers = cells(line)
        heading = name[1 : name.index("]")]
        shown = ["not documented" if answer == UNKNOWN else answer for answer in answers]
        written[heading] = dict(zip(products, shown, strict=True))

    assert written == {
        heading: {product: answer for product, (answer, _) in found.items()}
        for heading, found in compared().items()
    }
