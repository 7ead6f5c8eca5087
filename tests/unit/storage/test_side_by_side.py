"""Calls that go on side by side: in order, within their bounds, and over when the block is."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.storage.side_by_side import MOST_BYTES, MOST_CALLS, WriteBehind, side_by_side


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Gauge:
    """Counts the calls under way, and what they hold."""

    def __init__(self) -> None:
        self.now = self.most = self.bytes = self.most_bytes = self.done = 0
        self._lock = threading.Lock()

    def call(self, answer: int, size: int = 0) -> Callable[[], int]:
        def run() -> int:
            with self._lock:
                self.now += 1
                self.bytes += size
                self.most = max(self.most, self.now)
                self.most_bytes = max(self.most_bytes, self.bytes)
            time.sleep(0.002)
            with self._lock:
                self.now -= 1
                self.bytes -= size
                self.done += 1
            return answer

        return run


def test_answers_come_in_order_from_several_at_once(threads: ThreadPoolExecutor) -> None:
    gauge = Gauge()
    calls = ((gauge.call(number), 10) for number in range(50))
    assert list(side_by_side(threads, calls)) == list(range(50))
    assert 1 < gauge.most <= MOST_CALLS


@pytest.mark.parametrize("size", [MOST_BYTES // 3, MOST_BYTES * 2])
def test_what_they_hold_is_bounded(threads: ThreadPoolExecutor, size: int) -> None:
    gauge = Gauge()
    list(side_by_side(threads, ((gauge.call(n, size), size) for n in range(12))))
    with WriteBehind(threads) as writes:
        for n in range(12):
            writes.begin(gauge.call(n, size), size)
    assert gauge.done == 24
    assert gauge.most_bytes <= max(size, MOST_BYTES)


def test_an_answer_that_fails_does_so_in_its_turn(threads: ThreadPoolExecutor) -> None:
    def fail() -> int:
        raise OSError("away")

    gauge = Gauge()
    answers = side_by_side(threads, [(gauge.call(1), 1), (fail, 1), (gauge.call(3), 1)])
    assert next(answers) == 1
    with pytest.raises(OSError, match="away"):
        next(answers)
    assert gauge.now == 0


def test_the_end_of_a_block_waits_and_says_what_failed(threads: ThreadPoolExecutor) -> None:
    def fail() -> None:
        time.sleep(0.01)
        raise OSError("away")

    gauge = Gauge()

    def block() -> None:
        with WriteBehind(threads) as writes:
            writes.begin(fail, 1)
            for n in range(5):
                writes.begin(gauge.call(n), 1)

    with pytest.raises(OSError, match="away"):
        block()
    assert gauge.now == 0


def test_an_error_of_the_block_leaves_nothing_under_way(threads: ThreadPoolExecutor) -> None:
    gauge = Gauge()

    def block() -> None:
        with WriteBehind(threads) as writes:
            for n in range(MOST_CALLS):
                writes.begin(gauge.call(n), 1)
            raise KeyError

    with pytest.raises(KeyError):
        block()
    assert gauge.now == 0
