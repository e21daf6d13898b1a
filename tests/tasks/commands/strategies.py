"""Due dates and tags for tests with random tasks."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st


def _valid(tags: list[str]) -> list[str]:
    by_fold = {tag.casefold(): tag for tag in (tag.strip()[:50].strip() for tag in tags)}
    return [tag for tag in by_fold.values() if tag][:20]


TIMES = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
DUE_DATES: st.SearchStrategy[Any] = st.none() | st.dates() | TIMES
_FORMULAS = st.builds("".join, st.tuples(st.text("'=+-@ \uff1d", min_size=1), st.text("'=a")))
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","), min_size=1)
TAGS = st.lists(_TEXT | _FORMULAS, max_size=25).map(_valid)
