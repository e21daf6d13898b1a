"""Times the pages of the admin on a large table, over HTTP, as a signed-in staff member."""

import html
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from tests.benchmarks.database import Database, user_id
from tests.benchmarks.issuer import Issuer
from tests.benchmarks.postgres import ROOT
from tests.benchmarks.report import aligned, number
from tests.benchmarks.servers import OURS, Server, production, tree
from tests.better_auth.users import TABLE

TASKS = 1_000_000
USERS = 50_000
YEARS = 3
REQUESTS = 5
LIMIT = 300
"""Milliseconds that a page may take."""

START = "/admin/"
LIST = "/admin/tasks/task/"
AUDIT = "/admin/tasks/pageview/"
TRASH = "/admin/tasks/trash/"
NAME = "bench"
PASSWORD = "a-password-of-the-benchmarks"

# A realistic distribution of words: one in every title, some in many, thousands in few, and one
# only in old tasks. In descriptions too.
# Flags and times are independent, except that no task of low priority is both complete and in the
# trash, so that one combination of common filters matches nothing.
# A third of the tasks are due, on a day or at a time in the two months after they were created. A
# fifth have tags: one that is common, and one of a thousand.
FILL = """
    INSERT INTO tasks_task (id, user_id, title, description, complete, priority, due_day, due_at,
                            tags, completed_at, created_at, updated_at, deleted_at)
    SELECT id, md5((id %% %(users)s)::text),
        (ARRAY['Buy', 'Call', 'Write', 'Review', 'Fix', 'Plan', 'Send', 'Read', 'Book', 'Clean'])
            [1 + id %% 10] || ' '
        || (ARRAY['milk', 'report', 'invoice', 'garden', 'meeting', 'tickets', 'backup', 'release',
                  'dentist', 'slides', 'tests'])[1 + id %% 11]
        || CASE WHEN id <= %(last)s / 2 THEN ' migrated' ELSE '' END
        || ' for word' || id * 7919 %% 20000 || ' task',
        'Write down what is to be done, and by whom, before the end of day ' || id %% 365
        || ', as in note' || id * 7919 %% 20000
        || CASE WHEN id <= %(last)s / 2 THEN ', archived' ELSE '' END,
        complete, CASE WHEN complete AND deleted THEN 'high'
                       ELSE (ARRAY['low', 'medium', 'high'])[1 + id * 31 %% 3] END,
        CASE WHEN id %% 6 = 0 THEN (created + id %% 60 * interval '1 day')::date END,
        CASE WHEN id %% 6 = 1 THEN created + id %% 1440 * interval '1 hour' END,
        CASE WHEN id %% 5 = 0 THEN ARRAY['Home', 'Label ' || id / 5 %% 1000] ELSE '{}' END,
        CASE WHEN complete THEN updated END, created, updated,
        CASE WHEN deleted THEN updated + interval '1 hour' END
    FROM (
        SELECT id, created, id * 7 %% 5 < 2 AS complete, id %% 20 = 7 AS deleted,
            CASE WHEN id %% 3 = 0 THEN created
                 ELSE created + (now() - created) * (id * 48271 %% 1009) / 1009 END AS updated
        FROM (
            SELECT id, now() - (%(last)s - id) * (%(years)s * interval '1 year') / %(last)s
                AS created
            FROM generate_series(1, %(last)s::bigint) AS id
        ) AS numbered
    ) AS made
"""

# Staff have moved a fifth of the trash there, one task at a time.
FILL_DELETIONS = """
    INSERT INTO tasks_deletion (deleted_at, staff_id, command)
    SELECT DISTINCT deleted_at, 1, '' FROM tasks_task WHERE deleted_at IS NOT NULL AND id % 100 = 7
"""

# Better Auth's users, in its own table. Twenty of the owners of tasks are not among them.
FILL_PEOPLE = """
    INSERT INTO "user" (id, name, email, "emailVerified", banned)
    SELECT md5(n::text),
        (ARRAY['Ada', 'Zoë', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Radia', 'Linus'])
            [1 + n %% 9] || ' '
        || (ARRAY['Lovelace', 'Hopper', 'Turing', 'Liskov', 'Knuth', 'Perlman', 'Ünal'])[1 + n %% 7]
        || ' ' || n,
        'person' || n || '@example.com', true, n %% 100 = 0
    FROM generate_series(0, %s - 21) AS n
"""


