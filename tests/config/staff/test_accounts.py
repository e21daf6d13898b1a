"""Administrators manage colleagues, and get no right that they do not have."""

import re
import time
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.core import signing
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.models import SecondFactor, SignIn
from config.staff import accounts
from tests.config.staff.conftest import PASSWORD
from tests.tasks.admin.conftest import member_of
from tests.tasks.admin.pages import messages_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_quick_hashes")]

LIST = reverse("admin:auth_user_changelist")
ADD = reverse("admin:auth_user_add")
LOCKS = reverse("admin:auth_user_locks")
SET_PASSWORD = reverse("admin:set_password")
SIGN_IN = reverse("admin:login")
NEW_PASSWORD = "a longer horse, and a staple"


def page_of(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def password_of(user: User) -> str:
    return reverse("admin:auth_user_password_change", args=[user.pk])


def act(client: Client, user: User, action: str, **more: str) -> Any:
    return client.post(reverse("admin:auth_user_act", args=[user.pk]), {"action": action, **more})


def fields(user: User, **changes: Any) -> dict[str, Any]:
    """What the form of an administrator sends."""
    known = {
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_active": "on",
        "groups": [group.pk for group in user.groups.all()],
    }
    return {name: value for name, value in (known | changes).items() if value is not None}


def group(name: str) -> Group:
    return Group.objects.get(name=name)


def give_second_factor(user: User) -> SecondFactor:
    return SecondFactor.objects.create(
        user=user, secret="A" * 32, last_step=0, recovery_hashes=[], failures=9
    )


def link_of(response: Any) -> str:
    (link,) = re.findall(r'id="link"[^>]* value="([^"]*)"', response.content.decode())
    return unescape(link)


def use(link: str, password: str = NEW_PASSWORD, again: str = "") -> Any:
    data = {"new_password1": password, "new_password2": again or password}
    token = link.partition("#")[2]
    return Client().post(SET_PASSWORD, {**data, "token": token}, secure=True)


def entries(user: User) -> list[str]:
    found = LogEntry.objects.filter(object_id=str(user.pk), content_type__model="user")
    return [entry.get_change_message() for entry in found.order_by("id")]


@pytest.fixture
def colleague(support: Any) -> User:
    user: User = support.user
    user.email = "support@example.com"
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def root(superuser: Any) -> User:
    user: User = superuser.user
    return user


def test_an_administrator_adds_a_colleague_who_cannot_sign_in_yet(administrator: Any) -> None:
    new = {"username": "zoe", "email": "zoe@example.com", "groups": [group("support").pk]}
    answer = administrator.post(ADD, {**new, "is_superuser": "on", "user_permissions": [1]})

    zoe = User.objects.get(username="zoe")
    assert (answer.status_code, answer["Location"]) == (302, page_of(zoe))
    assert (zoe.is_staff, zoe.is_active, zoe.is_superuser) == (True, True, False)
    assert not zoe.has_usable_password()
    assert [each.name for each in zoe.groups.all()] == ["support"]
    assert not zoe.user_permissions.exists()
    assert entries(zoe) == ["Added."]
    again = administrator.post(ADD, {"username": "Zoe"})
    assert "There is an account with this name." in again.content.decode()


def test_a_change_is_in_the_history_with_old_and_new_values(
    administrator: Any, colleague: User
) -> None:
    changes = fields(colleague, groups=[group("viewer").pk], is_active=None)
    assert administrator.post(page_of(colleague), changes).status_code == 302

    colleague.refresh_from_db()
    assert not colleague.is_active
    assert entries(colleague) == ["Changed Active: yes → no; Groups: support → viewer."]


def test_the_form_of_an_administrator_changes_nothing_else(
    administrator: Any, colleague: User
) -> None:
    more = {"is_superuser": "on", "is_staff": "", "user_permissions": [1], "password": "x"}
    before = colleague.password
    assert administrator.post(page_of(colleague), fields(colleague) | more).status_code == 302
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert administrator.post(password_of(colleague), passwords).status_code == 403

    colleague.refresh_from_db()
    assert (colleague.is_superuser, colleague.is_staff) == (False, True)
    assert colleague.password == before
    assert not colleague.user_permissions.exists()


def test_a_group_with_more_rights_than_ones_own_cannot_be_given(
    administrator: Any, colleague: User
) -> None:
    mighty = Group.objects.create(name="mighty")
    mighty.permissions.add(Permission.objects.get(codename="change_group"))
    assert "mighty" not in administrator.get(page_of(colleague)).content.decode()

    for address, data in (
        (page_of(colleague), fields(colleague, groups=[mighty.pk])),
        (ADD, {"username": "zoe", "groups": [mighty.pk]}),
    ):
        answer = administrator.post(address, data)
        assert "is not one of the available choices." in answer.content.decode()

    assert not mighty.user_set.exists()
    assert not User.objects.filter(username="zoe").exists()


def more_by_group(user: User) -> None:
    mighty = Group.objects.create(name="mighty")
    mighty.permissions.add(Permission.objects.get(codename="change_group"))
    user.groups.add(mighty)


def more_by_permission(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="change_group"))


