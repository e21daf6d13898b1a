"""The list, the page of a user and a conflict of two editors, in a real browser."""

import os
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from tasks.models import SavedView, Task
from tests.browser.accessibility import SCHEMES, check_accessibility
from tests.browser.conftest import Visit
from tests.browser.test_people import PASSWORD, sign_in

FOLDER = os.environ.get("SCREENSHOTS_FOLDER", "")
LONG_TITLE = "x" * 200
LONG_ID = "y" * 255
ROWS = "#result_list tbody tr"


@pytest.fixture(autouse=True)
def _tasks(transactional_db: None) -> None:
    import_module("tasks.migrations.0005_groups").make_groups(apps, None)
    user = User.objects.create_user("maria", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    Task.objects.bulk_create(
        Task(
            user_id=("7Qk2VbW4sJ9xTzR1nLpYcD8mFhGa6E3u", LONG_ID)[n % 2],
            title=LONG_TITLE if n % 7 == 0 else f"Water plant {n}",
            description="\u202eWith <b>two litres</b>",
            complete=n % 3 == 0,
            due_day="2026-01-31" if n % 4 == 0 else None,
            tags=[f"tag {n} {'z' * 40}", "home", "a", "b"],
        )
        for n in range(40)
    )


def check(page: Page, name: str, browser_errors: list[str]) -> None:
    """The page does not scroll sideways, and axe-core finds nothing.

    SCREENSHOTS_FOLDER gets pictures for people to look at.
    """
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width, (name, width)
        for scheme in SCHEMES if FOLDER else ():
            page.emulate_media(color_scheme=scheme)
            path = Path(FOLDER) / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=path, animations="disabled")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    check_accessibility(page, browser_errors)


def visible_rows(page: Page) -> int:
    script = "rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"
    return int(page.locator(ROWS).evaluate_all(script))


def test_the_list_with_keys_sorting_and_a_saved_view(
    visit: Visit, browser_errors: list[str]
) -> None:
    page = visit()
    page.set_viewport_size({"width": 1280, "height": 900})
    sign_in(page)
    assert visible_rows(page) >= 25
    check(page, "list", browser_errors)
    filters_open_on_a_phone(page)
    keys_select_and_open_tasks(page, browser_errors)
    page.go_back()

    page.get_by_role("link", name="Due", exact=True).click()
    expect(page.get_by_text("tasks that are not due are not in this list")).to_be_visible()
    expect(page.locator(ROWS)).to_have_count(10)
    page.get_by_text("Save this view").click()
    page.get_by_label("Name").fill("Due <b>first</b>")
    check(page, "save-view", browser_errors)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is saved.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("link", name="Due <b>first</b>").click()
    expect(page.locator(ROWS)).to_have_count(10)
    assert SavedView.objects.get().query == "sort=due"

    page.locator("#searchbar").fill("wat PLA")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(34)


def filters_open_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.locator(ROWS).first.bounding_box()["y"] < 600  # type: ignore[index]
    expect(page.get_by_role("link", name="In the trash", exact=True)).to_be_hidden()
    page.locator(".filter-toggle").click()
    expect(page.get_by_role("link", name="In the trash", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})


def keys_select_and_open_tasks(page: Page, browser_errors: list[str]) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(ROWS).nth(1).locator("a").first).to_be_focused()
    expect(page.locator("input.action-select:checked")).to_have_count(1)
    expect(page.get_by_text("1 of 40 selected")).to_be_visible()
    page.keyboard.press("Control+x")
    page.keyboard.press("/")
    page.keyboard.type("plant jkx/")
    expect(page.locator("#searchbar")).to_have_value("plant jkx/")
    expect(page.locator("input.action-select:checked")).to_have_count(1)
    page.get_by_text("Keys", exact=True).click()
    page.get_by_role("button", name="Keys are on").click()
    page.keyboard.press("j")
    expect(page.get_by_role("button", name="Keys are off")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.get_by_label("Title:")).to_be_visible()
    assert f"/{Task.objects.latest('id').pk}/change/" in page.url
    check(page, "change", browser_errors)


def test_the_page_of_a_user_and_a_conflict(visit: Visit, browser_errors: list[str]) -> None:
    page = visit()
    sign_in(page)
    for show in ("tasks", "trash", "history"):
        page.goto(f"tasks/task/owner/?user_id={LONG_ID}&show={show}")
        check(page, f"user-{show}", browser_errors)
    page.goto(f"tasks/task/owner/?user_id={LONG_ID}")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator("input.action-select").nth(2).check()
    expect(page.get_by_text("2 of 20 selected")).to_be_visible()
    page.get_by_label("Action:").select_option(label="Move to the trash")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("2 tasks moved to the trash.")).to_be_visible()
    expect(page.get_by_text("18 tasks · ")).to_be_visible()
    page.locator("#searchbar").fill("two litres")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(20)

    page.locator(ROWS).last.locator("a").first.click()
    task = Task.objects.filter(user_id=LONG_ID).earliest("id")
    page.get_by_label("Title:").fill("Water the plants")
    page.get_by_label("Description:").fill("With one litre")
    Task.objects.filter(pk=task.pk).update(title="Feed the cat", description="Twice")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing is saved yet")).to_be_visible()
    check(page, "conflict", browser_errors)
    page.get_by_role("group", name="Title").get_by_label("Save what is in the field").check()
    page.get_by_role("group", name="Description").get_by_label("Keep the value").check()
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    task.refresh_from_db()
    assert (task.title, task.description) == ("Water the plants", "Twice")

    page.get_by_label("Title:").fill("Unsaved")
    page.get_by_role("button", name="Move to the trash").click()
    expect(page.get_by_text("You have edited this task, so nothing was done.")).to_be_visible()
    expect(page.get_by_label("Title:")).to_have_value("Unsaved")
    page.get_by_role("link", name="discard them").click()
    expect(page.get_by_label("Title:")).to_have_value("Water the plants")
    page.get_by_role("link", name="History").click()
    check(page, "history", browser_errors)
