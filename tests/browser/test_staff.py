"""Staff at work, in a real browser, with up to 100 000 tasks."""

import csv
import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import connection
from django.urls import reverse
from playwright.sync_api import Page, expect

from tasks.models import Task
from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import Visit
from tests.browser.test_people import shoot

PASSWORD = "correct horse battery staple"
USERS = 500
FILL = """
    INSERT INTO tasks_task
        (user_id, title, description, complete, priority, created_at, updated_at)
    SELECT 'user-' || n %% %s, 'Water <b>plant</b> ' || n, '', false, 'medium', time, time
    FROM generate_series(1, %s) AS n, LATERAL (SELECT now() - n * interval '1 s' AS time) AS times
"""


@pytest.fixture(scope="module")
def hashed() -> str:
    """Once for all tests, since hashing is slow on purpose."""
    return make_password(PASSWORD)


@pytest.fixture(autouse=True)
def _staff(transactional_db: None, hashed: str) -> None:
    import_module("tasks.migrations.0005_groups").make_groups(apps, None)
    import_module("tasks.migrations.0010_undo_and_audit").grant_audit(apps, None)
    for name in ("viewer", "support"):
        user = User.objects.create(username=name, password=hashed, is_staff=True)
        user.groups.add(Group.objects.get(name=name))
    User.objects.create(username="root", password=hashed, is_staff=True, is_superuser=True)


def fill(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [USERS, number])
        cursor.execute("ANALYZE tasks_task")


def sign_in(page: Page, name: str, password: str = PASSWORD, target: str = "index") -> None:
    """With the keyboard only."""
    page.goto(f"login/?next={reverse(f'admin:{target}')}")
    expect(page.get_by_label("Username:")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def find(page: Page, words: str) -> None:
    page.locator("#searchbar").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator("#searchbar")).to_have_value(words)


def act(page: Page, action: str, rows: int, message: str) -> None:
    """Selects the first rows of the list and runs the action."""
    for row in range(rows):
        page.locator("input.action-select").nth(row).check()
    page.get_by_label("Action:").select_option(label=action)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text(message, exact=True)).to_be_visible()


def download(page: Page, link: str) -> str:
    with page.expect_download() as started:
        page.get_by_role("link", name=link, exact=True).click()
    return Path(started.value.path()).read_text(encoding="utf-8-sig")


def check(page: Page, name: str, browser_errors: list[str]) -> None:
    check_accessibility(page, browser_errors)
    shoot(page, name)


def test_support_works_on_the_tasks_of_a_user(visit: Visit) -> None:
    fill(100_000)
    page = visit()
    sign_in(page, "support")
    page.get_by_role("link", name="Tasks", exact=True).last.click()
    rows = page.locator("#result_list tbody tr")

    find(page, "plant 54321")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Water <b>plant</b> 54321")

    find(page, "user-7")
    expect(rows).to_have_count(100)
    tasks = Task.objects.filter(user_id="user-7")
    newest = list(tasks.order_by("-id").values_list("id", flat=True)[:10])
    act(page, "Complete", 10, "10 tasks completed.")
    assert list(tasks.filter(complete=True).order_by("-id").values_list("id", flat=True)) == newest
    act(page, "Reopen", 1, "1 task reopened.")
    assert tasks.filter(complete=True).count() == 9

    act(page, "Move to the trash", 1, "1 task moved to the trash.")
    assert list(tasks.trashed().values_list("id", flat=True)) == newest[:1]
    page.get_by_role("link", name="In the trash", exact=True).click()
    expect(rows).to_have_count(1)
    act(page, "Restore from the trash", 1, "1 task restored.")
    assert tasks.alive().count() == 200

    page.get_by_role("link", name="Not in the trash", exact=True).click()
    exported = list(csv.DictReader(download(page, "Export CSV").splitlines()))
    lines = [json.loads(line) for line in download(page, "Export JSON Lines").splitlines()]
    ids = list(tasks.order_by("id").values_list("id", flat=True))
    assert [int(task["id"]) for task in exported] == [task["id"] for task in lines] == ids
    assert {task["user_id"] for task in exported} == {"user-7"}


def test_a_wrong_bulk_action_is_undone_and_in_the_audit(
    visit: Visit, browser_errors: list[str]
) -> None:
    fill(3000)
    bobs = Task.objects.filter(user_id="user-7")
    page = visit()
    sign_in(page, "root", target="tasks_task_changelist")
    page.get_by_label("Action:").select_option(label="Complete")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all matching tasks").click()
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("Complete: 3000 tasks.")).to_be_visible()
    page.get_by_role("button", name="Yes, complete").click()
    expect(page.get_by_text("3000 tasks completed.", exact=True)).to_be_visible()
    bobs.filter(pk=bobs.latest("id").pk).update(title="Changed by Bob")

    page.get_by_role("link", name="Undo", exact=True).click()
    expect(page.get_by_role("heading", name="Complete: 3000 tasks completed")).to_be_visible()
    check(page, "action", browser_errors)
    page.get_by_role("button", name="Undo", exact=True).click()
    message = "2999 tasks changed back. 1 task has changed since and was left as it was."
    expect(page.get_by_text(message, exact=True)).to_be_visible()
    assert Task.objects.get(complete=True).title == "Changed by Bob"

    page.goto("tasks/task/owner/?user_id=user-7&show=history")
    expect(page.get_by_role("link", name="3000 tasks completed")).to_have_count(1)
    page.goto("")
    page.get_by_role("link", name="Audit", exact=True).first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows.first).to_contain_text("View: user")
    expect(rows.filter(has_text="2999 tasks changed back")).to_have_count(1)
    check(page, "audit", browser_errors)
    page.get_by_label("Action").select_option(label="Complete")
    page.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("root Complete")


