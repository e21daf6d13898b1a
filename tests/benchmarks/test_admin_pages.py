"""Runs the benchmark of the admin once, on the smallest possible table."""

from collections.abc import Iterator

import pytest

from tests.benchmarks import admin_pages
from tests.benchmarks.database import Database
from tests.benchmarks.issuer import Issuer
from tests.commands import execute


@pytest.fixture(autouse=True)
def _without_users(transactional_db: None) -> Iterator[None]:
    yield
    execute('DROP TABLE IF EXISTS "user"')


def test_every_page_is_timed_and_every_row_exported(database: Database, issuer: Issuer) -> None:
    admin_pages.fill(database, tasks=2000, users=100)

    pages, exports = admin_pages.measure(database, issuer, requests=1)

    assert {"list", "search: rare word", "change", "history"} <= {page.name for page in pages}
    assert min(page.median for page in pages) > 0
    assert [(export.name, export.rows) for export in exports] == [("csv", 2000), ("jsonl", 2000)]
    table = admin_pages.table(pages, exports)
    assert all(page.name in table for page in pages)
