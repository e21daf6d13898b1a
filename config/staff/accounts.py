"""Who may manage which account of staff, and the links by which its owner sets the password."""

from hmac import compare_digest

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.db.models import Q, QuerySet
from django.utils.crypto import salted_hmac

from config.models import MANAGE_STAFF

SALT = "config.staff.accounts"
LINK_HOURS = 24


def manages_staff(user: User) -> bool:
    return user.has_perm(MANAGE_STAFF) or user.has_perm("auth.change_user")


def may_manage(actor: User, target: User) -> bool:
    """Nobody gets rights by way of an account that has more than their own."""
    if actor.is_superuser:
        return True
    return not target.is_superuser and set(permissions_of(target)) <= set(permissions_of(actor))


def permissions_of(user: User) -> QuerySet[Permission, int]:
    """The ids. Django's own method has none for an inactive account, which may become active."""
    granted = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return granted.values_list("pk", flat=True)


def assignable_groups(actor: User) -> QuerySet[Group]:
    """The groups with no right that the actor lacks."""
    if actor.is_superuser:
        return Group.objects.all()
    lacking = Permission.objects.exclude(pk__in=permissions_of(actor))
    return Group.objects.exclude(permissions__in=lacking)


def record(actor: User, target: User, sentence: str) -> None:
    """In the history of the account."""
    LogEntry.objects.create(
        user_id=actor.pk,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(target.pk),
        object_repr=target.get_username(),
        action_flag=CHANGE,
        change_message=sentence,
    )


def link_token(actor: User, target: User) -> str:
    """For one use within 24 hours, while the actor may still manage the account."""
    return signing.dumps({"account": target.pk, "by": actor.pk, "state": _state(target)}, salt=SALT)


def account_of(token: str) -> User | None:
    """The account of a link that is still valid, locked until the end of the transaction."""
    try:
        link = signing.loads(token, salt=SALT, max_age=LINK_HOURS * 3600)
    except signing.BadSignature:
        return None
    staff = User.objects.filter(is_active=True, is_staff=True)
    target = staff.select_for_update().filter(pk=link["account"]).first()
    actor = staff.filter(pk=link["by"]).first()
    if target is None or actor is None or not compare_digest(_state(target), link["state"]):
        return None
    return target if manages_staff(actor) and may_manage(actor, target) else None


def _state(user: User) -> str:
    """Changes when the link is used, and with every sign-in."""
    state = f"{user.password}\n{user.last_login}\n{user.email}"
    return salted_hmac(SALT, state, algorithm="sha256").hexdigest()
