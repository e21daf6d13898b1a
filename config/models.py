"""What the service knows about staff besides Django's own accounts.

The tables name their account with ON DELETE CASCADE of the database, not of Django: servers of an
earlier release, which do not know these tables, must still be able to delete an account.
"""

from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models

MANAGE_STAFF = "config.manage_staff"


class SecondFactor(models.Model):
    """The authenticator app of a member of staff, and what is left of the recovery codes.

    secret: base32, as apps read it. last_step: the number of the 30 seconds of the last code that
    was accepted. recovery_hashes: SHA-256, in hex. failures: wrong codes since the last right one;
    none counts before paused_until.
    """

    user = models.OneToOneField(
        User, models.DO_NOTHING, db_constraint=False, related_name="second_factor"
    )
    secret = models.CharField(max_length=64)
    last_step = models.BigIntegerField()
    recovery_hashes = ArrayField(models.CharField(max_length=64))
    failures = models.PositiveBigIntegerField(default=0)
    paused_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        permissions = (("manage_staff", "Can manage staff accounts"),)

    def __str__(self) -> str:
        return f"Second factor of account {self.user_id}"


class SignIn(models.Model):
    """An attempt to sign in to an existing account, for the page of its owner.

    A table of the service, because that of django-axes has no limit and keeps unknown names too.
    """

    class Result(models.TextChoices):
        OK = "ok", "signed in"
        WRONG_PASSWORD = "password", "wrong password"
        WRONG_CODE = "code", "right password, but wrong or missing code"

    user = models.ForeignKey(User, models.DO_NOTHING, db_constraint=False, related_name="sign_ins")
    time = models.DateTimeField(auto_now_add=True)
    result = models.CharField(max_length=8, choices=Result)
    address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.get_result_display()} at {self.time:%Y-%m-%d %H:%M}"
