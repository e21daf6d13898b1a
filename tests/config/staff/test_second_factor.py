"""The second factor of staff, and what they see of their own sign-ins."""

import re
import time
from base64 import b32decode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from axes.models import AccessAttempt
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse

from config.models import SecondFactor, SignIn
from config.staff import second_factor, signin
from config.staff.own_account import browser
from tests.config.staff.conftest import PASSWORD
from tests.tasks.admin.pages import messages_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_quick_hashes")]

HOME = reverse("admin:index")
SIGN_IN = reverse("admin:login")
ACCOUNT = reverse("admin:account")
SECOND_FACTOR = reverse("admin:second_factor")
CHANGE_PASSWORD = reverse("admin:password_change")
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131 Safari"
# The secret and codes of RFC 6238, appendix B, of which apps show the last six digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {1111111109: "081804", 2000000000: "279037", 20000000000: "353130"}


class Clock:
    def __init__(self, monkeypatch: Any) -> None:
        self.now = time.time()
        monkeypatch.setattr("config.staff.second_factor.time.time", lambda: self.now)
        monkeypatch.setattr("config.staff.second_factor.timezone.now", self.as_datetime)

    def as_datetime(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@pytest.fixture
def clock(monkeypatch: Any) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def ann(db: None, settings: Any) -> User:
    return User.objects.create_user("ann", password=PASSWORD, is_staff=True)


def sign_in(code: str = "", password: str = PASSWORD, **meta: Any) -> Client:
    """The client has the answer."""
    client = Client(headers={"X-Forwarded-Proto": "https"}, **meta)
    data = {"username": "ann", "password": password, "code": code}
    client.answer = client.post(f"{SIGN_IN}?next={HOME}", data)  # type: ignore[attr-defined]
    return client


def is_signed_in(client: Client) -> bool:
    return client.get(ACCOUNT).status_code == 200


def code_of(secret: str, clock: Clock, steps: int = 0) -> str:
    return code_at(secret, clock.now + 30 * steps)


def code_at(secret: str, now: float) -> str:
    return TOTP(b32decode(secret), 6, SHA1(), 30).generate(now).decode()


def set_up(client: Client, clock: Clock) -> tuple[str, list[str]]:
    """As staff do it. Returns the secret and the recovery codes."""
    page = client.get(SECOND_FACTOR).content.decode()
    (shown,) = re.findall(r'class="secret">([A-Z2-7 ]+)<', page)
    secret = shown.replace(" ", "")
    done = client.post(SECOND_FACTOR, {"code": code_of(secret, clock)}).content.decode()
    clock.now += 30
    return secret, re.findall(r"<li><code>([A-Z2-7-]+)</code>", done)


@pytest.mark.parametrize(("now", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_standard(clock: Clock, now: int, code: str) -> None:
    clock.now = now
    assert second_factor.step_of(RFC_SECRET, code) == now // 30
    for late, is_accepted in ((30, True), (-30, True), (60, False), (-60, False)):
        clock.now = now // 30 * 30 + late
        assert (second_factor.step_of(RFC_SECRET, code) is not None) == is_accepted


def test_it_is_set_up_with_an_app_and_then_asked_for(ann: User, clock: Clock) -> None:
    client = sign_in()
    page = client.get(SECOND_FACTOR).content.decode()
    assert "<svg" in page
    assert " style=" not in page
    wrong = client.post(SECOND_FACTOR, {"code": "000000"})
    assert "This is not the current code of the app." in wrong.content.decode()
    assert not SecondFactor.objects.exists()

    secret, recovery_codes = set_up(client, clock)

    assert len(set(recovery_codes)) == 10
    assert is_signed_in(client)
    assert not is_signed_in(sign_in())
    assert not is_signed_in(sign_in("123456"))
    assert not is_signed_in(sign_in(code_of(secret, clock), "wrong"))
    assert is_signed_in(sign_in(code_of(secret, clock)))
    assert secret not in client.get(SECOND_FACTOR).content.decode()
    assert LogEntry.objects.get().get_change_message() == "Set up a second factor."


def test_a_wrong_code_looks_like_a_wrong_password_and_counts_as_a_failure(
    ann: User, clock: Clock
) -> None:
    set_up(sign_in(), clock)
    wrong_code, wrong_password = sign_in("123456").answer, sign_in("", "wrong").answer  # type: ignore[attr-defined]

    error = re.compile(r'errornote">(.*?)</p>', re.DOTALL)
    assert error.findall(wrong_code.content.decode()) == error.findall(
        wrong_password.content.decode()
    )
    assert AccessAttempt.objects.get().failures_since_start == 2
    assert "123456" not in str(AccessAttempt.objects.values())
    for _ in range(3):
        sign_in("123456")
    assert sign_in().answer.status_code == 429  # type: ignore[attr-defined]


def test_a_code_works_once(ann: User, clock: Clock) -> None:
    client = sign_in()
    page = client.get(SECOND_FACTOR).content.decode()
    secret = re.findall(r'class="secret">([A-Z2-7 ]+)<', page)[0].replace(" ", "")
    first = code_of(secret, clock)
    client.post(SECOND_FACTOR, {"code": first})
    assert not is_signed_in(sign_in(first))

    later = code_of(secret, clock, 1)
    assert is_signed_in(sign_in(later))
    assert not is_signed_in(sign_in(later))
    clock.now += 30
    assert not is_signed_in(sign_in(later))
    assert is_signed_in(sign_in(code_of(secret, clock, 1)))


def test_a_recovery_code_works_once_and_is_stored_as_a_hash(ann: User, clock: Clock) -> None:
    _, (code, other, *_) = set_up(sign_in(), clock)
    assert code not in str(SecondFactor.objects.values())
    assert code.replace("-", "") not in str(SecondFactor.objects.values())

    assert is_signed_in(sign_in(f" {code.lower().replace('-', ' ')} "))
    assert not is_signed_in(sign_in(code))
    assert len(SecondFactor.objects.get().recovery_hashes) == 9
    assert is_signed_in(sign_in(other))


def test_wrong_codes_from_many_addresses_make_longer_and_longer_pauses(
    ann: User, clock: Clock
) -> None:
    secret, (recovery_code, *_) = set_up(sign_in(), clock)
    for n in range(4):
        sign_in("123456", REMOTE_ADDR=f"192.0.2.{n}")

    assert not is_signed_in(sign_in(code_of(secret, clock), REMOTE_ADDR="192.0.2.9"))
    assert not is_signed_in(sign_in(recovery_code, REMOTE_ADDR="192.0.2.10"))
    assert SecondFactor.objects.get().failures == 4  # what is not checked does not count
    clock.now += 16
    sign_in("123456", REMOTE_ADDR="192.0.2.11")
    clock.now += 31
    assert not is_signed_in(sign_in(code_of(secret, clock), REMOTE_ADDR="192.0.2.12"))
    clock.now += 1
    assert is_signed_in(sign_in(code_of(secret, clock), REMOTE_ADDR="192.0.2.13"))
    assert SecondFactor.objects.get().failures == 0

    SecondFactor.objects.update(failures=10**6)
    sign_in("123456", REMOTE_ADDR="192.0.2.14")
    paused_until = SecondFactor.objects.get().paused_until
    assert paused_until is not None
    assert paused_until - clock.as_datetime() == timedelta(days=1)


def test_a_wrong_password_makes_no_pause_and_uses_up_no_code(ann: User, clock: Clock) -> None:
    """Or anybody could lock staff out."""
    secret, _ = set_up(sign_in(), clock)
    for n in range(4):
        sign_in(code_of(secret, clock), "wrong", REMOTE_ADDR=f"192.0.2.{n}")

    assert is_signed_in(sign_in(code_of(secret, clock)))


def test_other_sessions_end_when_it_is_set_up_reset_or_removed(ann: User, clock: Clock) -> None:
    other, client = sign_in(), sign_in()
    assert is_signed_in(other)
    secret, _ = set_up(client, clock)
    assert not is_signed_in(other)
    assert is_signed_in(client)

    another = sign_in(code_of(secret, clock))
    call_command("reset_second_factor", "ann")
    assert not is_signed_in(another)
    assert not is_signed_in(client)

    client, other = sign_in(), sign_in()
    secret, _ = set_up(client, clock)
    other = sign_in(code_of(secret, clock))
    clock.now += 30
    client.post(SECOND_FACTOR, {"action": "remove", "code": code_of(secret, clock)})
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert is_signed_in(sign_in())


def test_it_is_changed_only_with_a_code(ann: User, clock: Clock) -> None:
    client = sign_in()
    secret, (old, *_) = set_up(client, clock)
    for action in ("codes", "remove"):
        answer = client.post(SECOND_FACTOR, {"action": action, "code": "123456"})
        assert "The code is wrong" in answer.content.decode()
    page = client.post(SECOND_FACTOR, {"action": "codes", "code": code_of(secret, clock)})
    (new, *_) = re.findall(r"<li><code>([A-Z2-7-]+)</code>", page.content.decode())
    assert not is_signed_in(sign_in(old))

    answer = client.post(SECOND_FACTOR, {"action": "remove", "code": new})
    assert messages_in(answer) == ["The second factor was removed."]
    assert not SecondFactor.objects.exists()
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("id")] == [
        "Set up a second factor.",
        "Made new recovery codes.",
        "Removed the second factor.",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_code_works_once_if_it_is_used_twice_at_the_same_time(monkeypatch: Any) -> None:
    user = User.objects.create_user("ann")
    SecondFactor.objects.create(user=user, secret=RFC_SECRET, last_step=0, recovery_hashes=[])
    code = code_at(RFC_SECRET, time.time())
    step_of, both_are_here = second_factor.step_of, Barrier(2)

    def wait_for_the_other(*args: Any) -> int | None:
        with suppress(BrokenBarrierError):
            both_are_here.wait(0.5)
        return step_of(*args)

    def use() -> bool:
        try:
            return second_factor.check(user, code)
        finally:
            connection.close()

    monkeypatch.setattr(second_factor, "step_of", wait_for_the_other)
    with ThreadPoolExecutor(2) as threads:
        used = [threads.submit(use) for _ in range(2)]

    assert sorted(each.result() for each in used) == [False, True]


def test_two_tabs_set_up_one_second_factor(ann: User, clock: Clock) -> None:
    secret, codes = set_up(sign_in(), clock)

    assert second_factor.set_up(ann, secret, code_of(secret, clock)) is None
    assert is_signed_in(sign_in(codes[0]))


def test_where_it_is_required_every_page_leads_to_it_first(
    ann: User, clock: Clock, settings: Any, administrator: Any
) -> None:
    settings.ADMIN_SECOND_FACTOR = "required"
    client = sign_in()
    pages = (HOME, ACCOUNT, CHANGE_PASSWORD, reverse("admin:jsi18n"), f"{HOME}nothing/")
    for path in (*pages, reverse("admin:auth_user_changelist")):
        for who in (client, administrator):
            for answer in (who.get(path), who.post(path)):
                assert (answer.status_code, answer["Location"]) == (302, SECOND_FACTOR)

    secret, _ = set_up(client, clock)
    assert client.get(HOME).status_code == 200
    client.post(SECOND_FACTOR, {"action": "remove", "code": code_of(secret, clock)})
    assert client.get(HOME)["Location"] == SECOND_FACTOR
    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get(HOME)["Location"] == f"{SIGN_IN}?next={HOME}"


def test_the_command_resets_it_for_an_operator(
    ann: User, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(sign_in(), clock)
    call_command("reset_second_factor", "ann")
    assert "ann has no second factor now." in capsys.readouterr().out
    assert is_signed_in(sign_in())
    with pytest.raises(CommandError, match="ann has no second factor"):
        call_command("reset_second_factor", "ann")
    with pytest.raises(CommandError, match="no account named 'nobody'"):
        call_command("reset_second_factor", "nobody")


def test_staff_see_their_own_sign_ins_and_no_others(ann: User, clock: Clock) -> None:
    User.objects.create_user("ben", password=PASSWORD, is_staff=True)
    client = sign_in(HTTP_USER_AGENT=CHROME, REMOTE_ADDR="192.0.2.1")
    set_up(client, clock)
    sign_in("", "wrong", HTTP_USER_AGENT="curl/8.1 <b>", REMOTE_ADDR="192.0.2.2")
    sign_in("123456", REMOTE_ADDR="192.0.2.3")
    Client().post(SIGN_IN, {"username": "ben", "password": "x"}, secure=True)
    Client().post(SIGN_IN, {"username": "nobody", "password": "x"}, secure=True)

    rows = re.findall("<tr>(.*?)</tr>", client.get(ACCOUNT).content.decode(), re.DOTALL)[1:]
    texts = [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)).strip() for row in rows]
    assert [text.partition(":")[2][3:] for text in texts] == [
        "right password, but wrong or missing code 192.0.2.3 unknown",
        "wrong password 192.0.2.2 curl",
        "signed in 192.0.2.1 Chrome on Linux",
    ]
    assert SignIn.objects.exclude(user=ann).count() == 1  # of ben, and none of nobody


def test_only_the_last_sign_ins_are_kept_and_failures_push_out_no_success(
    ann: User, monkeypatch: Any
) -> None:
    monkeypatch.setattr(signin, "MAX_SIGN_INS", 2)
    sign_in()
    for n in range(3):
        sign_in("", "wrong", REMOTE_ADDR=f"192.0.2.{n}")

    kept = SignIn.objects.order_by("pk").values_list("result", "address")
    assert list(kept) == [
        ("ok", "127.0.0.1"),
        ("password", "192.0.2.1"),
        ("password", "192.0.2.2"),
    ]


def test_attempts_during_a_lock_are_not_kept(ann: User) -> None:
    for _ in range(8):
        sign_in("", "wrong")

    assert SignIn.objects.count() == 5
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15))
    assert is_signed_in(sign_in())


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (CHROME, "Chrome on Linux"),
        (f"{CHROME} Edg/131.0", "Edge on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18) Version/18 Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; rv:133.0) Gecko Firefox/133.0", "Firefox on Windows"),
        ("curl/8.11.0", "curl"),
        ("", "unknown"),
    ],
)
def test_a_browser_has_the_name_that_people_use(user_agent: str, name: str) -> None:
    assert browser(user_agent) == name


def test_changing_the_password_ends_other_sessions_and_is_recorded(ann: User) -> None:
    client, other = sign_in(), sign_in()
    new = "a longer horse, and a staple"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post(CHANGE_PASSWORD, data).status_code == 302

    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert LogEntry.objects.get().get_change_message() == "Changed the password."


@pytest.mark.parametrize("path", [ACCOUNT, SECOND_FACTOR])
def test_the_pages_of_an_account_need_a_session_of_staff(path: str) -> None:
    visitor, user = Client(), Client()
    user.force_login(User.objects.create_user("zoe"))
    for client in (visitor, user):
        answer = client.get(path, secure=True)
        assert (answer.status_code, answer["Location"]) == (302, f"{SIGN_IN}?next={path}")