# What twenty colleagues did and saw in two years, one half of each.
FILL_AUDIT = (
    """
    INSERT INTO auth_user (username, password, is_superuser, first_name, last_name, email, is_staff,
                           is_active, date_joined)
    SELECT 'colleague ' || n, '', false, '', '', '', true, true, now()
    FROM generate_series(1, 20) AS n ON CONFLICT DO NOTHING
    """,
    "TRUNCATE django_admin_log, tasks_pageview, tasks_changedtask",
    """
    WITH staff AS (SELECT array_agg(id) AS ids FROM auth_user WHERE username LIKE 'colleague %%')
    INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr,
                                  action_flag, change_message)
    SELECT now() - n * interval '2 min', ids[1 + n %% 20], django_content_type.id, n::text, 'Task',
        2, '[{"owner": "' || md5((n %% %(users)s)::text) || '", "action": "'
        || (ARRAY['change', 'change', 'complete', 'trash', 'restore', 'undo'])[1 + n %% 6]
        || '", "values": {"title": ["Buy milk", "Buy more milk"]}}]'
    FROM staff, django_content_type, generate_series(1, %(records)s / 2) AS n
    WHERE app_label = 'tasks' AND model = 'task'
    """,
    """
    WITH staff AS (SELECT array_agg(id) AS ids FROM auth_user WHERE username LIKE 'colleague %%')
    INSERT INTO tasks_pageview (at, staff_id, page, user_id, task_id, filters)
    SELECT now() - n * interval '2 min', ids[1 + n %% 20],
        (ARRAY['list', 'task', 'user', 'history'])[1 + n %% 4],
        CASE WHEN n %% 4 = 0 THEN '' ELSE md5((n %% %(users)s)::text) END, n, '{}'
    FROM staff, generate_series(1, %(records)s / 2) AS n
    """,
    "VACUUM ANALYZE django_admin_log, tasks_pageview",
)


@dataclass(frozen=True)
class Page:
    """median, maximum: milliseconds from the request to the last byte."""

    name: str
    median: float
    maximum: float


@dataclass(frozen=True)
class Export:
    """memory: the peak of the largest server process in MiB, including its other requests."""

    name: str
    rows: int
    seconds: float
    memory: float


def fill(database: Database, tasks: int = TASKS, users: int = USERS) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("TRUNCATE tasks_task RESTART IDENTITY")
        connection.execute(FILL, {"last": tasks, "users": users, "years": YEARS})
        connection.execute("TRUNCATE tasks_deletion")
        connection.execute(FILL_DELETIONS)
        connection.execute("VACUUM ANALYZE tasks_task, tasks_deletion")
        connection.execute('DROP TABLE IF EXISTS "user"')
        connection.execute(TABLE)
        connection.execute(FILL_PEOPLE, [users])
        connection.execute('VACUUM ANALYZE "user"')
        for statement in FILL_AUDIT:
            connection.execute(statement, {"users": users, "records": tasks})
    database.tasks, database.users = tasks, users
    database.settle()


def measure(
    database: Database, issuer: Issuer, requests: int = REQUESTS
) -> tuple[list[Page], list[Export]]:
    make_staff(database, issuer)
    with Server(OURS, database.url, issuer.environment) as server:
        staff = Staff(server.port)
        pages = [
            time_of(staff, name, path, requests) for name, path in pages_of(database, staff).items()
        ]
        exports = [
            export(staff, server, name, f"{LIST}export.{name}?trash=all")
            for name in ("csv", "jsonl")
        ]
    return pages, exports


