"""How many run at once, how many wait, and what happens to the others."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from time import monotonic

import pytest

from tasks.limits import ConcurrencyLimit, Unavailable


class Refused(Unavailable):
    pass


def test_above_the_limits_of_running_and_waiting_the_refusal_is_immediate() -> None:
    limit = ConcurrencyLimit(2, waiting=3, seconds=10)
    running, end = Barrier(3), Event()
    runs = 0

    def work(number: int) -> str:
        nonlocal runs
        try:
            with limit.slot(Refused):
                runs += 1
                if number < 2:
                    running.wait()
                    end.wait(10)
                return "done"
        except Refused:
            return "refused"

    with ThreadPoolExecutor(10) as pool:
        first = [pool.submit(work, number) for number in range(2)]
        running.wait()
        others = [pool.submit(work, number) for number in range(2, 10)]
        while sum(other.done() for other in others) < 5:
            pass
        assert runs == 2
        end.set()

    assert [each.result() for each in first] == ["done"] * 2
    assert sorted(each.result() for each in others) == ["done"] * 3 + ["refused"] * 5


def test_a_wait_that_times_out_is_refused_and_frees_its_place() -> None:
    limit = ConcurrencyLimit(1, waiting=1, seconds=0.2)
    with limit.slot(Refused), ThreadPoolExecutor(1) as pool:
        start = monotonic()
        with pytest.raises(Refused):
            pool.submit(limit.slot(Refused).__enter__).result()
        assert 0.2 <= monotonic() - start < 2

    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit.slot(Refused):
            raise ZeroDivisionError
