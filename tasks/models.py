"""The task, and the rules of the contract as constraints of the database."""

from collections.abc import Iterable
from datetime import date, datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db import models
from django.db.models import Case, Exists, Expression, F, Func, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Length, Now
from django.db.models.lookups import IsNull, LessThanOrEqual
from django.utils import timezone

from authjwt import user_ids

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 1000
TAG_LENGTH = 50
MAX_TAGS = 20
KEY_LENGTH = 255
USER_ID_LENGTH = user_ids.MAX_LENGTH
MAX_ID = 2**63 - 1
VIEW_NAME_LENGTH = 60
VIEW_QUERY_LENGTH = 2000

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What `str.strip` removes. What PostgreSQL counts as white space depends on its locale."""

WORDS = Func(
    F("title"),
    Func(F("description"), template="coalesce(%(expressions)s, '')"),
    arg_joiner=" || ' ' || ",
    template="to_tsvector('simple', %(expressions)s)",  # as the index has it, without a parameter
    output_field=SearchVectorField(),
)
"""The words of a task, of its title and its description."""

PREFIX_LENGTH = 3
"""Words of a search from this length on also find longer words that begin with them."""


class WordBeginnings(SearchQuery):
    """A query for words that begin with the words of a text.

    It becomes a constant before PostgreSQL plans the statement, so its estimates stay as good.
    """

    template = (
        "regexp_replace(%(function)s(%(expressions)s)::text,"
        f" '''((?:[^'']|''''){{{PREFIX_LENGTH},}})''(?= |$)', '''\\1'':*', 'g')::tsquery"
    )


DUE = Coalesce(
    F("due_at"),
    Func(F("due_day"), template="timezone('UTC', (%(expressions)s)::timestamp)"),
    output_field=models.DateTimeField(),
)
"""When a task is due, for comparing days with times: a day counts as its beginning in UTC."""
IS_DUE = Func(
    F("due_day"), F("due_at"), function="tasks_is_due", output_field=models.BooleanField()
)
ARE_TAGS = Func(F("tags"), function="tasks_are_tags", output_field=models.BooleanField())


class Priority(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def _has_tag(tag: str) -> Q:
    """Ignoring case."""
    return Q(tags_folded__contains=[tag.casefold()])


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

    def tagged(self, tag: str) -> "TaskQuerySet":
        return self.filter(_has_tag(tag))

    def found_by(self, text: str, owners: Iterable[str] = ()) -> "TaskQuerySet":
        """By task id or user id, exactly, by a tag, or by all the words of `text` in title and
        description, where they may be the beginnings of words (PREFIX_LENGTH).

        owners: more users whose tasks match.
        """
        words = WordBeginnings(text, config="simple")
        users = [text, *owners]
        matches = (
            Q(SearchVectorExact(WORDS, words))
            | Q(user_id__in=users, deleted_at__isnull=True)
            | Q(user_id__in=users, deleted_at__isnull=False)
            | _has_tag(text)
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

    def trash(self, at: datetime | Expression | None = None) -> int:
        """For the API these tasks are gone. `restore` brings them back unchanged."""
        return self.alive().update(deleted_at=at or Now())

    def restore(self) -> int:
        return self.trashed().update(deleted_at=None)

    def reassign(self, user_id: str) -> int:
        """Ids and times stay, since nobody has changed the tasks themselves. Keys stay as well, so
        that clients may still repeat their requests, except those that the new owner has used too.
        """
        used = Task.objects.owned_by(user_id).filter(idempotency_key=OuterRef("idempotency_key"))
        key = Case(When(~Exists(used), then=F("idempotency_key")))
        return self.update(user_id=user_id, idempotency_key=key)


class Task(models.Model):
    """A task of one user. `user_id` is the subject of that user's tokens, and not a foreign key.

    A trigger of the table derives `updated_at`, `completed_at`, `folded` and `tags_folded`
    (migration `0008`), so that they are right for every writer. Another one records which users
    have changes to fetch (migration `0009`).

    folded: title and description with their case folded; null or empty where that is no more than
    writing A to Z in lower case. tags_folded: the tags with their case folded, null without tags.

    idempotency_key: the key that the user created the task with, if any.
    idempotency_fingerprint: the SHA-256 of the fields that came with it, in hexadecimal.
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
    # A day has no time zone, so it must never become a time. At most one of the two is set.
    due_day = models.DateField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    tags = ArrayField(models.TextField(), default=list, db_default=Value("{}"), blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    folded = ArrayField(models.TextField(null=True), null=True, blank=True, editable=False)
    tags_folded = ArrayField(models.TextField(), null=True, blank=True, editable=False)
    idempotency_key = models.CharField(max_length=KEY_LENGTH, null=True, blank=True, editable=False)  # noqa: DJ001  only null is outside of the unique index
    idempotency_fingerprint = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001

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
            # In the order of the list of a user's trash.
            models.Index(
                "user_id",
                F("deleted_at").desc(),
                F("id").desc(),
                name="task_trash_of_user",
                condition=Q(deleted_at__isnull=False),
            ),
            # For the admin. A change updates them only if it changes the title or the description.
            # New tasks go to a pending list, which is kept short so that the request that must
            # merge it is not slow.
            GinIndex(WORDS, name="task_search", gin_pending_list_limit=256),
            BrinIndex("created_at", name="task_created"),
            # Also for the admin. Tasks without tags, and those not due, are in neither.
            GinIndex(
                fields=("tags_folded",),
                name="task_tags",
                condition=Q(tags_folded__isnull=False),
                gin_pending_list_limit=256,
            ),
            models.Index(DUE, name="task_due", condition=Q(IsNull(DUE, rhs=False))),
        )
        # In the database the function `tasks_check` of migration `0009` checks the first eight. It
        # names the one that is broken.
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
                name="task_due",
                condition=Q(due_day__isnull=True, due_at__isnull=True) | Q(IS_DUE),
                violation_error_message=(
                    "A task is due on a day or at a time, not both, in the years 0001 to 9999."
                ),
            ),
            models.CheckConstraint(
                name="task_tags",
                condition=Q(tags=[]) | Q(ARE_TAGS),
                violation_error_message=(
                    f"A task has at most {MAX_TAGS} tags of 1 to {TAG_LENGTH} characters, without "
                    "commas, control characters, and white space at the ends."
                ),
            ),
            models.CheckConstraint(
                name="task_completed_at_when_complete",
                condition=Q(complete=True, completed_at__isnull=False)
                | Q(complete=False, completed_at__isnull=True),
                violation_error_message="A task has a time of completion exactly when complete.",
            ),
            models.UniqueConstraint(
                fields=("user_id", "idempotency_key"),
                name="task_idempotency_key",
                condition=Q(idempotency_key__isnull=False),
                violation_error_message="The user has a task with this key already.",
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def due_date(self) -> date | datetime | None:
        """A day, or a time with its zone."""
        return self.due_at or self.due_day

    @due_date.setter
    def due_date(self, due: date | datetime | None) -> None:
        is_time = isinstance(due, datetime)
        self.due_day, self.due_at = (None, due) if is_time else (due, None)


class ChangedTask(models.Model):
    """What an action of staff has changed in one task, and what is needed to undo it.

    entry: the action, in Django's log. values: field -> its old and new value, as the history shows
    them. before: column -> its old value; null for what cannot be undone. was_updated_at: the
    `updated_at` of the task before the action. updated_at, deleted_at: those after it. As long as
    the task still has them, nobody has changed it since. undone_by: the entry that undid it.

    There are no foreign keys: what is deleted elsewhere leaves the rest readable.
    """

    entry = models.ForeignKey(
        "admin.LogEntry", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    task_id = models.BigIntegerField()
    user_id = models.CharField(max_length=USER_ID_LENGTH)
    title = models.CharField(max_length=TITLE_LENGTH)
    values = models.JSONField()
    before = models.JSONField(null=True)
    was_updated_at = models.DateTimeField()
    updated_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    undone_by = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()
        indexes = (
            models.Index(fields=("entry", "id"), name="task_changes_of_action"),
            models.Index(fields=("task_id", "entry"), name="task_changes_of_task"),
            models.Index(fields=("user_id", "entry"), name="task_changes_of_user"),
        )

    def __str__(self) -> str:
        return self.title


class PageView(models.Model):
    """A page with data of users that a member of staff has seen, or a sign-in, for the audit.

    user_id, task_id: if the page is about one user or one task. filters: of a list, without texts
    that may come from tasks or name a person.
    """

    class Page(models.TextChoices):
        LIST = "list", "View: list of tasks"
        TASK = "task", "View: task"
        HISTORY = "history", "View: history of a task"
        USER = "user", "View: user"
        PEOPLE = "people", "View: names of users"
        ACTION = "action", "View: tasks of an action"
        CONFIRMATION = "confirm", "View: confirmation of an action"
        AUDIT = "audit", "View: audit"
        SIGN_IN = "sign_in", "Sign-in"

    at = models.DateTimeField(default=timezone.now)
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    page = models.CharField(max_length=10, choices=Page)
    user_id = models.CharField(max_length=USER_ID_LENGTH, blank=True)
    task_id = models.BigIntegerField(null=True)
    filters = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit"
        default_permissions = ()
        permissions = (("view_audit", "Can view the audit"),)
        indexes = (
            models.Index(F("at").desc(), F("id").desc(), name="task_views"),
            models.Index("staff", F("at").desc(), F("id").desc(), name="task_views_by_staff"),
            models.Index("page", F("at").desc(), F("id").desc(), name="task_views_by_page"),
            models.Index(
                "user_id",
                F("at").desc(),
                F("id").desc(),
                name="task_views_of_user",
                condition=~Q(user_id=""),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_page_display()} at {self.at}"


class Trash(Task):
    """The tasks in the trash, as a place of their own in the admin."""

    class Meta:
        proxy = True
        verbose_name = "task in the trash"
        verbose_name_plural = "Trash"
        default_permissions = ()


class Deletion(models.Model):
    """Who moved tasks to the trash at this time, unless it was their user.

    The tasks have the same `deleted_at`, to the microsecond. So nobody writes more for each task,
    and the API writes nothing here.

    staff_id: the account, which has a history now and so is never deleted; null for a command.
    command: its name; empty for staff.
    """

    deleted_at = models.DateTimeField(primary_key=True)
    staff_id = models.BigIntegerField(null=True)
    command = models.CharField(max_length=50, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.deleted_at} by {self.command or f'staff {self.staff_id}'}"

    @staticmethod
    def record(
        at: datetime | Expression, *, staff_id: int | None = None, command: str = ""
    ) -> None:
        """Call it in the transaction that moves the tasks. It may be called again."""
        deletion = Deletion(deleted_at=at, staff_id=staff_id, command=command)
        Deletion.objects.bulk_create([deletion], ignore_conflicts=True)


class RefusedTokens(models.Model):
    """How many tokens were refused in an hour, by reason, for the start page of the admin."""

    pk = models.CompositePrimaryKey("hour", "reason")
    hour = models.DateTimeField()
    reason = models.CharField(max_length=50)
    number = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.number} {self.reason} from {self.hour}"


class SavedView(models.Model):
    """Filters of the task list that a member of staff has saved under a name.

    query: the query string of the list, without the question mark and the page.
    """

    # The database has a constraint that also deletes (migration `0012`).
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False
    )
    name = models.CharField(max_length=VIEW_NAME_LENGTH)
    query = models.CharField(max_length=VIEW_QUERY_LENGTH)

    class Meta:
        default_permissions = ()  # whoever sees the list may save views of it
        constraints = (
            models.UniqueConstraint(fields=("staff", "name"), name="savedview_name_of_staff"),
        )

    def __str__(self) -> str:
        return self.name
