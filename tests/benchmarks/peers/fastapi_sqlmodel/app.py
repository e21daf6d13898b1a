"""FastAPI with SQLModel, as in the tutorials of both.

https://fastapi.tiangolo.com/tutorial/sql-databases/ and
https://sqlmodel.tiangolo.com/tutorial/fastapi/: sync endpoints, a session per request
by dependency, models for input, change and output. The pool is as large as the thread pool.
"""

# ruff: noqa: FAST003  ids of paths are parameters of the dependencies

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, DateTime
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

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


class Task(TaskBase, table=True):
    __tablename__ = "tasks_task"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    user_id: str = Field(max_length=255)
    priority: str
    completed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class TaskCreate(TaskBase):
    priority: Priority = "medium"


class TaskReplace(TaskCreate):
    complete: bool


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    complete: bool | None = None
    priority: Priority | None = None


class TaskPublic(TaskBase):
    id: int
    user_id: str
    priority: Priority
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskList(SQLModel):
    tasks: list[TaskPublic]
    count: int


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


def save(session: Session, task: Task) -> Task:
    task.completed_at = (task.completed_at or now()) if task.complete else None
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/api/{user_id}/tasks", response_model=TaskList)
def list_tasks(owner: Owner, session: SessionDep) -> dict[str, Any]:
    newest_first = (Task.created_at.desc(), Task.id.desc())
    tasks = session.exec(
        select(Task)
        .where(Task.user_id == owner, col(Task.deleted_at).is_(None))
        .order_by(*newest_first)
        .limit(1000)
    ).all()
    return {"tasks": tasks, "count": len(tasks)}


@app.post("/api/{user_id}/tasks", response_model=TaskPublic, status_code=201)
def create_task(task: TaskCreate, owner: Owner, session: SessionDep) -> Task:
    return save(session, Task.model_validate(task, update={"user_id": owner}))


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def read_task(task: TaskDep) -> Task:
    return task


@app.put("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def replace_task(task: TaskDep, given: TaskReplace, session: SessionDep) -> Task:
    task.sqlmodel_update(given.model_dump(), update={"updated_at": now()})
    return save(session, task)


@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskPublic)
def change_task(task: TaskDep, given: TaskUpdate, session: SessionDep) -> Task:
    task.sqlmodel_update(given.model_dump(exclude_unset=True), update={"updated_at": now()})
    return save(session, task)


@app.delete("/api/{user_id}/tasks/{task_id}", status_code=204)
def delete_task(task: TaskDep, session: SessionDep) -> None:
    task.deleted_at = now()
    session.add(task)
    session.commit()
