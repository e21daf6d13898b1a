"""The second factor of staff: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

A session is valid for the second factor with which it was opened, or for none. So setting one up,
removing it and resetting it end all other sessions.
"""

import secrets
import time
from base64 import b32decode, b32encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from config.models import SecondFactor

ISSUER = "Tasks"
SECRET_BYTES = 20  # RFC 4226, section 4
DIGITS = 6
STEP = 30
"""Seconds."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits, so that a plain hash of a code is enough: nobody can try them all."""
FREE_FAILURES = 3
MAX_PAUSE = timedelta(days=1)
"""After wrong codes, which only somebody with the password can enter. The pause doubles with each
failure, wherever it came from, since the lock of a sign-in only counts failures at one address."""

IN_SESSION = "second_factor"


def of(user: User | AnonymousUser) -> SecondFactor | None:
    return getattr(user, "second_factor", None)


def remember(request: HttpRequest, user: User) -> None:
    """Binds the session to the second factor that was just checked."""
    if factor := of(user):
        request.session[IN_SESSION] = factor.pk
    else:
        request.session.pop(IN_SESSION, None)


def session_has_ended(request: HttpRequest) -> bool:
    """Whether the second factor of the account is another one than when the session began."""
    factor = of(request.user)
    found = request.session.get(IN_SESSION) if request.user.is_authenticated else None
    return found != (factor.pk if factor else None)


def is_missing(user: User | AnonymousUser) -> bool:
    return is_required() and user.is_authenticated and of(user) is None


def is_required() -> bool:
    return bool(settings.ADMIN_SECOND_FACTOR == "required")


def new_secret() -> str:
    return b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def qr_code(user: User, secret: str) -> SafeString:
    """An SVG without style attributes, which the security policy of the pages forbids."""
    address = _totp(secret).get_provisioning_uri(user.get_username(), ISSUER)
    picture = segno.make(address, error="m", micro=False)
    return mark_safe(picture.svg_inline(scale=5, dark="#000", light="#fff"))  # noqa: S308  its own


def set_up(user: User, secret: str, code: str) -> list[str] | None:
    """Returns the recovery codes. None if the code is wrong, or if there is a second factor."""
    step = step_of(secret, _normalized(code))
    if step is None:
        return None
    codes = _recovery_codes()
    factor, is_new = SecondFactor.objects.get_or_create(
        user=user,
        defaults={"secret": secret, "last_step": step, "recovery_hashes": _hashes(codes)},
    )
    user.second_factor = factor
    return codes if is_new else None


def replace_recovery_codes(user: User) -> list[str]:
    codes = _recovery_codes()
    SecondFactor.objects.filter(user=user).update(recovery_hashes=_hashes(codes))
    return codes


def reset(user: User) -> bool:
    """Whether there was one."""
    return bool(SecondFactor.objects.filter(user=user).delete()[0])


def end_pause(user: User) -> None:
    SecondFactor.objects.filter(user=user).update(failures=0, paused_until=None)


def check(user: User, code: str) -> bool:
    """Whether it is a code of the app or a recovery code. Neither is accepted a second time."""
    normalized = _normalized(code)
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user).first()
        if factor is None or not normalized or _is_paused(factor):
            return False
        is_right = _is_code(factor, normalized) or _is_recovery_code(factor, normalized)
        factor.failures = 0 if is_right else factor.failures + 1
        factor.paused_until = _pause_after(factor.failures)
        factor.save()
        return is_right


def step_of(secret: str, code: str) -> int | None:
    """The step of which it is the code: the current one, the one before, or the next."""
    totp = _totp(secret)
    current = int(time.time()) // STEP
    for step in (current, current - 1, current + 1):
        if compare_digest(totp.generate(step * STEP), code.encode()):
            return step
    return None


def _totp(secret: str) -> TOTP:
    return TOTP(b32decode(secret), DIGITS, SHA1(), STEP)  # noqa: S303  all apps know only this one


def _is_code(factor: SecondFactor, code: str) -> bool:
    step = step_of(factor.secret, code)
    if step is None or step <= factor.last_step:
        return False
    factor.last_step = step
    return True


def _is_recovery_code(factor: SecondFactor, code: str) -> bool:
    (entered,) = _hashes([code])
    if entered not in factor.recovery_hashes:
        return False
    factor.recovery_hashes = [each for each in factor.recovery_hashes if each != entered]
    return True


def _is_paused(factor: SecondFactor) -> bool:
    return factor.paused_until is not None and timezone.now() < factor.paused_until


def _pause_after(failures: int) -> datetime | None:
    if failures <= FREE_FAILURES:
        return None
    return timezone.now() + min(timedelta(seconds=2 ** min(failures, 20)), MAX_PAUSE)


def _recovery_codes() -> list[str]:
    """In groups of four, as people read them aloud."""
    codes = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in codes]


def _hashes(codes: Sequence[str]) -> list[str]:
    return [sha256(_normalized(code).encode()).hexdigest() for code in codes]


def _normalized(code: str) -> str:
    return "".join(code.split()).replace("-", "").upper()
