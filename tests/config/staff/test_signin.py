"""Sign-in to the admin: what locks it, what unlocks it, and what is logged."""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock, patch

import psycopg
import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher, check_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.staff import signin, site
from config.staff.signin import TooManySignIns
from tasks import limits
from tasks.limits import ConcurrencyLimit
from tests.server import database_url

PASSWORD = "correct horse battery staple"
OFFICE = "192.0.2.1"
ELSEWHERE = "192.0.2.2"
HOME = reverse("admin:index")
SIGN_IN = reverse("admin:login")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _staff(settings: Any) -> None:
    # A thousand times faster than the default, and these tests are not about hashing.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for name in ("ann", "ben"):
        User.objects.create_superuser(name, password=PASSWORD)


def sign_in(name: str = "ann", password: str = PASSWORD, address: str = OFFICE, **meta: Any) -> Any:
    return Client().post(
        f"{SIGN_IN}?next={HOME}",
        {"username": name, "password": password},
        secure=True,
        REMOTE_ADDR=address,
        **meta,
    )


def fail(times: int, name: str = "ann", address: str = OFFICE) -> list[int]:
    return [sign_in(name, f"wrong {n}", address).status_code for n in range(times)]


def test_the_right_password_signs_in() -> None:
    response = sign_in()

    assert (response.status_code, response["Location"]) == (302, HOME)


def test_the_fifth_failure_locks_and_the_page_says_for_how_long() -> None:
    assert fail(4) == [200] * 4
    response = sign_in(password="wrong")
    page = response.content.decode()

    assert response.status_code == 429
    assert response["Retry-After"] == "900"
    assert "Sign-in is locked | Tasks" in page
    assert "Please try again in 15 minutes." in page
    assert "wrong" not in page


def test_the_right_password_does_not_end_a_lock() -> None:
    fail(5)

    assert sign_in().status_code == 429


def test_a_lock_is_for_one_name_at_one_address() -> None:
    fail(5)

    assert sign_in(address=ELSEWHERE).status_code == 302
    assert sign_in("ben").status_code == 302


def test_another_browser_or_header_does_not_get_around_the_lock() -> None:
    fail(5)

    assert sign_in(HTTP_USER_AGENT="another").status_code == 429
    assert sign_in(HTTP_X_FORWARDED_FOR=ELSEWHERE).status_code == 429


def test_twenty_failures_lock_an_address_for_every_name() -> None:
    statuses = [sign_in(f"name{n % 10}", "wrong").status_code for n in range(20)]

    assert statuses == [200] * 19 + [429]
    assert sign_in().status_code == 429
    assert sign_in(address=ELSEWHERE).status_code == 302


def test_a_lock_expires_and_attempts_in_the_meantime_do_not_extend_it() -> None:
    fail(5)
    attempts = AccessAttempt.objects.all()
    attempts.update(attempt_time=F("attempt_time") - timedelta(minutes=14, seconds=30))
    assert sign_in().status_code == 429
    attempts.update(attempt_time=F("attempt_time") - timedelta(seconds=30))

    assert sign_in().status_code == 302
    assert not AccessAttempt.objects.exists()


def test_a_success_clears_the_failures_of_that_name_and_no_other() -> None:
    fail(4)
    fail(4, "ben")
    fail(1, "ann", ELSEWHERE)
    sign_in()

    assert set(AccessAttempt.objects.values_list("username", "ip_address")) == {
        ("ben", OFFICE),
        ("ann", ELSEWHERE),
    }


@pytest.mark.parametrize(
    "command", [("axes_reset_username", "ann"), ("axes_reset_ip", OFFICE), ("axes_reset",)]
)
def test_a_command_removes_a_lock(command: tuple[str, ...]) -> None:
    fail(5)
    call_command(*command)

    assert sign_in().status_code == 302


def test_a_session_stays_valid_while_its_name_is_locked() -> None:
    client = Client(REMOTE_ADDR=OFFICE)
    client.force_login(User.objects.get(username="ann"))
    fail(5)

    assert client.get(HOME, secure=True).status_code == 200


def test_no_name_and_no_password_is_logged_or_stored(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(6):
        sign_in("needle name", "needle password")
    sign_in("ann", "needle password")
    sign_in()
    requests = capsys.readouterr().out

    assert len(requests.splitlines()) == 8
    assert re.search(rf'Locking out .*"{OFFICE}"', caplog.text)
    for secret in ("needle", PASSWORD):
        assert secret not in caplog.text + requests
    (stored,) = AccessAttempt.objects.values("get_data", "post_data", "path_info")
    assert "needle" not in str(stored)


@pytest.mark.django_db(transaction=True)
def test_a_failure_stays_counted_if_the_page_fails_afterwards(monkeypatch: Any) -> None:
    monkeypatch.setattr(site, "rendered", Mock(side_effect=OperationalError))
    for _ in range(3):
        assert sign_in(password="wrong").status_code == 503

    with psycopg.connect(database_url()) as other:
        failures = other.execute("SELECT sum(failures_since_start) FROM axes_accessattempt")
        assert failures.fetchone() == (3,)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_password_is_hashed(monkeypatch: Any) -> None:
    in_transaction = []

    def check(*args: Any, **kwargs: Any) -> bool:
        in_transaction.append(connection.in_atomic_block)
        return check_password(*args, **kwargs)

    monkeypatch.setattr(signin, "check_password", check)
    assert sign_in(password="wrong").status_code == 200
    assert sign_in().status_code == 302

    assert in_transaction == [False, False]


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_password_is_hashed(monkeypatch: Any) -> None:
    connections = []

    def check(*args: Any, **kwargs: Any) -> bool:
        connections.append(connection.connection)
        return check_password(*args, **kwargs)

    monkeypatch.setattr(signin, "check_password", check)
    sign_in(password="wrong")

    assert connections == [None]
    assert AccessAttempt.objects.get().failures_since_start == 1


@pytest.mark.parametrize("name", ["ann", "nobody", "inactive"])
def test_every_name_takes_one_hash_and_the_same_statements(name: str) -> None:
    User.objects.create_superuser("inactive", password=PASSWORD, is_active=False)
    encode = MD5PasswordHasher.encode
    with (
        patch.object(MD5PasswordHasher, "encode", autospec=True, side_effect=encode) as hashed,
        CaptureQueriesContext(connection) as sent,
    ):
        assert sign_in(name, "wrong").status_code == 200

    assert hashed.call_count == 1
    assert len([each for each in sent.captured_queries if "auth_user" in each["sql"]]) == 1
    assert name == "ann" or sign_in(name).status_code == 200


def test_a_password_is_rehashed_when_the_settings_change(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert sign_in().status_code == 302
    assert User.objects.get(username="ann").password.startswith("pbkdf2_sha256$")
    assert sign_in().status_code == 302


def test_an_attempt_without_a_slot_is_refused_and_not_counted(monkeypatch: Any) -> None:
    limit = ConcurrencyLimit(1)
    monkeypatch.setattr(site, "SIGN_INS", limit)
    with limit.slot(TooManySignIns), CaptureQueriesContext(connection) as sent:
        response = sign_in(password="wrong")

    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert "<title>Too many sign-ins at the same time | Tasks</title>" in response.content.decode()
    assert len(sent) == 0
    assert sign_in().status_code == 302


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["auth_user", "axes_accessattempt", "django_session"])
def test_postgresql_cancels_a_sign_in_that_waits_for_a_lock(monkeypatch: Any, table: str) -> None:
    monkeypatch.setattr(limits, "LOCK_TIMEOUT", "300ms")
    with psycopg.connect(database_url()) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        response = sign_in()

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert sign_in().status_code == 302
