"""A replica answers reads of clients that allow it, and still shows a client its own writes.

A write is followed, in the same round trip, by the question where the log of PostgreSQL ends. This
is asked after the commit, because the commit itself is in the log. The position, together with the
timeline of the log, is the bookmark in the answer. A read with a bookmark is preceded on the
replica, in the same round trip, by the question whether the replica has replayed the log up to
there. This is a separate statement, because a statement sees what was replayed when it began: asked
within the read, the replica could have the position by then, but the read would not see it.

Timelines count because a failover begins a new one. A replica that had more of the log than the
server that became the primary has positions of the old timeline, which mean something else there.

The primary answers whenever the replica does not, and still in time. A thread checks the replica
every second: one that is away or too far behind gets no reads.
"""

import math
from collections import deque
from collections.abc import Sequence
from threading import Lock, Thread, local
from time import perf_counter, sleep
from typing import Literal

import structlog
from django.db import Error

from config.server import metrics, pool
from config.server.connection import AnswerLost, Connection, Row
from config.server.pool import Pool

ANSWER_TIMEOUT = 1.0
"""Seconds for the answer of the replica. The primary then has the rest of the request's time."""
CHECK_INTERVAL = 1.0
"""Seconds between two checks."""
MAX_LAG = 5.0
"""Seconds that the replica may be behind."""
PAUSE = 5.0
"""Seconds without reads after an answer of the replica was lost."""

ANYTHING = "*"
"""Instead of a bookmark: the client does not wait for a write."""

LOG_END = b"SELECT pg_walfile_name(position), position FROM pg_current_wal_insert_lsn() AS position"
HAS_REPLAYED = (
    b"SELECT pg_is_in_recovery() AND timeline_id >= $1::bigint AND pg_last_wal_replay_lsn() >= $2 "
    # In any other isolation level, the read would see no more than this statement.
    b"AND current_setting('transaction_isolation') = 'read committed' FROM pg_control_checkpoint()"
)
PRIMARY_STATE = (
    b"SELECT system_identifier, pg_walfile_name(position), position - '0/0' "
    b"FROM pg_control_system(), pg_current_wal_insert_lsn() AS position"
)
REPLICA_STATE = (
    b"SELECT system_identifier, timeline_id, "
    b"CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0' END "
    b"FROM pg_control_system(), pg_control_checkpoint()"
)

Problem = Literal["not_checked", "not_reached", "no_answer", "not_a_replica", "behind"]

log = structlog.get_logger()


class Written(local):
    """The bookmark of the last write of this thread."""

    bookmark: str | None = None


written = Written()


class Installed:
    """The connections of this process, if it has a replica."""

    connections: "PrimaryAndReplica | None" = None


installed = Installed()


def install(primary: Pool) -> "PrimaryAndReplica":
    """With as many connections to the replica as to the primary, beside them."""
    replica = Pool("replica", primary.size, report=lambda *_: None)
    installed.connections = PrimaryAndReplica(primary, replica)
    return installed.connections


def bookmark_of(log_end: Row) -> str:
    """In hexadecimal digits of a fixed number: of two texts, the greater one is the later one."""
    file, position = (bytes(value or b"").decode() for value in log_end)
    high, low = position.split("/")
    return f"{file[:8]}{high:>08}{low:>08}"


def _place(bookmark: str) -> tuple[bytes, bytes]:
    """The timeline and the position of a bookmark, for PostgreSQL."""
    if bookmark == ANYTHING:
        return b"0", b"0/0"
    return b"%d" % int(bookmark[:8], 16), f"{bookmark[8:16]}/{bookmark[16:]}".encode()


