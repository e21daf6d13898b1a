"""The pictures of README, taken from the running service: `python -m tests.browser.pictures`.

Writes PNG files of 1280 x 800 pixels into docs/pictures, or into the folder that is named as an
argument. The demo data comes from a fixed seed, so that only its dates change from day to day.
"""

import os
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit

FOLDER = "PICTURES_FOLDER"
DEFAULT = Path(__file__).parent.parent.parent / "docs" / "pictures"
SIZE = 1280, 800
MAX_BYTES = 250_000
STAFF = {"username": "maria", "password": "correct horse battery staple"}
SEED = ("--users=500", "--tasks=2000", "--seed=demo", "--outside-development")


def test_pictures(visit: Visit, site: str) -> None:
    call_command("seed_tasks", *SEED)
    get_user_model().objects.create_superuser(**STAFF)
    page = visit()
    page.set_viewport_size({"width": SIZE[0], "height": SIZE[1]})
    page.goto("login/?next=/admin/tasks/task/%3Fq=friday")
    for name, value in STAFF.items():
        page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button", name="Log in").click()
    for row in (0, 1, 3):
        page.locator("input.action-select").nth(row).check()
    page.get_by_label("Action:").select_option(label="Complete")
    take(page, "admin", "light")
    take(page, "admin", "dark")

    page.goto(urljoin(site, "/docs"))
    expect(page.locator(".opblock")).not_to_have_count(0)
    take(page, "docs", "light")
    take(page, "docs", "dark")


def take(page: Page, name: str, scheme: Literal["dark", "light"]) -> None:
    page.emulate_media(color_scheme=scheme)
    # Keeps the blinking cursor and the effects of the mouse out of the picture.
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    path = Path(os.environ[FOLDER]) / f"{name}-{scheme}.png"
    assert len(page.screenshot(path=path, animations="disabled")) < MAX_BYTES


if __name__ == "__main__":
    os.environ[FOLDER] = str(Path(sys.argv[1] if sys.argv[1:] else DEFAULT).resolve())
    sys.exit(pytest.main([__file__, "--quiet", "-p", "no:randomly"]))