def pages_of(database: Database, staff: "Staff") -> dict[str, str]:
    def found(**query: object) -> str:
        return f"{LIST}?{urlencode(query)}"

    middle = database.tasks // 2
    now = datetime.now(UTC).date()
    today, old, week = now, now - timedelta(weeks=104), now - timedelta(weeks=103)
    complete, high = {"complete__exact": 1}, {"priority__exact": "high"}
    low = {"priority__exact": "low"}
    once = {"created_at_from": old, "created_at_to": week}
    changed = {"updated_at_from": today}
    long_ago = {"created_at_to": now - timedelta(days=400)}
    task = f"{LIST}{middle}/change/"
    owner = re.search(r'href="([^"]*/owner/[^"]*)"', staff.get(task))
    second_page = re.search(r'href="(\?p=[^"]*)" rel="next"', staff.get(TRASH))
    in_trash = f"{TRASH}{html.unescape(second_page[1])}" if second_page else TRASH
    return {
        "start page": START,
        "list": LIST,
        "list, in the middle": found(p=middle),
        "list, its oldest page": found(p=-1),
        "list, newer than the middle": found(p=-middle),
        "search: task id": found(q=middle),
        "search: user id": found(q=user_id(7)),
        "search: e-mail address": found(q="person77@example.com"),
        "search: beginning of an address": found(q="person7777"),
        "search: beginning of many names": found(q="ada"),
        "search: beginning of a name": found(q="ünal 777"),
        "search: rare word": found(q="word77"),
        "search: word in one of ten": found(q="milk"),
        "search: two words": found(q="buy milk"),
        "search: word of every title": found(q="task"),
        "search: word of old titles only": found(q="migrated"),
        "search: word of no title": found(q="nothing"),
        "search: beginning of a rare word": found(q="word777"),
        "search: beginning of one of ten": found(q="mil"),
        "search: beginning of words of all": found(q="wor"),
        "search: beginnings that never meet": found(q="wor not"),
        "search: descriptions of one user": found(q="before", user_id__exact=user_id(7)),
        "search: rare word of descriptions": found(q="note77"),
        "search: word of every description": found(q="before"),
        "search: word of old descriptions": found(q="archived"),
        "search: in title and description": found(q="milk note77"),
        "oldest first": found(sort="id"),
        "oldest first, in the middle": found(sort="id", p=middle),
        "due first": found(sort="due"),
        "due last, in the middle": found(sort="-due", p=middle - middle % 6),
        "due first, common tag, low": found(sort="due", tag="home", **low),
        "due first, no such tag": found(sort="due", tag="nothing"),
        "deleted last": found(sort="-deleted", trash="in"),
        "deleted first, nothing: complete, low": found(
            sort="deleted", trash="in", **complete, **low
        ),
        "search: every title, in the middle": found(q="task", p=middle),
        "complete": found(**complete),
        "priority": found(**high),
        "overdue": found(due="overdue"),
        "overdue, in the middle": found(due="overdue", p=middle),
        "due this week": found(due="week"),
        "no due date": found(due="none"),
        "rare tag": found(tag="label 77"),
        "common tag": found(tag="home"),
        "no such tag": found(tag="nothing"),
        "search: rare tag": found(q="label 77"),
        "search: common tag": found(q="home"),
        "one of ten, overdue, common tag": found(q="milk", due="overdue", tag="home"),
        "due this week, common tag, low": found(due="week", tag="home", **low),
        "in the trash": found(trash="in"),
        "with the trash": found(trash="all"),
        "created in a week": found(**once),
        "created long ago": found(**long_ago),
        "updated today": found(**changed),
        "updated long ago": found(updated_at_to=now - timedelta(days=1050)),
        "complete, high, a week, updated today": found(**complete, **high, **once, **changed),
        "created long ago, updated today": found(**long_ago, **changed),
        "nothing: in the trash, complete, low": found(trash="in", **complete, **low),
        "nothing: updated tomorrow": found(updated_at_from=now + timedelta(days=2), **complete),
        "every title, nothing else": found(
            q="task", updated_at_from=now + timedelta(days=2), **complete
        ),
        "every title, created long ago": found(q="task", **long_ago),
        "old titles, updated today": found(q="migrated", **changed),
        "one of ten, complete, high, a week": found(q="milk", **complete, **high, **once),
        "every title, in the trash, low, today": found(q="task", trash="in", **low, **changed),
        "unknown to Better Auth": found(owner="gone"),
        "unknown to Better Auth, milk": found(owner="gone", q="milk"),
        "people for a new task": f"{LIST}people/?q=perlman+77",
        "change": task,
        **({"owner": html.unescape(owner[1])} if owner else {}),
        "history": f"{LIST}{middle}/history/",
        "trash": TRASH,
        "trash, second page": in_trash,
        "trash, of one user": f"{TRASH}?user_id__exact={user_id(7)}",
        "trash, of a year ago": f"{TRASH}?deleted_at_to={now - timedelta(days=365)}",
        "trash, deleted by staff": f"{TRASH}?by=staff",
        "trash, deleted by users": f"{TRASH}?by=user",
        "trash, unknown to Better Auth": f"{TRASH}?owner=gone",
        "trash, search: beginning of many names": f"{TRASH}?q=ada",
        **{f"audit{name}": f"{AUDIT}?{urlencode(query)}" for name, query in audits(now).items()},
    }


