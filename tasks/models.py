"""The task, and the rules of the contract as constraints of the database."""

from datetime import datetime

from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Length, Now
from django.db.models.lookups import LessThanOrEqual

from authjwt import user_ids

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 1000
USER_ID_LENGTH = user_ids.MAX_LENGTH
MAX_ID = 2**63 - 1

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What `str.strip` removes. What PostgreSQL counts as white space depends on its locale."""

TITLE_WORDS = Func(
    F("title"),
    function="to_tsvector",
    template="%(function)s('simple', %(expressions)s)",  # as the index has it, without a parameter
    output_field=SearchVectorField(),
)


class Priority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class TaskQuerySet(models.QuerySet["Task"]):
    """The queries that the admin and the commands share."""

    def owned_by(self, user_id: str) -> "TaskQuerySet":
        return self.filter(user_id=user_id)

    def anywhere(self) -> "TaskQuerySet":
        """Alive or in the trash. Both conditions are written out, since each has its own index."""
        return self.filter(Q(deleted_at__isnull=True) | Q(deleted_at__isnull=False))

    def alive(self) -> "TaskQuerySet":
        return self.filter(deleted_at__isnull=True)

    def trashed(self) -> "TaskQuerySet":
        return self.filter(deleted_at__isnull=False)

    def found_by(self, text: str) -> "TaskQuerySet":
        """By task id or user id, exactly, or by all the words of `text` in the title."""
        words = SearchQuery(text, config="simple")
        matches = (
            Q(SearchVectorExact(TITLE_WORDS, words))
            | Q(user_id=text, deleted_at__isnull=True)
            | Q(user_id=text, deleted_at__isnull=False)
        )
        if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_ID)):
            matches |= Q(id=int(text))
        return self.filter(matches)

    def trashed_before(self, time: datetime) -> "TaskQuerySet":
        return self.filter(deleted_at__lt=time)

    def completed_before(self, time: datetime) -> "TaskQuerySet":
        return self.filter(complete=True, completed_at__lt=time)

    def newest_first(self) -> "TaskQuerySet":
        return self.order_by("-created_at", "-id")

    def trash(self) -> int:
        """For the API these tasks are gone. `restore` brings them back unchanged."""
        return self.alive().update(deleted_at=Now())

    def restore(self) -> int:
        return self.trashed().update(deleted_at=None)

    def reassign(self, user_id: str) -> int:
        """Ids and times stay, since nobody has changed the tasks themselves."""
        return self.update(user_id=user_id)


class Task(models.Model):
    """A task of one user. `user_id` is the subject of that user's tokens, and not a foreign key.

    A trigger of the table keeps `updated_at` and `completed_at` (migration `0007`), so that
    they are right for every writer.
    """

    id = models.BigAutoField(primary_key=True)
    user_id = models.CharField(max_length=USER_ID_LENGTH)
    title = models.CharField(max_length=TITLE_LENGTH)
    description = models.TextField(max_length=DESCRIPTION_LENGTH, null=True, blank=True)  # noqa: DJ001  null and "" differ for clients
    complete = models.BooleanField(default=False, db_default=False)
    priority = models.CharField(
        max_length=max(map(len, Priority.values)),
        choices=Priority.choices,
        default=Priority.MEDIUM,
        db_default=Priority.MEDIUM,
    )
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TaskQuerySet.as_manager()

    class Meta:
        # Django's own permission to delete is the one to delete permanently.
        permissions = (
            ("trash_task", "Can move task to the trash"),
            ("restore_task", "Can restore task from the trash"),
            ("export_task", "Can export tasks"),
        )
        indexes = (
            # In the order of the list, so that reading a page needs no sort.
            models.Index(
                "user_id",
                F("created_at").desc(),
                F("id").desc(),
                name="task_alive",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=("deleted_at", "user_id"),
                name="task_trash",
                condition=Q(deleted_at__isnull=False),
            ),
            # For the admin. A change updates them only if it changes the title. New tasks go to a
            # pending list, which is kept short so that the request that must merge it is not slow.
            GinIndex(TITLE_WORDS, name="task_words", gin_pending_list_limit=256),
            BrinIndex("created_at", name="task_created"),
        )
        constraints = (
            models.CheckConstraint(
                name="task_user_id_not_empty",
                condition=~Q(user_id=""),
                violation_error_message="A task belongs to a user.",
            ),
            models.CheckConstraint(
                name="task_title_trimmed",
                condition=Q(title=Func(F("title"), Value(WHITE_SPACE), function="btrim")),
                violation_error_message="The title must not begin or end with white space.",
            ),
            models.CheckConstraint(
                name="task_title_not_blank",
                condition=~Q(title=""),
                violation_error_message="The title must not be blank.",
            ),
            models.CheckConstraint(
                name="task_description_length",
                # A CHECK accepts NULL, so a task may have no description.
                condition=LessThanOrEqual(Length("description"), DESCRIPTION_LENGTH),
                violation_error_message=(
                    f"The description must have at most {DESCRIPTION_LENGTH} characters."
                ),
            ),
            models.CheckConstraint(
                name="task_priority",
                condition=Q(priority__in=tuple(Priority.values)),
                violation_error_message=(
                    "The priority must be {}, {} or {}.".format(*Priority.values)
                ),
            ),
            models.CheckConstraint(
                name="task_completed_at_when_complete",
                condition=Q(complete=True, completed_at__isnull=False)
                | Q(complete=False, completed_at__isnull=True),
                violation_error_message="A task has a time of completion exactly when complete.",
            ),
        )

    def __str__(self) -> str:
        return self.title