def more_as_superuser(user: User) -> None:
    user.is_superuser = True


def more_but_inactive(user: User) -> None:
    """Django says that an inactive account has no permission."""
    more_by_group(user)
    user.is_active = False


@pytest.mark.parametrize(
    "more", [more_by_group, more_by_permission, more_as_superuser, more_but_inactive]
)
def test_an_account_with_more_rights_cannot_be_changed_or_taken_over(
    administrator: Any, colleague: User, more: Any
) -> None:
    link = link_of(act(administrator, colleague, "link"))
    before = LogEntry.objects.count()
    more(colleague)
    colleague.save()
    give_second_factor(colleague)
    changed = fields(colleague, email="mine@example.com")

    answers = [
        administrator.post(page_of(colleague), changed),
        *(act(administrator, colleague, action) for action in ("link", "unlock")),
        act(administrator, colleague, "reset", confirmed="yes"),
        administrator.post(password_of(colleague), {"password1": "x", "password2": "x"}),
        administrator.post(reverse("admin:auth_user_delete", args=[colleague.pk]), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert "This link was used before" in use(link).content.decode()
    colleague.refresh_from_db()
    assert colleague.email == "support@example.com"
    assert colleague.check_password(PASSWORD)
    assert SecondFactor.objects.get().failures == 9
    assert LogEntry.objects.count() == before


def test_viewer_and_support_manage_nobody(viewer: Any, support: Any, root: User) -> None:
    target = User.objects.create_user("zoe", is_staff=True)
    give_second_factor(target)
    for client in (viewer, support):
        answers = [
            *(client.get(address) for address in (LIST, ADD, LOCKS, page_of(target))),
            client.get(reverse("admin:auth_user_history", args=[target.pk])),
            client.post(ADD, {"username": "eve"}),
            client.post(page_of(target), fields(target, email="mine@example.com")),
            client.post(LOCKS, {"lock": "192.0.2.1 "}),
            *(act(client, target, action) for action in ("link", "unlock")),
            act(client, target, "reset", confirmed="yes"),
        ]
        assert {answer.status_code for answer in answers} == {403}

    assert set(User.objects.all()) == {viewer.user, support.user, root, target}
    assert SecondFactor.objects.exists()
    target.refresh_from_db()
    assert target.email == ""


def test_nobody_changes_what_they_may_do_themselves(administrator: Any, superuser: Any) -> None:
    """So nobody can lock themselves out."""
    for client in (administrator, superuser):
        data = fields(client.user, is_active=None, groups=[], email="new@example.com")
        assert client.post(page_of(client.user), data).status_code == 302
        for action in ("link", "unlock", "reset"):
            assert act(client, client.user, action, confirmed="yes").status_code == 403

    for name in ("administrator", "root"):
        user = User.objects.get(username=name)
        assert (user.email, user.is_active) == ("new@example.com", True)
    assert administrator.user.groups.exists()


def test_a_superuser_keeps_all_rights(superuser: Any, colleague: User) -> None:
    data = fields(colleague, is_staff="on", is_superuser="on", user_permissions=[])
    assert superuser.post(page_of(colleague), data).status_code == 302

    colleague.refresh_from_db()
    assert colleague.is_superuser
    assert entries(colleague) == ["Changed Superuser status: no → yes."]
    assert superuser.get(password_of(colleague)).status_code == 200


def test_ones_own_password_needs_the_old_one(superuser: Any) -> None:
    """So nobody keeps an account by a stolen session."""
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    address = password_of(superuser.user)
    for path in (address, address.replace("/user/", "/user/0")):
        answer = superuser.post(path, passwords)
        assert (answer.status_code, answer["Location"]) == (302, reverse("admin:password_change"))

    superuser.user.refresh_from_db()
    assert not superuser.user.check_password(NEW_PASSWORD)


def test_a_link_sets_the_password_once(administrator: Any, colleague: User) -> None:
    session = Client(headers={"X-Forwarded-Proto": "https"})
    session.force_login(colleague)
    answer = act(administrator, colleague, "link")
    link = link_of(answer)
    assert link.partition("#")[0].endswith(SET_PASSWORD)

    assert "is too short" in use(link, "short").content.decode()
    assert "password fields didn" in use(link, NEW_PASSWORD, "another").content.decode()
    assert "too similar" in use(link, "support@example.com").content.decode()
    done = use(link)
    assert (done.status_code, done["Location"]) == (302, SIGN_IN)
    assert messages_in(done) == ["The password of support is set. Sign in now."]
    assert "This link was used before" in use(link, "yet another horse").content.decode()

    colleague.refresh_from_db()
    assert colleague.check_password(NEW_PASSWORD)
    assert session.get(reverse("admin:index")).status_code == 302  # it has ended
    assert entries(colleague) == ["Made a link to set the password.", "Set the password by a link."]
    assert LogEntry.objects.first().user == colleague  # type: ignore[union-attr]


def test_a_link_expires(administrator: Any, colleague: User, monkeypatch: Any) -> None:
    link = link_of(act(administrator, colleague, "link"))
    day = 24 * 3600
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + day + 2)
    assert "This link was used before" in use(link).content.decode()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + day - 2)
    assert use(link).status_code == 302


