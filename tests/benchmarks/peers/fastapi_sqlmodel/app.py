"""FastAPI with SQLModel, as in the tutorials of both.

https://fastapi.tiangolo.com/tutorial/sql-databases/ and
https://sqlmodel.tiangolo.com/tutorial/fastapi/: sync endpoints, a session per request
by dependency, models for input, change, output and query parameters. The pool is as large as the
thread pool.
"""

# ruff: noqa: FAST003  ids of paths are parameters of the dependencies

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, case, cast
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, Session, SQLModel, col, create_engine, func, or_, select

from peers.tokens import user_of

engine = create_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"),
    pool_size=40,
    max_overflow=40,
)
app = FastAPI()
bearer = HTTPBearer()

Priority = Literal["low", "medium", "high"]


def now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    complete: bool = False
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))


class Task(TaskBase, table=True):
    __tablename__ = "tasks_task"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    user_id: str = Field(max_length=255)
    priority: str
    due_day: date | None = None
    due_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

    @property
    def due_date(self) -> date | datetime | None:
        return self.due_at or self.due_day


class TaskCreate(TaskBase):
    priority: Priority = "medium"
    due_date: date | datetime | None = None


class TaskReplace(TaskCreate):
    complete: bool


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    complete: bool | None = None
    priority: Priority | None = None
    due_date: date | datetime | None = None
    tags: list[str] | None = None


class TaskPublic(TaskBase):
    id: int
    user_id: str
    priority: Priority
    due_date: date | datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskList(SQLModel):
    tasks: list[TaskPublic]
    count: int


class Filters(SQLModel):
    complete: bool | None = None
    priority: list[Priority] = []
    tag: list[str] = []
    due_after: datetime | None = None
    due_before: datetime | None = None
    q: str = ""
    sort: str = "-created_at"
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=1000, ge=1, le=1000)


DUE = func.coalesce(Task.due_at, func.timezone("UTC", cast(Task.due_day, DateTime)))
SORT_KEYS = {
    "created_at": col(Task.created_at),
    "updated_at": col(Task.updated_at),
    "completed_at": col(Task.completed_at),
    "due_date": DUE,
    "priority": case({"low": 1, "medium": 2, "high": 3}, value=Task.priority),
    "title": func.lower(Task.title),
}
NULLABLE = ("completed_at", "due_date")
"""A column that is never null is sorted without NULLS LAST, which the index would not fit."""


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def get_owner(
    user_id: str, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> str:
    try:
        user = user_of(credentials.credentials)
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Send a good token.") from None
    if user != user_id:
        raise HTTPException(403, "This token belongs to another user.")
    return user


SessionDep = Annotated[Session, Depends(get_session)]
Owner = Annotated[str, Depends(get_owner)]


def get_task(task_id: int, owner: Owner, session: SessionDep) -> Task:
    task = session.exec(
        select(Task).where(
            Task.id == task_id, Task.user_id == owner, col(Task.deleted_at).is_(None)
        )
    ).first()
    if task is None:
        raise HTTPException(404, "There is no such task.")
    return task


TaskDep = Annotated[Task, Depends(get_task)]


def columns(given: TaskCreate | TaskUpdate) -> dict[str, Any]:
    """A due date is in one of two columns."""
    values = given.model_dump(exclude_unset=isinstance(given, TaskUpdate))
    if "due_date" in values:
        due = values.pop("due_date")
        is_time = isinstance(due, datetime)
        values |= {"due_day": None if is_time else due, "due_at": due if is_time else None}
    return values


def save(session: Session, task: Task) -> Task:
    task.completed_at = (task.completed_at or now()) if task.complete else None
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


def conditions(owner: str, filters: Filters) -> Iterator[ColumnElement[bool]]:
    yield col(Task.user_id) == owner
    yield col(Task.deleted_at).is_(None)
    if filters.complete is not None:
        yield col(Task.complete) == filters.complete
    if filters.priority:
        yield col(Task.priority).in_(filters.priority)
    if filters.tag:
        yield col(Task.tags).contains(filters.tag)
    if filters.due_after:
        yield filters.due_after <= DUE
    if filters.due_before:
        yield filters.due_before > DUE
    for word in filters.q.split():
        yield or_(
            col(Task.title).ilike(f"%{word}%"),
            col(Task.description).ilike(f"%{word}%"),
        )


def order(sort: str) -> Iterator[ColumnElement[Any]]:
    keys = sort.split(",")
    for key in keys:
        name = key.removeprefix("-")
        if name not in SORT_KEYS:
            raise HTTPException(422, "There is no such sort key.")
        if not key.startswith("-"):
            yield SORT_KEYS[name].asc()
        elif name in NULLABLE:
            yield SORT_KEYS[name].desc().nulls_last()
        else:
            yield SORT_KEYS[name].desc()
    yield col(Task.id).desc() if keys[-1].startswith("-") else col(Task.id).asc()


@app.get("/api/{user_id}/tasks", response_model=TaskList)
def list_tasks(
    owner: Owner, session: SessionDep, filters: Annotated[Filters, Query()]
) -> dict[str, Any]:
    where = list(conditions(owner, filters))
    tasks = session.exec(
        select(Task)
        .where(*where)
        .order_by(*order(filters.sort))
        .offset(filters.offset)
        .limit(filters.limit)
    ).all()
    count = len(tasks)
    if filters.offset or count == filters.limit:  # otherwise the page has all of them
        count = session.exec(select(func.count()).select_from(Task).where(*where)).one()
    return {"tasks": tasks, "count": count}


@app.post("/api/{user_id}/tasks", response_model=TaskPublic, status_code=201)
def create_task(task: TaskCreate, owner: Owner, session: SessionDep) -> Task:
    return save(session, Task.model_validate(columns(task), update={"user_id": owner}))


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def read_task(task: TaskDep) -> Task:
    return task


@app.put("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def replace_task(task: TaskDep, given: TaskReplace, session: SessionDep) -> Task:
    task.sqlmodel_update(columns(given), update={"updated_at": now()})
    return save(session, task)


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def change_task(task: TaskDep, given: TaskUpdate, session: SessionDep) -> Task:
    task.sqlmodel_update(columns(given), update={"updated_at": now()})
    return save(session, task)


@app.delete("/api/{user_id}/tasks/{task_id}", status_code=204)
def delete_task(task: TaskDep, session: SessionDep) -> None:
    task.deleted_at = now()
    session.add(task)
    session.commit()