class PrimaryAndReplica:
    """What the operations call, instead of the pool of the primary.

    problem: why the replica gets no reads; None if it gets them.
    """

    def __init__(self, primary: Pool, replica: Pool) -> None:
        self.problem: Problem | None = "not_checked"
        self._primary = primary
        self._replica = replica
        self._checking: Connection | None = None
        self._watcher: Thread | None = None
        self._lock = Lock()
        self._resume_at = 0.0
        self._positions: deque[tuple[float, int]] = deque(maxlen=60)
        """Where the log of the primary ended, and when."""

    def call(self, statement: bytes, values: Sequence[bytes]) -> Row:
        return self._primary.call(statement, values)

    def write(self, statement: bytes, values: Sequence[bytes]) -> Row:
        """Makes a bookmark even if the replica has a problem, because it may be solved later."""
        statements = [(statement, values), (LOG_END, ())]
        row, log_end = self._primary.pipeline(statements, commits_each=True)
        # If a server withholds the end of its log, the checks fail too, and no replica is used.
        written.bookmark = None if isinstance(log_end, Exception) else bookmark_of(log_end)
        return row  # type: ignore[return-value]  # an error of the first statement is raised

    def read(self, statement: bytes, values: Sequence[bytes], bookmark: str) -> Row:
        self.watch()
        deadline = perf_counter() + pool.CONNECTION_TIMEOUT
        row = None if self.problem else self._ask_replica(statement, values, bookmark)
        metrics.replica_read("primary" if row is None else "replica")
        return self._primary.call(statement, values, deadline) if row is None else row

    def _ask_replica(self, statement: bytes, values: Sequence[bytes], bookmark: str) -> Row | None:
        """None if it does not have this bookmark yet, or does not answer.

        Waits for no connection. If none is idle, one is opened for later reads.
        """
        statements = [(HAS_REPLAYED, _place(bookmark)), (statement, values)]
        try:
            has_replayed, row = self._replica.pipeline(
                statements, commits_each=False, timeout=ANSWER_TIMEOUT, deadline=0.0
            )
        except AnswerLost:
            self._resume_at = perf_counter() + PAUSE
            self._report("no_answer")
            return None
        except Error:
            return None
        return row if has_replayed == [b"t"] and not isinstance(row, Exception) else None

    def watch(self) -> None:
        """Starts the thread. Not at the start of the process, which is forked later."""
        if self._watcher is None:
            with self._lock:
                if self._watcher is None:
                    self._watcher = Thread(target=self._watch, name="replica", daemon=True)
                    self._watcher.start()

    def _watch(self) -> None:
        while True:
            self.check()
            sleep(CHECK_INTERVAL)

    def check(self) -> None:
        try:
            problem = self._check()
        except Exception as error:  # noqa: BLE001  whatever it is, the replica cannot be relied on
            self._checking = None
            problem = "no_answer" if isinstance(error, AnswerLost) else "not_reached"
        if problem or perf_counter() >= self._resume_at:
            self._report(problem)

    def _check(self) -> Problem | None:
        """Asks the primary first, so that a replica that is not behind has at least its position.

        A primary that does not answer has no new position, so the replica may be used.
        """
        primary = self._primary_state()
        if self._checking is None or self._checking.is_stale:
            self._checking = self._replica.connect(ANSWER_TIMEOUT)
        state = self._checking.call(REPLICA_STATE, (), ANSWER_TIMEOUT)
        identifier, timeline, replayed = (int(value or -1) for value in state)
        if replayed < 0 or (primary and primary[0] != identifier):
            return "not_a_replica"
        if primary and timeline < primary[1]:
            return "behind"
        lag = self.lag(replayed, perf_counter())
        metrics.replica_lag(lag)
        if lag <= MAX_LAG:
            return None
        # One position alone does not tell how long ago the log ended where the replica is now.
        return self.problem if len(self._positions) < 2 else "behind"  # noqa: PLR2004

    def _primary_state(self) -> tuple[int, int] | None:
        """Its identifier and timeline, which must be those of the replica."""
        try:
            identifier, file, position = self._primary.call(PRIMARY_STATE, ())
        except Error:
            return None
        self._positions.append((perf_counter(), int(position or 0)))
        return int(identifier or 0), int((file or b"0")[:8], 16)

    def lag(self, replayed: int, now: float) -> float:
        """Seconds that the replica is behind at most.

        Positions are compared, and not the times of commits: in an idle database, the last commit
        is old although the replica has it.
        """
        for time, position in reversed(self._positions):
            if position <= replayed:
                is_last = (time, position) == self._positions[-1]
                return 0.0 if is_last else now - time
        return math.inf

    def _report(self, problem: Problem | None) -> None:
        with self._lock:
            before, self.problem = self.problem, problem
        metrics.replica_problem(problem is not None)
        if problem is None and before is not None:
            log.info("replica gets reads")
        elif problem not in (before, "not_checked"):
            log.warning("replica gets no reads", reason=problem)
