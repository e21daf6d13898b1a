"""Which user ids a token can name."""

import pytest

from authjwt.user_ids import MAX_LENGTH, is_user_id
from tasks.models import Task


@pytest.mark.parametrize("text", ["a", "x" * MAX_LENGTH, " a/b ", "user 1", "Zoë", "😀", "-"])
def test_a_user_id(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize(
    "text", ["", " ", "\u3000", "x" * (MAX_LENGTH + 1), "a\x00", "a\nb", "\x7f", "a\x85", "a\ud800"]
)
def test_not_a_user_id(text: str) -> None:
    assert not is_user_id(text)


def test_a_task_can_be_stored_for_every_user() -> None:
    assert Task._meta.get_field("user_id").max_length == MAX_LENGTH  # noqa: SLF001  documented
