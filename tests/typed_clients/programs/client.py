"""The typed client for Python, used as a program would."""

import os
from datetime import date

from generated import AuthenticatedClient
from generated.api.tasks import change_task, create_task, delete_task, list_tasks, replace_task
from generated.models import (
    Priority,
    TaskIn,
    TaskList,
    TaskOut,
    TaskPatch,
    TaskPut,
    ValidationErrorResponse,
)
from generated.types import UNSET

USER = os.environ["USER_ID"]
client = AuthenticatedClient(base_url=os.environ["BASE"], token=os.environ["TOKEN"])

created: list[TaskOut] = []
for title in ("one", "two", "three"):
    body = TaskIn(title=title, due_date=date(2026, 1, 31), tags=["home", title])
    task = create_task.sync(USER, client=client, body=body)
    assert isinstance(task, TaskOut)
    created.append(task)
one, two, three = created
assert (one.description, one.complete, one.priority) == (None, False, Priority.MEDIUM)
assert (one.due_date, one.tags) == (date(2026, 1, 31), ["home", "one"])

change = TaskPatch(complete=True, priority=Priority.HIGH)
changed = change_task.sync(USER, two.id, client=client, body=change)
assert isinstance(changed, TaskOut)
assert changed.completed_at is not None
assert changed.completed_at >= changed.created_at

whole = TaskPut(title=three.title, complete=True, description="3", tags=three.tags)
replaced = replace_task.sync(USER, three.id, client=client, body=whole)
assert isinstance(replaced, TaskOut)
assert replaced.description == "3"

titles: list[str] = []
cursor: str | None = ""
while cursor is not None:
    page = list_tasks.sync(
        USER,
        client=client,
        complete=True,
        priority="high,medium",
        tag=["home"],
        sort="-title",
        limit=1,
        cursor=cursor or UNSET,
    )
    assert isinstance(page, TaskList)
    assert page.count == 2
    titles += [task.title for task in page.tasks]
    cursor = page.next_cursor or None
assert titles == ["two", "three"]

refused = create_task.sync(USER, client=client, body=TaskIn(title=" "))
assert isinstance(refused, ValidationErrorResponse)
assert refused.errors[0].loc == ["body", "title"]

everything = list_tasks.sync(USER, client=client, sync="*")
for task in created:
    assert delete_task.sync_detailed(USER, task.id, client=client).status_code == 204
assert isinstance(everything, TaskList)
changes = list_tasks.sync(USER, client=client, sync=everything.sync)
assert isinstance(changes, TaskList)
assert {task.id for task in changes.deleted or []} == {task.id for task in created}