def audits(today: date) -> dict[str, dict[str, object]]:
    colleague: dict[str, object] = {"staff": 7}
    a_year_ago = today - timedelta(days=365)
    return {
        "": {},
        ", a colleague": colleague,
        ", an action": {"action": "trash"},
        ", an action that nobody did": {"action": "purge"},
        ", an action of a colleague": {"action": "trash", **colleague},
        ", views": {"action": "view"},
        ", a user": {"user": user_id(7)},
        ", a user and a colleague": {"user": user_id(7), **colleague},
        ", a day": {"from": a_year_ago, "to": a_year_ago},
        ", an action, until a year ago": {"action": "undo", "to": a_year_ago},
        ", from the middle": {"after": f"{a_year_ago}T00:00:00+00:00~c~1"},
    }


def time_of(staff: "Staff", name: str, path: str, requests: int) -> Page:
    staff.get(path)
    taken = []
    for n in range(requests):
        # The start page caches its numbers for each time zone. So it counts for every request.
        staff.cookies["zone"] = f"Etc/GMT-{n % 14 + 1}"
        start = time.perf_counter()
        staff.get(path)
        taken.append((time.perf_counter() - start) * 1000)
    return Page(name, statistics.median(taken), max(taken))


def export(staff: "Staff", server: Server, name: str, path: str) -> Export:
    start = time.perf_counter()
    lines = sum(piece.count(b"\n") for piece in staff.pieces(path))
    seconds = time.perf_counter() - start
    rows = lines - 1 if name == "csv" else lines
    return Export(name, rows, seconds, peak(server))


def peak(server: Server) -> float:
    statuses = [Path(f"/proc/{each.pid}/status") for each in tree(server.process.pid)]
    found = [re.search(r"VmHWM:\s+(\d+)", status.read_text()) for status in statuses]
    return max(int(match[1]) for match in found if match) / 1024


def table(pages: Sequence[Page], exports: Sequence[Export]) -> str:
    rows: list[Sequence[str]] = [("page", "median ms", "maximum ms", "")]
    rows += [
        (
            page.name,
            number(page.median),
            number(page.maximum),
            "" if page.median < LIMIT else f"over {LIMIT}",
        )
        for page in pages
    ]
    rows += [(), ("export", "rows", "rows/s", "MiB at most")]
    rows += [
        (each.name, str(each.rows), number(each.rows / each.seconds), number(each.memory))
        for each in exports
    ]
    return aligned(rows)


def make_staff(database: Database, issuer: Issuer) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        ours = "(SELECT id FROM auth_user WHERE username = %s)"
        # Of the exports of an earlier run.
        connection.execute(f"DELETE FROM django_admin_log WHERE user_id = {ours}", [NAME])
        connection.execute("DELETE FROM auth_user WHERE username = %s", [NAME])
    subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--noinput", "--verbosity=0"],
        cwd=ROOT,
        env={
            **production(database.url),
            **issuer.environment,
            "DJANGO_SUPERUSER_USERNAME": NAME,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SUPERUSER_EMAIL": "bench@example.com",
        },
        check=True,
    )


class Staff:
    """A signed-in staff member, behind a proxy as in production."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}
        page = self.get("/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        form = {"username": NAME, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        with self._send("POST", "/admin/login/", urlencode(form)) as answer:
            assert answer.status == 302, answer.status

    def get(self, path: str) -> str:
        return b"".join(self.pieces(path)).decode()

    def pieces(self, path: str) -> Iterator[bytes]:
        with self._send("GET", path) as answer:
            assert answer.status == 200, (path, answer.status)
            while piece := answer.read(1 << 20):
                yield piece

    def _send(self, method: str, path: str, form: str | None = None) -> HTTPResponse:
        wire = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers: Mapping[str, str] = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
            "Connection": "close",
            "Referer": f"https://127.0.0.1:{self.port}/admin/",
            "X-Forwarded-Proto": "https",
        }
        wire.request(method, path, form, headers)
        answer = wire.getresponse()
        for given in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(given).items():
                self.cookies[name] = morsel.value
        return answer