def test_a_viewer_can_only_view(visit: Visit, browser_errors: list[str]) -> None:
    fill(10)
    page = visit()
    sign_in(page, "viewer")
    page.goto("tasks/task/")
    expect(page.locator("#result_list tbody tr")).to_have_count(10)
    expect(page.get_by_label("Action:")).to_have_count(0)
    expect(page.get_by_role("link", name="Export CSV")).to_have_count(0)

    page.locator("#result_list tbody a").first.click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    assert browser_errors == []

    for address in ("tasks/task/export.csv", "tasks/task/add/", "auth/user/"):
        response = page.goto(address)
        assert response
        assert response.status == 403
        expect(page.get_by_role("heading", name="This is not allowed")).to_be_visible()
    assert ["status of 403" in error for error in browser_errors] == [True] * 3
    browser_errors.clear()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_overdue_depends_on_the_day_of_the_browser(visit: Visit, zone: str) -> None:
    """It is always another day in these two zones. The page of the sign-in sends the zone."""
    now = datetime.now(UTC)
    today = now.astimezone(ZoneInfo(zone)).date()
    yesterday_in_the_east = now.astimezone(ZoneInfo("Pacific/Kiritimati")).date() - timedelta(1)
    for title, due in (
        ("today here", today),
        ("yesterday here", today - timedelta(1)),
        ("yesterday in the east", yesterday_in_the_east),
        ("a minute ago", now - timedelta(minutes=1)),
        ("in an hour", now + timedelta(hours=1)),
    ):
        task = Task(user_id="user-7", title=title)
        task.due_date = due
        task.save()
    is_east = zone == "Pacific/Kiritimati"
    overdue = {"yesterday here", "a minute ago", *(["yesterday in the east"] if is_east else [])}
    page = visit(zone)
    sign_in(page, "support", target="tasks_task_changelist")

    expect(page.get_by_text(f"Time zone: {zone}").first).to_be_visible()
    marked = page.locator("#result_list tr").filter(has=page.locator(".overdue"))
    assert set(marked.locator(".field-title").all_inner_texts()) == overdue
    row = page.locator("#result_list tr").filter(has_text="in an hour")
    local = (now + timedelta(hours=1)).astimezone(ZoneInfo(zone))
    expect(row.locator(".field-due")).to_have_text(f"{local:%Y-%m-%d %H:%M}")
    row = page.locator("#result_list tr").filter(has_text="today here")
    expect(row.locator(".field-due")).to_have_text(str(today))

    page.get_by_role("link", name=f"Overdue on {today}").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(len(overdue))
    assert set(page.locator(".field-title").all_inner_texts()) == overdue


def test_support_corrects_due_date_and_tags(visit: Visit) -> None:
    task = Task.objects.create(user_id="user-7", title="Buy milk", tags=["home", "Old"])
    Task.objects.create(user_id="user-8", title="Buy bread", tags=["HOME"])
    page = visit("America/New_York")
    sign_in(page, "support", target="tasks_task_changelist")
    page.get_by_role("link", name="Buy milk").click()
    page.get_by_label("Due date:").fill("tomorrow")
    page.get_by_label("Tags:").fill("home, new")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This is neither a day nor a time.")).to_be_visible()
    page.get_by_label("Due date:").fill("2026-01-31")
    page.get_by_role("button", name="Save", exact=True).click()

    row = page.locator("#result_list tr").filter(has_text="Buy milk")
    expect(row.locator(".field-due")).to_have_text("2026-01-31 overdue")
    row.get_by_role("link", name="home", exact=True).click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.get_by_label("Tag", exact=True).fill("NEW")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    find(page, "buy")
    expect(page.get_by_label("Tag", exact=True)).to_have_value("NEW")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)

    task.refresh_from_db()
    assert (str(task.due_day), task.due_at, task.tags) == ("2026-01-31", None, ["home", "new"])


def test_no_page_violates_its_security_policy(visit: Visit) -> None:
    task = Task.objects.create(
        user_id="user-7",
        title="<script>alert(1)</script>",
        due_at=datetime(2026, 1, 31, tzinfo=UTC),
        tags=["<script>alert(1)</script>"],
    )
    root = User.objects.get(username="root").pk
    page = visit()
    sign_in(page, "root")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    for address in (
        "",
        "tasks/task/",
        "tasks/task/?q=nothing",
        "tasks/task/?due=overdue&tag=home",
        "tasks/task/add/",
        f"tasks/task/{task.pk}/change/",
        f"tasks/task/{task.pk}/history/",
        f"tasks/task/{task.pk}/delete/",
        "tasks/trash/",
        "tasks/trash/?user_id__exact=user-7&by=user&deleted_at_to=2026-01-31",
        "tasks/task/owner/?user_id=user-7",
        "tasks/task/owner/?user_id=user-7&show=history",
        "tasks/pageview/",
        "auth/user/",
        f"auth/user/{root}/change/",
        f"auth/user/{root}/password/",
        "auth/group/add/",
        "password_change/",
    ):
        response = page.goto(address)
        assert response
        assert response.status == 200, address
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Logged out")).to_be_visible()


def test_a_locked_sign_in_shows_a_page(visit: Visit, browser_errors: list[str]) -> None:
    """The failures are of the address from which the proxy sees the browser."""
    AccessAttempt.objects.create(username="support", ip_address="127.0.0.1", failures_since_start=4)
    page = visit()
    sign_in(page, "support", "wrong")
    expect(page.get_by_role("heading", name="Sign-in is locked")).to_be_visible()

    assert ["status of 429" in error for error in browser_errors] == [True]
    browser_errors.clear()
