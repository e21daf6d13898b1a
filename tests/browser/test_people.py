"""Support begins with an e-mail address: finding people, and tasks for them, in a real browser."""

import os
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from tasks.models import Task
from tests.better_auth.users import BetterAuthUsers
from tests.browser.conftest import Visit

PASSWORD = "correct horse battery staple"
HOSTILE = "\u202e<script>alert(1)</script>"
NAMES = ("Ada Lovelace", "Zoë Ünal", "Grace Hopper", "محمد", HOSTILE, "x" * 120)
FOLDER = os.environ.get("SCREENSHOTS_FOLDER", "")


@pytest.fixture(autouse=True)
def _people(transactional_db: None, better_auth: BetterAuthUsers) -> None:
    import_module("tasks.migrations.0005_groups").make_groups(apps, None)
    user = User.objects.create_user("maria", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    for n, name in enumerate(NAMES):
        email = f"{name.split()[0].lower()}@example.com" if n < 3 else f"person{n}@example.com"
        better_auth.add(f"id{n}", name, email, banned=n == 1, verified=n != 2)
        for number in range(5):
            Task.objects.create(user_id=f"id{n}", title=f"Water plant {number}")
    Task.objects.create(user_id="gone" * 8, title="Nobody's task")


def sign_in(page: Page) -> None:
    page.goto("login/?next=/admin/tasks/task/")
    page.get_by_label("Username:").fill("maria")
    page.get_by_label("Password:").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#searchbar")).to_be_visible()


def shoot(page: Page, name: str) -> None:
    """For people to look at: with SCREENSHOTS_FOLDER, at two widths and in both schemes."""
    if not FOLDER:
        return
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(
                path=Path(FOLDER) / f"{name}-{width}-{scheme}.png", animations="disabled"
            )
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_support_finds_a_user_by_e_mail_address_and_by_name(visit: Visit) -> None:
    page = visit()
    sign_in(page)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(5 * len(NAMES) + 1)
    shoot(page, "list")
    for words in ("zoë", "ZOË@example.com", "üna"):
        page.locator("#searchbar").fill(words)
        page.keyboard.press("Enter")
        found = page.get_by_role("list", name="Users found")
        expect(found).to_have_text("Users:Zoë Ünal zoë@example.com")
        expect(rows).to_have_count(5)
    shoot(page, "search")

    page.get_by_role("list", name="Users found").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Zoë Ünal banned")).to_be_visible()
    expect(page.get_by_text("zoë@example.com")).to_be_visible()
    expect(page.locator("svg.avatar")).to_have_text("ZÜ")
    shoot(page, "user")
    page.get_by_role("button", name="Move all to the trash").click()
    expect(page.get_by_text("5 tasks of Zoë Ünal (zoë@example.com, id id1).")).to_be_visible()
    shoot(page, "confirmation")


@pytest.mark.parametrize("text", ["ove", "ada@ex", "Ada"])
def test_the_form_of_a_new_task_suggests_people(visit: Visit, text: str) -> None:
    page = visit()
    sign_in(page)
    page.goto("tasks/task/add/")
    user = page.get_by_label("User:")
    options = page.locator("datalist option")

    user.press_sequentially({"ove": "love"}.get(text, text))
    expect(options).to_have_count(1)
    expect(options.first).to_have_attribute("value", "ada@example.com")
    label = "\u2068Ada Lovelace\u2069 · ada@example.com · id0"
    expect(options.first).to_have_attribute("label", label)
    user.fill("ada@example.com")
    expect(page.get_by_role("status")).to_contain_text("Ada Lovelace")
    shoot(page, "add")
    page.get_by_label("Title:").fill("Buy milk")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert Task.objects.latest("pk").user_id == "id0"


def test_support_finds_the_tasks_of_users_who_are_gone(visit: Visit) -> None:
    page = visit()
    sign_in(page)
    page.get_by_role("link", name="Unknown to Better Auth").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("unknown to Better Auth")
    shoot(page, "gone")


@pytest.mark.parametrize("number", [3, 4, 5])
def test_no_name_breaks_a_page(visit: Visit, number: int) -> None:
    page = visit()
    sign_in(page)
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"tasks/task/owner/?user_id=id{number}")
        expect(page.get_by_role("heading", level=2)).to_have_text(NAMES[number])
        wide = page.evaluate("document.querySelector('.person').scrollWidth > innerWidth")
        assert not wide
    shoot(page, f"strange-{number}")