def inactive(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def not_staff(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=False)


def signed_in(user: User) -> None:
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())


def without_its_maker(_: User) -> None:
    User.objects.filter(username="administrator").update(is_active=False)


def with_a_maker_who_may_no_longer(_: User) -> None:
    group("administrator").user_set.clear()


@pytest.mark.parametrize(
    "change",
    [inactive, not_staff, signed_in, without_its_maker, with_a_maker_who_may_no_longer],
)
def test_a_link_is_invalid_after(administrator: Any, colleague: User, change: Any) -> None:
    link = link_of(act(administrator, colleague, "link"))
    change(colleague)

    assert "This link was used before" in use(link).content.decode()
    colleague.refresh_from_db()
    assert colleague.check_password(PASSWORD)


OF_SOMETHING_ELSE = signing.dumps({"account": 1})


@pytest.mark.parametrize(
    "token", ["", "x", "a:b:c", "\0", OF_SOMETHING_ELSE, "é" * 9999], ids=range(6)
)
def test_a_forged_link_is_refused(colleague: User, token: str) -> None:
    answer = use(f"#{token}")

    assert (answer.status_code, "This link was used before" in answer.content.decode()) == (
        200,
        True,
    )


@pytest.mark.django_db(transaction=True)
def test_a_link_works_once_if_it_is_used_twice_at_the_same_time(
    administrator: Any, colleague: User, monkeypatch: Any
) -> None:
    link = link_of(act(administrator, colleague, "link"))
    in_transaction = []

    def use_again_meanwhile(password: str) -> Any:
        in_transaction.append(connection.in_atomic_block)
        if password == NEW_PASSWORD:
            assert use(link, "the other is faster").status_code == 302
        return make_password(password)

    monkeypatch.setattr("config.staff.own_account.make_password", use_again_meanwhile)
    assert "This link was used before" in use(link).content.decode()

    colleague.refresh_from_db()
    assert colleague.check_password("the other is faster")
    assert in_transaction == [False, False]


