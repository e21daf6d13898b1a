"""From the start page to the trash, and back what a user lost yesterday."""

import os
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from tasks.models import Task
from tests.browser.accessibility import SCHEMES, check_accessibility
from tests.browser.conftest import Visit
from tests.people import token_of

PASSWORD = "correct horse battery staple"
FOLDER = os.environ.get("SCREENSHOTS_FOLDER", "")


def shoot(page: Page, name: str) -> None:
    """For people to look at: with SCREENSHOTS_FOLDER, at two widths and in both schemes."""
    for width in (1280, 400) if FOLDER else ():
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            path = Path(FOLDER) / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=path, full_page=True, animations="disabled")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_support_restores_what_a_user_lost_yesterday(
    visit: Visit, browser_errors: list[str]
) -> None:
    import_module("tasks.migrations.0005_groups").make_groups(apps, None)
    user = User.objects.create_user("maria", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))
    yesterday = datetime.now(UTC) - timedelta(1)
    for owner, at in (
        ("alice", yesterday),
        ("alice", yesterday - timedelta(3)),
        ("bob", yesterday),
    ):
        for n in range(3):
            Task.objects.create(user_id=owner, title=f"Water plant {n}", deleted_at=at)
    Task.objects.create(user_id="alice", title="Buy milk", due_day=yesterday.date())
    page = visit()
    page.goto("login/")
    page.get_by_label("Username:").fill("maria")
    page.get_by_label("Password:").fill(PASSWORD)
    token = token_of("alice", exp=1)
    headers = {"Authorization": f"Bearer {token}"}
    assert page.request.get("/api/alice/tasks", headers=headers).status == 401
    page.keyboard.press("Enter")

    expect(page.get_by_label("Find a user or a task")).to_be_focused()
    expect(page.get_by_role("heading", name="All is well.")).to_be_visible()
    expect(page.get_by_role("img", name="Tasks created and completed per day")).to_be_visible()
    expect(page.get_by_role("row", name="expired 1")).to_be_visible()
    page.get_by_text("The numbers of each day", exact=True).click()
    check_accessibility(page, browser_errors)
    shoot(page, "start")

    page.get_by_role("link", name="In the trash").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(9)
    expect(page.get_by_role("button", name="Empty the trash: 9 tasks")).to_be_visible()
    check_accessibility(page, browser_errors)
    shoot(page, "trash")

    page.get_by_role("link", name="Only the trash of alice").first.click()
    page.get_by_role("link", name="Yesterday").click()
    page.get_by_role("button", name="Restore these 3 tasks").click()

    expect(page.get_by_text("3 tasks restored.")).to_be_visible()
    assert Task.objects.alive().filter(user_id="alice").count() == 4
    assert Task.objects.trashed().count() == 6
    page.goto("")
    expect(page.get_by_role("listitem").filter(has_text="3 tasks restored")).to_have_count(1)
    shoot(page, "start-later")
