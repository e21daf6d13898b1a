"""The lock of the commands, as another connection sees it."""

import pytest
from django.db import connection

from tasks.management.lock import take

pytestmark = pytest.mark.django_db(transaction=True)

HOLDER = """
    SELECT application_name, state, backend_xmin IS NULL
    FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory'
"""


def test_the_holder_is_visible_and_keeps_no_snapshot() -> None:
    """VACUUM, and CREATE INDEX CONCURRENTLY, would wait for a snapshot."""
    holder, other = connection.copy(), connection.copy()
    try:
        assert take(holder, 7, "migrate")
        assert not take(other, 7, "another")
        with connection.cursor() as cursor:
            cursor.execute(HOLDER)
            ((name, state, keeps_none),) = cursor.fetchall()
        holder.rollback()
        other.rollback()
        assert take(other, 7, "another")
    finally:
        holder.close()
        other.close()

    assert name.startswith("migrate, process ")
    assert (state, keeps_none) == ("idle in transaction", True)
