"""The memory that the steps of a worker share."""

import threading
import time
from collections.abc import Callable

import pytest

from services.catalog.limits import MAX_DOCUMENT
from services.settings import SettingsError
from workers.budget import GEOMETRY, LARGE, MIB, PARSED, STEP, Budget, needs, room_of
from workers.memory import beside


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("container", [150, 256, 300, 384, 512, 2048])
def test_a_process_alone_has_less_than_the_container(container: int) -> None:
    assert 0 < beside(container * MIB, 120 * MIB) <= (container - 120) * MIB


def test_steps_never_hold_more_than_there_is() -> None:
    budget = Budget(10)
    lock = threading.Lock()
    held, most = 0, 0

    def step(size: int) -> None:
        nonlocal held, most
        with budget.share(1, lambda: None) as share:
            share.resize(size, lambda: None)
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= size

    threads = [threading.Thread(target=step, args=(1 + n % 10,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert held == 0
    assert 8 <= most <= 10


def test_a_large_share_is_not_overtaken() -> None:
    budget = Budget(10)
    order: list[str] = []

    def step(name: str, size: int) -> None:
        with budget.share(size, lambda: None):
            order.append(name)

    with budget.share(4, lambda: None):
        large = threading.Thread(target=step, args=("large", 9))
        large.start()
        wait_until(lambda: len(budget._waiting) == 1)
        small = threading.Thread(target=step, args=("small", 1))
        small.start()
        time.sleep(0.05)
        assert order == []
    large.join(10)
    small.join(10)
    assert order == ["large", "small"]


def test_what_is_more_than_all_of_it_waits_to_be_alone() -> None:
    budget = Budget(10)
    alone = threading.Event()

    def step() -> None:
        with budget.share(25, lambda: None):
            alone.set()

    with budget.share(1, lambda: None):
        thread = threading.Thread(target=step)
        thread.start()
        assert not alone.wait(0.1)
    assert alone.wait(10)
    thread.join(10)


def test_waiting_is_looked_at_and_ends() -> None:
    class Unwanted(Exception):
        pass

    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Unwanted

    budget = Budget(10)
    with budget.share(10, lambda: None):
        with pytest.raises(Unwanted), budget.share(1, check):
            raise AssertionError
        assert looks == 2
    # Nobody waits behind it.
    with budget.share(10, check):
        assert looks == 2


def test_a_budget_for_no_step_says_what_to_give() -> None:
    used = 100 * MIB
    with pytest.raises(SettingsError, match="CARTOUCHE_WORKER_MEMORY is 120 MiB") as refused:
        room_of(120 * MIB, used)
    advised = int(str(refused.value).partition("(")[2].partition(")")[0])
    assert room_of(advised, used) >= needs(MAX_DOCUMENT)


def test_a_budget_for_small_steps_alone_is_said(caplog: pytest.LogCaptureFixture) -> None:
    used = 100 * MIB
    enough = used + GEOMETRY + needs(MAX_DOCUMENT)
    assert room_of(enough, used) == needs(MAX_DOCUMENT)
    assert not caplog.records
    assert room_of(enough - 1, used) == needs(MAX_DOCUMENT) - 1
    assert "too little for the largest annotations" in caplog.text
    with pytest.raises(SettingsError):
        room_of(used + GEOMETRY + STEP - 1, used)


def test_only_large_annotations_need_more() -> None:
    assert needs(0) == needs(LARGE) == STEP
    assert needs(LARGE + 1) == STEP + PARSED * (LARGE + 1)