def test_no_link_is_made_for_an_inactive_account(administrator: Any, colleague: User) -> None:
    inactive(colleague)

    assert act(administrator, colleague, "link").status_code == 302
    assert entries(colleague) == []


def test_the_token_is_in_no_log_and_the_page_sends_no_referer(
    administrator: Any,
    colleague: User,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    link = link_of(act(administrator, colleague, "link"))
    page = Client().get(SET_PASSWORD, secure=True)
    use(link)

    token = link.partition("#")[2]
    assert token not in caplog.text + capsys.readouterr().out
    assert page["Referrer-Policy"] == "same-origin"
    assert page["Cache-Control"] == "private, no-store"
    assert not LogEntry.objects.filter(change_message__contains=token).exists()


def test_locks_are_listed_and_removed(administrator: Any, colleague: User) -> None:
    for address, name, failures in (
        ("192.0.2.1", "support", 5),
        ("192.0.2.2", "hunter2", 20),
        ("192.0.2.3", "support", 4),
        ("192.0.2.4", "hunter2", 5),
        (None, "support", 9),
    ):
        AccessAttempt.objects.create(
            username=name, ip_address=address, failures_since_start=failures
        )
    AccessAttempt.objects.create(username="support", ip_address="192.0.2.5", failures_since_start=5)
    AccessAttempt.objects.filter(ip_address="192.0.2.5").update(
        attempt_time=timezone.now() - timedelta(minutes=16)
    )

    page = administrator.get(LOCKS).content.decode()
    assert re.findall(r'name="lock" value="([^"]*)"', page) == ["192.0.2.2 ", "192.0.2.1 support"]
    assert "hunter2" not in page

    administrator.post(LOCKS, {"lock": "192.0.2.3 support"})  # is not locked
    administrator.post(LOCKS, {"lock": " "})
    assert AccessAttempt.objects.count() == 6
    answer = administrator.post(LOCKS, {"lock": "192.0.2.2 "})
    assert messages_in(answer) == ["Unlocked the sign-in of every name at 192.0.2.2."]
    administrator.post(LOCKS, {"lock": "192.0.2.1 support"})
    assert "No sign-in is locked." in administrator.get(LOCKS).content.decode()
    assert AccessAttempt.objects.count() == 4
    assert entries(administrator.user) == [
        "Unlocked the sign-in of every name at 192.0.2.2.",
        "Unlocked the sign-in of support at 192.0.2.1.",
    ]


def test_an_account_is_unlocked_and_its_second_factor_reset(
    administrator: Any, colleague: User
) -> None:
    AccessAttempt.objects.create(username="support", ip_address="192.0.2.1", failures_since_start=5)
    give_second_factor(colleague)
    act(administrator, colleague, "unlock")
    assert not AccessAttempt.objects.exists()
    assert SecondFactor.objects.get().failures == 0

    page = act(administrator, colleague, "reset")
    assert "First make sure that it is really support" in page.content.decode()
    assert SecondFactor.objects.exists()
    act(administrator, colleague, "reset", confirmed="yes")
    assert not SecondFactor.objects.exists()
    assert entries(colleague) == ["Unlocked the sign-in.", "Reset the second factor."]


def test_an_earlier_release_can_delete_an_account() -> None:
    """It does not know these tables, so it deletes only the row of the account."""
    user = User.objects.create_user("zoe")
    give_second_factor(user)
    SignIn.objects.create(user=user, result=SignIn.Result.OK)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_user WHERE id = %s", [user.pk])

    assert not SecondFactor.objects.exists()
    assert not SignIn.objects.exists()


def test_the_right_is_one_that_an_earlier_release_does_not_know(administrator: Any) -> None:
    """There, `auth.change_user` would let an administrator make superusers."""
    granted = Permission.objects.filter(group__name="administrator")

    assert not granted.filter(content_type__app_label="auth").exists()
    assert accounts.manages_staff(administrator.user)
    assert not accounts.manages_staff(member_of("viewer").user)  # type: ignore[attr-defined]
