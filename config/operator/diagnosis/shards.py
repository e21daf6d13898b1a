"""The checks of a database that is one of several shards, and of the proxy in front of them."""

from collections.abc import Iterator
from contextlib import closing

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from config.operator.diagnosis.check import Check
from tasks.operations.installation import COMMENT, REVISION
from tasks.operations.role import first_line, row
from tasks.operations.shards import PROXY_COMMENT, Shard

NAME = "shards"
COUNT = "SELECT tasks_api.shard_count()"
COMMENT_OF_PROXY = "SELECT obj_description(to_regnamespace('tasks_api'), 'pg_namespace')"
STATE = "SELECT number, total, comment FROM tasks_api.shard_state(%(place)s)"
IS_PROXY = """
    SELECT EXISTS (
        SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = 'tasks_api' AND proname = 'shard_count')
"""
PLAN = "Run manage.py shard_plan of this release, and its SQL at the proxy."


def is_proxy(api: BaseDatabaseWrapper) -> bool:
    """Whether the API signs in at a proxy, instead of the database with the tasks."""
    return bool(row(api, IS_PROXY)[0])


def checks() -> Iterator[Check]:
    """Nothing if one database has the tasks of all users."""
    database, api = connections["default"].copy(), connections["api"].copy()
    if database.settings_dict.get("EMBEDDED"):
        return
    with closing(database), closing(api):
        try:
            if shard := Shard.of(database):
                yield Check("shard", "ok", f"DATABASE_URL is {shard}")
            if is_proxy(api):
                yield from _proxy(api)
        except Error:  # the lines of the database say why
            return


def _proxy(api: BaseDatabaseWrapper) -> Iterator[Check]:
    (total,) = row(api, COUNT)
    if row(api, COMMENT_OF_PROXY) != (PROXY_COMMENT,):
        yield Check(NAME, "wrong", "the functions of the proxy are from another release", PLAN)
    problems = [problem for place in range(total) if (problem := _problem(api, place, total))]
    for problem in problems:
        yield Check(NAME, "wrong", *problem)
    if not problems:
        yield Check(NAME, "ok", f"{total} of {total} answer, revision {REVISION}")


def _problem(api: BaseDatabaseWrapper, place: int, total: int) -> tuple[str, str] | None:
    """What is wrong with a shard, and what to do."""
    shard = Shard(place + 1, total)
    try:
        number, step, comment = row(api, STATE, place=place)
    except Error as error:
        return f"{shard} does not answer: {first_line(error)}", "Start it. Its users get 503."
    if (number, step) != (shard.number, total):
        found = str(Shard(number, step)) if step > 1 else "an ordinary database"
        advice = f"Run the SQL of manage.py shard_plan --ids={shard.number} on it."
        return f"{shard} makes the ids of {found}", advice
    if comment != COMMENT:
        return f"{shard} has the operations of another release", "Run migrate on it."
    return None
