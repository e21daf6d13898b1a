"""The example for Next.js: built and started as README says, and used in a browser.

Its browsers reach the service through a proxy that loses answers when a test says so.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Route, expect
from psycopg.rows import dict_row

from tests.example.conftest import SOURCE, Example, commands
from tests.server import TIMEOUT, Server, database_url

pytestmark = pytest.mark.django_db(transaction=True)

MAX_LINES = 400
PASSWORD = "correct horse"


def own_files() -> list[str]:
    """The texts of the files that somebody has written, without configuration."""
    folders = (SOURCE / name for name in ("app", "components", "lib"))
    paths = [path for folder in folders for path in folder.rglob("*.*") if path.is_file()]
    return [path.read_text(encoding="utf-8") for path in paths if path.name != "openapi.ts"]


def test_it_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of code, without blank lines and comments."""
    lines = [line for text in own_files() for line in text.splitlines()]
    code = [line for line in lines if not re.match(r"\s*(//|/\*\*|\*|$)", line)]

    with capsys.disabled():
        print(f"\nThe example for Next.js has {len(code)} lines of code.")  # noqa: T201
    assert len(code) <= MAX_LINES
    assert max(map(len, lines)) <= 100


def test_nothing_is_hidden_from_the_compiler() -> None:
    for text in own_files():
        assert not re.search("eslint-disable|@ts-|prettier-ignore", text)


@pytest.fixture(scope="module")
def started(example: Example) -> Iterator[Example]:
    """Set up with the commands of README, then checked, built and started."""
    _service, cd, install, *set_up, dev = commands()
    assert (cd, install, dev) == ("cd examples/nextjs", "npm install", "npm run dev")
    for command in set_up:
        example.run(command)
    with ExitStack() as running:
        example.serve(dev, running)
    with ExitStack() as running:
        example.run("npm run build")
        example.serve("npm start", running)
        yield example


def test_types_lint_and_format_are_strict(started: Example) -> None:
    started.run("npm run lint")


def test_its_client_is_that_of_the_service(started: Example, service: tuple[Server, str]) -> None:
    """If not: start the service, and `npm run api` in examples/nextjs."""
    server, _ = service
    command = started.run("npm pkg get scripts.api").strip().strip('"')

    started.run(f"npx {command.replace('http://127.0.0.1:8000', server.url)}")

    generated = (started.folder / "lib" / "openapi.ts").read_text(encoding="utf-8")
    assert generated == (SOURCE / "lib" / "openapi.ts").read_text(encoding="utf-8")


