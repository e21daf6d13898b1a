"""The rule of a user id, for tokens and for whatever writes tasks.

A task of a user whom no token can name could never be read through the API.
"""

import re

MAX_LENGTH = 255
RULE = f"must have 1 to {MAX_LENGTH} characters, not only white space, and no control characters"

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters."""


def is_user_id(text: str) -> bool:
    """Whether a token can name this user."""
    return bool(text.strip()) and len(text) <= MAX_LENGTH and not UNPRINTABLE.search(text)
