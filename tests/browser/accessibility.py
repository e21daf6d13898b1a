"""Finds problems of a page: contrast, names of fields, order of headings, and so on."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

SETTLED = "Promise.all(document.getAnimations().map((animation) => animation.finished))"
"""Buttons fade into the colours of another scheme, and the colours in between may be anything."""


def violations(page: Page) -> dict[str, list[str]]:
    """Rule and scheme -> the elements that violate it. Empty if all is well."""
    found = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLED)
        for violation in Axe().run(page).response["violations"]:
            nodes = [f"{node['html']} {node['failureSummary']}" for node in violation["nodes"]]
            found[f"{violation['id']}, {scheme}"] = nodes
    page.emulate_media(color_scheme="light")
    return found


def check_accessibility(page: Page, browser_errors: list[str]) -> None:
    """axe-core finds nothing, and nothing is on the console."""
    page.wait_for_load_state()
    assert browser_errors == []
    assert violations(page) == {}
    browser_errors.clear()  # axe-core tries styles that the policy of the page refuses
