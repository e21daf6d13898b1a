"""An administrator adds a colleague, who sets a password and a second factor, and signs in."""

import re
import time
from base64 import b32decode
from importlib import import_module

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.apps import apps
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

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


def sign_in_with(page: Page, code: str) -> None:
    page.goto("login/")
    page.get_by_label("Username:").fill("zoe")
    page.get_by_label("Password:").fill(NEW_PASSWORD)
    page.get_by_label("Code:").fill(code)
    page.get_by_role("button", name="Log in").click()


def test_a_colleague_gets_an_account_with_a_second_factor(visit: Visit) -> None:
    administrator = visit()
    sign_in(administrator, "ann", target="auth_user_changelist")
    administrator.get_by_role("link", name="Add user").click()
    administrator.get_by_label("Username:").fill("zoe")
    administrator.get_by_label("support").check()
    administrator.get_by_role("button", name="Save", exact=True).click()
    administrator.get_by_role("button", name="Make a link to set the password").click()
    link = administrator.get_by_label("Link:").input_value()

    page = visit()
    page.goto(link)
    expect(page.get_by_label("Code of the link:")).to_be_hidden()
    assert "#" not in page.url
    page.get_by_label("New password:").fill(NEW_PASSWORD)
    page.get_by_label("New password confirmation:").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password of zoe is set. Sign in now.")).to_be_visible()

    sign_in(page, "zoe", NEW_PASSWORD)
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Set it up").click()
    expect(page.get_by_role("img", name="QR code of the key below")).to_be_visible()
    secret = page.locator(".secret").inner_text().replace(" ", "")
    totp = TOTP(b32decode(secret), 6, SHA1(), 30)
    page.get_by_label("Code:").fill(totp.generate(time.time()).decode())
    page.get_by_role("button", name="Set up").click()
    recovery_code = page.locator(".recovery-codes code").first.inner_text()
    page.get_by_role("link", name="I have stored the codes").click()
    page.get_by_role("button", name="Log out").click()

    sign_in_with(page, totp.generate(time.time() + 30).decode())
    expect(page.get_by_role("link", name="Your account")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    sign_in_with(page, "000000")
    expect(page.get_by_text(re.compile("a new code if it has a second factor"))).to_be_visible()
    sign_in_with(page, recovery_code)
    page.get_by_role("link", name="Your account").click()
    expect(page.get_by_text("with 9 unused recovery codes")).to_be_visible()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("right password, but wrong or missing code")
