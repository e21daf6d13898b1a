"""No input causes a 500: any input, sent to every address, by a user with all permissions.

Addresses, names and values come from the service itself, so new pages are covered automatically.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from wsgiref.util import setup_testing_defaults

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admindocs.views import extract_views_from_urlpatterns, simplify_regex
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import get_resolver
from hypothesis import HealthCheck, example, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.wsgi import application
from tasks.models import Task
from tests.people import token_of

EXAMPLES = int(os.environ.get("INPUT_EXAMPLES", "8"))
FORM = "application/x-www-form-urlencoded"
PLACEHOLDER = "<"

ADDRESSES = sorted(
    {
        simplify_regex(str(route)).replace("path:", "")
        for _, route, _, _ in extract_views_from_urlpatterns(get_resolver().url_patterns)
    }
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    address: str
    method: str = "GET"
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Pairs | str = ()
    body: Pairs | bytes = b""
    content_type: str = FORM
    headers: Mapping[str, str] = field(default_factory=dict)
    secure: bool = True

    @property
    def path(self) -> str:
        path = self.address
        for name, part in self.parts.items():
            path = path.replace(f"<{name}>", quoted(part))
        return path

    def sent_by(self, client: Client) -> HttpResponseBase:
        query = self.query if isinstance(self.query, str) else encoded(self.query)
        body = self.body
        if not isinstance(body, bytes):
            body = (
                encode_multipart(BOUNDARY, {whole(name): whole(value) for name, value in body})
                if self.content_type == MULTIPART_CONTENT
                else encoded(body).encode()
            )
        return client.generic(
            self.method,
            self.path,
            body,
            self.content_type,
            secure=self.secure,
            headers=self.headers,
            QUERY_STRING=query,
        )


def quoted(text: str) -> str:
    """A lone surrogate becomes bytes that are not UTF-8."""
    return quote(text, safe="", errors="surrogatepass")


def whole(text: str) -> str:
    return text.encode(errors="replace").decode()


def encoded(pairs: Pairs) -> str:
    return urlencode(pairs, errors="surrogatepass")


class Names(HTMLParser):
    """The parameters in the forms and links of a page: their names, each with a value."""

    def __init__(self, page: HttpResponseBase) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.select = ""
        self.feed(getattr(page, "content", b"").decode(errors="replace"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "select":
            self.select = given.get("name", "")
        elif tag == "option":
            self.found.add((self.select, given.get("value", "")))
        elif "name" in given:
            self.found.add((given["name"], given.get("value", "")))
        for name in ("href", "action", "formaction"):
            self.found |= set(parse_qsl(urlsplit(given.get(name, "")).query))


# Values that have broken something somewhere. Hypothesis generates the others.
WILD = [
    "",
    " ",
    "\0",
    "(",
    "*",
    "'",
    "%",
    "0",
    "-1",
    "1",
    "10000",
    "1e999",
    "NaN",
    "9" * 19,
    "9" * 30,
    "9" * 4301,
    "x" * 300,
    "x" * 20_000,
    "a " * 5_000,
    "True",
    "null",
    "[]",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "0001-01-01T00:00:00+14:00~1",
    "9999-12-31T23:59:59-14:00~1",
    "\u202e",
    "\ud800",
    "..",
    "//example.org",
    "alice",
    "tasks",
    "auth",
    "in",
    "all",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
CONTENT_TYPES = [
    FORM,
    MULTIPART_CONTENT,
    "application/json",
    "multipart/form-data",
    "",
]
HEADERS = [
    "Accept",
    "Accept-Language",
    "Authorization",
    "Cookie",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "Origin",
    "Referer",
    "X-Forwarded-For",
    "X-Request-ID",
]
HEADER_VALUES = [
    "",
    "*",
    "x",
    "Bearer ..",
    "[",
    "a b",
    "null",
    "https://[",
    "1.2.3.4, ::1",
    'zone="\\000"',
    "zone=../..",
    'messages="\\000"; __Host-csrf=x',
    '__Host-session="12345678\\000"',
    '__Host-session="12345678\\377"',
]


def lookups() -> Iterator[str]:
    """Every name of a filter that Django might accept."""
    for model in admin.site._registry:  # noqa: SLF001  the only list of them
        for column in model._meta.get_fields():  # noqa: SLF001  documented
            yield column.name
            target = getattr(column, "target_field", column)
            for lookup in getattr(target, "get_lookups", dict)():
                yield f"{column.name}__{lookup}"
            for deeper in ("year__gte", "id__exact", "password__regex"):
                yield f"{column.name}__{deeper}"


class World:
    """A superuser, an object of each kind, and the names of all parameters of the pages."""

    forms: ClassVar[dict[str, Pairs]] = {}
    """The parameters of each page, by address. Read once, since the tests differ only in ids."""

    def __init__(self) -> None:
        root = User.objects.create_superuser("root", password="x")
        task = Task.objects.create(user_id="alice", title="Buy milk")
        group = Group.objects.create(name="support staff")
        client = Client()
        client.force_login(root)
        self.session = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.rows = [root, task, group, Session.objects.get()]
        self.ids = {
            "user": root.pk,
            "task": task.pk,
            "group": group.pk,
            "type": ContentType.objects.get_for_model(Task).pk,
        }
        if not self.forms:
            self.forms.update({address: self.sent_from(address) for address in ADDRESSES})
        self.pairs = sorted({pair for pairs in self.forms.values() for pair in pairs})
        self.names = sorted({name for name, _ in self.pairs} | set(lookups()))

    def sent_from(self, address: str) -> Pairs:
        """With and without a user, because some pages exist only for one user."""
        page = Request(address, parts=self.good(address), query=(("user_id", "alice"),))
        found = set[tuple[str, str]]()
        for each in (page, replace(page, query=())):
            with closing(each.sent_by(self.client())) as response:
                found |= Names(response).found
        return tuple(sorted(found))

    def restore(self) -> None:
        """Before each request. A transaction per test would hide that a page lacks one."""
        with transaction.atomic():
            for row in self.rows:
                row.save()

    def client(self) -> Client:
        client = Client(headers={"Authorization": f"Bearer {token_of('alice')}"})
        client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        return client

    def good(self, address: str) -> dict[str, str]:
        """Values for the parts of the address, of an object that exists."""
        kind = next((kind for kind in ("user", "group") if f"auth/{kind}/" in address), "task")
        known = {
            "user_id": "alice",
            "app_label": "tasks",
            "content_type_id": str(self.ids["type"]),
            "url": "nothing",
        }
        names = [part.split(">")[0] for part in address.split(PLACEHOLDER)[1:]]
        return {name: known.get(name, str(self.ids[kind])) for name in names}


@pytest.fixture
def world(transactional_db: None, settings: Any) -> World:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return World()


TEXT = st.sampled_from(WILD) | st.text(max_size=20)


def pairs_of(world: World) -> st.SearchStrategy[Pairs]:
    wild = st.tuples(st.sampled_from(world.names) | TEXT, TEXT)
    some = st.lists(st.sampled_from(world.pairs) | wild, max_size=6).map(tuple)
    return some | st.just((("x", "1"),) * 1001)


@st.composite
def requests(draw: st.DrawFn, address: str, world: World) -> Request:
    parts = world.good(address)
    for name in parts:
        if draw(st.integers(0, 3)) == 0:
            parts[name] = draw(TEXT)
    headers = draw(
        st.just({})
        | st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(HEADER_VALUES), max_size=2)
    )
    return Request(
        address,
        draw(st.sampled_from(METHODS)),
        parts,
        draw(pairs_of(world) | st.binary(max_size=20).map(quote)),
        draw(
            pairs_of(world)
            | pairs_of(world).map(lambda changed: world.forms[address] + changed)
            | st.binary(max_size=50)
            | st.just(b'{"title": "\\u0000"}')
        ),
        draw(st.sampled_from(CONTENT_TYPES)),
        headers,
        draw(st.booleans()) or draw(st.booleans()),
    )


LIST, USERS, GROUPS = (f"/admin/{model}/" for model in ("tasks/task", "auth/user", "auth/group"))
TOO_LONG = "9" * 4301
"""More digits than Python converts to a number."""

ONCE = [
    Request("/api/<user_id>/tasks", parts={"user_id": "alice"}, query=(("x", "1"),) * 1001),
    *(
        Request(address, query=((name, value),))
        for address in (LIST, f"{LIST}export.csv", USERS, GROUPS)
        for name, value in (
            ("title", "\0"),
            ("title__regex", "("),
            ("username__regex", "("),
            ("name__regex", "("),
            ("user_id__exact", "\0"),
            ("priority__exact", "\0"),
            ("id__range", "1"),
            ("created_at__year__gte", "10000"),
            ("date_joined__year__gte", "10000"),
            ("q", TOO_LONG),
            ("q", "a " * 17_000),
        )
    ),
    *(
        Request(address, "POST", body=(("action", action), ("_selected_action", row)))
        for address, action in (
            (LIST, "trash"),
            (USERS, "delete_selected"),
            (GROUPS, "delete_selected"),
        )
        for row in (TOO_LONG, "abc", "\0")
    ),
    Request(f"{LIST}act/", "POST", query=(("task", TOO_LONG),), body=(("action", "trash"),)),
    Request(f"{LIST}<object_id>/delete/", "POST", {"object_id": TOO_LONG}),
    Request(f"{LIST}<object_id>/history/", "POST"),
    Request("/admin/login/", headers={"Cookie": '__Host-session="12345678\\000"'}),
    Request("/admin/login/", headers={"Host": "["}, secure=False),
]
"""Each of these was a 500 once. Placeholders in a path stand for an object that exists."""


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_input_causes_a_server_error(address: str, world: World) -> None:
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=True,
    )
    @given(requests(address, world))
    def send(request: Request) -> None:
        note(ascii(request))
        world.restore()
        with closing(request.sent_by(world.client())) as response:
            assert response.status_code < 500

    for request in ONCE:
        if request.address == address:
            parts = {**world.good(address), **request.parts}
            send = example(replace(request, parts=parts))(send)
    send()


@pytest.mark.parametrize("charset", ["rot13", "idna", "hex", "utf-16", "nothing"])
@pytest.mark.parametrize(("path", "query"), [("/health", "q=%ff"), ("/redoc", "x=1&" * 1001)])
def test_the_charset_does_not_decode_the_query(charset: str, path: str, query: str) -> None:
    """Django would decode the query with it, and fail before anything could answer."""
    environ: dict[str, Any] = {"CONTENT_TYPE": f"text/plain; Charset={charset}"}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "testserver"}
    statuses = []

    b"".join(application(environ, lambda status, _: statuses.append(status)))

    assert statuses == ["200 OK"]