class User:
    """Somebody who has just signed up, in a browser.

    requests: the addresses of all that the page has requested. errors: of its program.
    """

    def __init__(self, browser: Browser, example: Example, name: str) -> None:
        self.context = browser.new_context(viewport={"width": 800, "height": 700})
        self.context.set_default_timeout(TIMEOUT * 1000)
        self.page = page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.list = page.get_by_role("list", name="Tasks")
        self.items = self.list.get_by_role("listitem")
        self.status = page.get_by_role("status")
        self.alert = page.get_by_role("alert").and_(page.locator("main *"))

        page.goto(example.url, wait_until="networkidle")  # hydrated
        page.get_by_label("E-mail address").fill(f"{name}@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        empty = page.get_by_text("No tasks.")
        while not empty.is_visible():  # Better Auth accepts three accounts in 10 s
            self.press("Create an account")
            empty.or_(page.get_by_text("Too many requests")).wait_for()
            page.wait_for_timeout(2000)
        (self.id,) = {*re.findall("/api/([^/]+)/tasks", "\n".join(self.requests))}

    def add(self, title: str, due: str = "", tags: str = "") -> None:
        form = self.page.get_by_role("form", name="Add")
        form.get_by_label("Title").fill(title)
        form.get_by_label("Due").fill(due)
        form.get_by_label("Tags").fill(tags)
        form.get_by_role("button").click()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def show(self, view: str, tag: str = "") -> None:
        self.page.get_by_label("Show").select_option(view)
        self.page.get_by_role("search").get_by_label("Tag").fill(tag)

    def sees(self, *texts: str) -> None:
        """These tasks in this order and no others, when everything is saved."""
        expect(self.items).to_contain_text(list(texts))
        expect(self.items).to_have_count(len(texts))
        expect(self.status).not_to_contain_text("Not saved yet")

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """As somebody else changes the tasks, and as they are in the database."""
        with psycopg.connect(database_url(), row_factory=dict_row) as connection:
            cursor = connection.execute(statement, {"user": self.id})
            return cursor.fetchall() if cursor.description else []

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(50)  # the browser goes on

    def titles(self) -> list[str]:
        rows = self.sql("SELECT title FROM tasks_task WHERE user_id = %(user)s ORDER BY id")
        return [row["title"] for row in rows]


@pytest.fixture
def sign_up(chromium: Browser, started: Example) -> Iterator[Callable[[str], User]]:
    users: list[User] = []

    def new(name: str) -> User:
        users.append(User(chromium, started, name))
        return users[-1]

    yield new
    started.network.loses = 0
    for user in users:
        user.context.close()
        assert user.errors == []


def test_create_filter_complete_and_edit(sign_up: Callable[[str], User]) -> None:
    user = sign_up("ada")
    page = user.page

    user.add("Buy <b>milk</b>", "2026-12-24", "home, urgent")
    user.add("Call Ada")
    user.sees("Call Ada", "Buy <b>milk</b> 2026-12-24, home, urgent")
    (milk,) = user.sql("SELECT * FROM tasks_task WHERE user_id = %(user)s AND title LIKE 'Buy%%'")
    assert (str(milk["due_day"]), milk["tags"]) == ("2026-12-24", ["home", "urgent"])

    # Filters and completion.
    user.show("Open", tag="HOME")
    user.sees("Buy <b>milk</b>")
    user.show("Due")
    user.sees("Buy <b>milk</b>")
    page.get_by_role("checkbox", name="milk").click()
    user.sees()
    user.show("Complete")
    user.sees("Buy <b>milk</b>")
    user.show("Open")
    user.sees("Call Ada")

    # Somebody else changes another field, and then the same one.
    page.get_by_role("button", name="Edit Call Ada").click()
    user.sql("UPDATE tasks_task SET tags = '{phone}' WHERE user_id = %(user)s AND NOT complete")
    page.get_by_role("form", name="Save").get_by_label("Title").fill("Call Zoe")
    user.press("Save")
    user.sees("Call Zoe phone")
    edit = page.get_by_role("form", name="Save")
    for theirs, choice, result in (
        ("Call Bob", "Discard mine", "Call Bob"),
        ("Call Kim", "Save mine", "Call Eve"),
    ):
        page.get_by_role("button", name="Edit Call").click()
        user.sql(
            f"UPDATE tasks_task SET title = '{theirs}' WHERE user_id = %(user)s AND NOT complete"
        )
        edit.get_by_label("Title").fill("Call Eve")
        user.press("Save")
        expect(user.alert).to_contain_text(f"was not saved. Now it is “{theirs}”.")
        user.press(choice)
        user.sees(result)


def test_undo_the_trash_and_many_tasks(sign_up: Callable[[str], User]) -> None:
    user = sign_up("eve")
    page = user.page

    # What the service refuses is explained in its words.
    user.add("Sort", tags="a, A")
    expect(user.alert).to_contain_text("“Sort” was not saved. tags: must not name a tag twice")
    user.press("Discard mine")
    expect(user.alert).to_be_empty()

    user.add("Call Eve")
    user.sees("Call Eve")
    user.press("Delete Call Eve")
    user.sees()
    user.press("Undo")
    user.sees("Call Eve")
    user.press("Delete Call Eve")
    user.show("Trash")
    user.sees("Call Eve")
    user.press("Restore Call Eve")
    user.sees()
    user.show("All")
    user.sees("Call Eve")

    # Many tasks of another device, which appear without a reload, page by page.
    user.sql(
        "INSERT INTO tasks_task (user_id, title, created_at) "
        "SELECT %(user)s, 'Many ' || n, now() - n * interval '1 s' FROM generate_series(1, 119) n"
    )
    expect(user.items).to_have_count(50)
    for count in (100, 120):
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(user.items).to_have_count(count)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()

    assert sum("/api/auth/token" in url for url in user.requests) == 1
    user.press("Sign out")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("without", ["", "idempotency-key"])
def test_a_lost_answer_is_repeated_with_the_same_key(
    sign_up: Callable[[str], User], started: Example, without: str
) -> None:
    """Also after a reload. Without the key, the task is there twice: so this test can fail."""

    def take(route: Route) -> None:
        headers = route.request.headers
        headers.pop(without, None)
        route.continue_(headers=headers)

    user = sign_up(f"zoe-{without}")
    user.context.route(f"{started.network.url}/**", take)
    user.add("Before")
    user.sees("Before")

    started.network.loses = 1
    user.add("Lost")
    user.wait_for(lambda: "Lost" in user.titles())
    user.page.reload()
    expect(user.status).to_contain_text("Not saved yet: 1")
    expect(user.alert).to_contain_text("The service cannot be reached.")
    started.network.loses = 0

    expect(user.status).not_to_contain_text("Not saved yet")
    first, *lost = user.titles()
    assert (first, {*lost}) == ("Before", {"Lost"})
    assert (len(lost) > 1) == bool(without)
    user.sees(*lost, first)


def test_no_network_a_lost_change_and_a_refused_token_disturb_nobody(
    sign_up: Callable[[str], User], started: Example
) -> None:
    user = sign_up("bob")
    user.show("All")
    user.add("First")
    user.sees("First")

    user.context.set_offline(True)
    user.page.get_by_role("checkbox", name="First").click()
    user.add("Second")
    expect(user.status).to_contain_text("Not saved yet: 2")
    expect(user.items).to_have_count(2)
    assert user.titles() == ["First"]
    user.context.set_offline(False)
    user.sees("Second", "First")
    assert user.titles() == ["First", "Second"]
    expect(user.page.get_by_role("checkbox", name="First")).to_be_checked()

    # The change was done, but its answer is lost: its repetition is no conflict.
    started.network.loses = 1
    user.page.get_by_role("checkbox", name="Second").click()
    done = "SELECT id FROM tasks_task WHERE user_id = %(user)s AND title = 'Second' AND complete"
    user.wait_for(lambda: user.sql(done))
    started.network.loses = 0
    user.sees("Second", "First")
    expect(user.page.get_by_role("checkbox", name="Second")).to_be_checked()
    expect(user.alert).to_be_empty()

    # Another tab has the same queue, and gets a network later. It does nothing a second time.
    started.network.loses = 1
    form = user.page.get_by_role("form", name="Save")
    for before, title in (("Second", "Two"), ("Two", "Zwei")):
        user.press(f"Edit {before}")
        form.get_by_label("Title").fill(title)
        user.press("Save")
    other = user.context.new_page()
    other.route(f"{started.network.url}/**", lambda route: route.abort())
    other.goto(started.url)
    expect(other.get_by_role("status")).to_contain_text("Not saved yet: 2")
    started.network.loses = 0
    user.sees("Zwei", "First")
    other.unroute_all()
    expect(other.get_by_role("status")).not_to_contain_text("Not saved yet")
    expect(other.get_by_role("button", name="Discard mine")).to_be_hidden()
    assert user.titles() == ["First", "Zwei"]
    other.close()

    user.context.route(
        "**/api/auth/token", lambda route: route.fulfill(json={"token": "e30.e30.e30"}), times=1
    )
    user.page.reload()
    user.show("All")
    user.sees("Zwei", "First")
    assert sum("/api/auth/token" in url for url in user.requests) == 3
