"""Staff accounts: one with a history cannot be deleted."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks import history
from tasks.models import Task

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
USERS = reverse("admin:auth_user_changelist")
NOT_DELETABLE = "ann cannot be deleted, because the history of their changes must be kept."


@pytest.fixture
def root() -> Any:
    client = Client()
    client.user = User.objects.create(  # type: ignore[attr-defined]
        username="root", is_staff=True, is_superuser=True
    )
    client.force_login(client.user)  # type: ignore[attr-defined]
    return client


def create_ann(entries: int = 1) -> User:
    """Creates a colleague with this number of entries in the history."""
    user = User.objects.create(username="ann", is_staff=True)
    task = Task.objects.create(user_id="alice", title="Buy milk")
    history.changed(user.pk, [(task, {"title": ("a", "b")})] * entries)
    return user


def delete(client: Any, *users: User, **more: str) -> Any:
    """Uses the action of the list; `post="yes"` confirms it."""
    data = {"action": "delete_selected", "_selected_action": [user.pk for user in users], **more}
    return client.post(USERS, data, secure=True)


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


@pytest.mark.parametrize("confirmed", [{}, {"post": "yes"}])
def test_an_account_with_a_history_is_not_deleted(root: Any, confirmed: dict[str, str]) -> None:
    user, other = create_ann(), User.objects.create(username="bob")
    page = f"{USERS}{user.pk}/delete/"

    answers = [
        root.post(page, confirmed, secure=True) if confirmed else root.get(page, secure=True),
        delete(root, user, other, **confirmed),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert NOT_DELETABLE in text(answer)
        assert "open their account, untick “Active”, and save." in text(answer)
        assert 'type="submit" value="Yes' not in answer.content.decode()
    assert set(User.objects.all()) == {user, other, root.user}
    assert LogEntry.objects.filter(user=user).count() == 1


def test_the_check_does_not_read_a_long_history(root: Any) -> None:
    user = create_ann(entries=500)

    with CaptureQueriesContext(connection) as sent:
        text(root.get(f"{USERS}{user.pk}/delete/", secure=True))

    statements = [query["sql"] for query in sent if "django_admin_log" in query["sql"]]
    assert len(statements) == 1
    assert "LIMIT 1" in statements[0]


def test_an_account_without_a_history_can_be_deleted(root: Any) -> None:
    bob, charlie = (User.objects.create(username=name) for name in ("bob", "charlie"))

    answers = [
        root.post(f"{USERS}{bob.pk}/delete/", {"post": "yes"}, secure=True),
        delete(root, charlie, post="yes"),
    ]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert list(User.objects.all()) == [root.user]


def test_nobody_can_delete_their_own_account(root: Any) -> None:
    """The entry about the deletion would be the first in their history."""
    answer = root.post(f"{USERS}{root.user.pk}/delete/", {"post": "yes"}, secure=True)

    assert "You cannot delete your own account." in text(answer)
    assert list(User.objects.all()) == [root.user]


def test_code_and_sql_cannot_delete_an_account_with_a_history() -> None:
    user = create_ann()
    for deleted in (user, User.objects.filter(pk=user.pk)):
        with pytest.raises(ProtectedError, match="Make the account inactive"), transaction.atomic():
            deleted.delete()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [user.pk])

    assert LogEntry.objects.filter(user=user).count() == 1


def test_an_inactive_colleague_is_signed_out(root: Any) -> None:
    user, colleague = create_ann(), Client()
    colleague.force_login(user)
    assert colleague.get(HOME, secure=True).status_code == 200

    User.objects.filter(pk=user.pk).update(is_active=False)

    assert colleague.get(HOME, secure=True).status_code == 302
