"""An administrator adds a colleague, who sets a password and a second factor, and signs in."""

import re
import time
from base64 import b32decode
from collections.abc import Callable
from importlib import import_module

import pytest
from axes.models import AccessAttempt
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from tests.browser.accessibility import check_accessibility
from tests.browser.conftest import Visit
from tests.browser.test_staff import PASSWORD, sign_in

NEW_PASSWORD = "a longer horse, and a staple"


@pytest.fixture(autouse=True)
def _staff(transactional_db: None) -> None:
    import_module("tasks.migrations.0005_groups").make_groups(apps, None)
    import_module("config.migrations.0001_staff_accounts").grant(apps, None)
    hashed = make_password(PASSWORD)
    user = User.objects.create(username="ann", password=hashed, is_staff=True)
    user.groups.add(Group.objects.get(name="administrator"))


Check = Callable[[Page, str], None]


@pytest.fixture
def check(browser_errors: list[str]) -> Check:
    """That the page with this heading can be used by everybody, as far as axe-core can tell."""

    def run(page: Page, heading: str) -> None:
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        check_accessibility(page, browser_errors)

    return run


def add_colleague(page: Page, check: Check) -> str:
    """Returns the link to set the password."""
    sign_in(page, "ann", target="auth_user_changelist")
    page.get_by_role("link", name="Add user").click()
    check(page, "Add user")
    page.get_by_label("Username:").fill("zoe")
    page.get_by_label("Email address:").fill("zoe@example.com")
    page.get_by_label("support").check()
    page.get_by_role("button", name="Save", exact=True).click()
    check(page, "Change user")
    page.get_by_role("button", name="Make a link to set the password").click()
    check(page, "Link to set the password")
    return page.get_by_label("Link:").input_value()


def set_password(page: Page, check: Check, link: str) -> None:
    page.goto(link)
    check(page, "Set your password")
    expect(page.get_by_label("Code of the link:")).to_be_hidden()
    assert "#" not in page.url
    page.get_by_label("New password:").fill(NEW_PASSWORD)
    page.get_by_label("New password confirmation:").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password of zoe is set. Sign in now.")).to_be_visible()
    check(page, "Log in")


def set_up_second_factor(page: Page, check: Check) -> tuple[TOTP, str]:
    """Returns the app, and a recovery code."""
    page.get_by_role("link", name="Your account").click()
    check(page, "Your account")
    page.get_by_role("link", name="Set it up").click()
    check(page, "Set up a second factor")
    expect(page.get_by_role("img", name="QR code of the key below")).to_be_visible()
    secret = page.locator(".secret").inner_text().replace(" ", "")
    app = TOTP(b32decode(secret), 6, SHA1(), 30)
    page.get_by_label("Code:").fill(app.generate(time.time()).decode())
    page.get_by_role("button", name="Set up").click()
    check(page, "Recovery codes")
    recovery_code = page.locator(".recovery-codes code").first.inner_text()
    page.get_by_role("link", name="I have stored the codes").click()
    page.get_by_role("button", name="Log out").click()
    return app, recovery_code


def sign_in_with(page: Page, code: str) -> None:
    page.goto("login/")
    page.get_by_label("Username:").fill("zoe")
    page.get_by_label("Password:").fill(NEW_PASSWORD)
    page.get_by_label("Code:").fill(code)
    page.get_by_role("button", name="Log in").click()


def unlock_and_reset(page: Page, check: Check) -> None:
    AccessAttempt.objects.create(username="zoe", ip_address="192.0.2.1", failures_since_start=5)
    page.goto("auth/user/locks/")
    check(page, "Locked sign-ins")
    page.get_by_role("button", name="Unlock zoe at 192.0.2.1").click()
    expect(page.get_by_text("No sign-in is locked.")).to_be_visible()
    page.goto(f"auth/user/{User.objects.get(username='zoe').pk}/change/")
    page.get_by_role("button", name="Reset the second factor").click()
    check(page, "Reset the second factor")
    page.get_by_role("button", name="Yes, reset it").click()
    expect(page.get_by_text("Second factor: none.")).to_be_visible()


def test_a_colleague_gets_an_account_with_a_second_factor(visit: Visit, check: Check) -> None:
    administrator, page = visit(), visit()
    set_password(page, check, add_colleague(administrator, check))
    sign_in(page, "zoe", NEW_PASSWORD)
    app, recovery_code = set_up_second_factor(page, check)

    sign_in_with(page, app.generate(time.time() + 30).decode())
    page.get_by_role("button", name="Log out").click()
    sign_in_with(page, "000000")
    expect(page.get_by_text(re.compile("a new code if it has a second factor"))).to_be_visible()
    sign_in_with(page, recovery_code)
    page.get_by_role("link", name="Your account").click()
    expect(page.get_by_text("with 9 unused recovery codes")).to_be_visible()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("right password, but wrong or missing code")
    check(page, "Your account")
    page.get_by_role("link", name="Change", exact=True).click()
    check(page, "Second factor")

    unlock_and_reset(administrator, check)
    page.reload()
    check(page, "Log in")
