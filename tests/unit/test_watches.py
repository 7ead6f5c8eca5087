"""What a probe is told when something hangs, dies or comes back."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from services.process import health
from services.process.health import Health, LoopBeat, Phase, Watch, watching
from services.process.metrics_port import metrics_port
from services.settings import Settings


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_watch_tells_what_it_saw_last() -> None:
    wrong = "the store is away"

    def look() -> None:
        if wrong:
            raise OSError(wrong)

    watch = Watch("store", look, interval=0.01)
    assert watch.fault() == "was not looked at yet"
    watch.start()
    try:
        until(lambda: watch.fault() == "the store is away")
        wrong = ""
        until(lambda: watch.fault() is None)
    finally:
        watch.stop()


def test_a_look_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.1)
    hangs, goes_on = threading.Event(), threading.Event()

    def look() -> None:
        if hangs.is_set():
            goes_on.wait(10)

    watch = Watch("database", look, interval=0.01)
    watch.start()
    try:
        until(lambda: watch.fault() is None)
        hangs.set()
        until(lambda: (watch.fault() or "").startswith("has not answered for"))
        hangs.clear()
        goes_on.set()
        until(lambda: watch.fault() is None)
    finally:
        watch.stop()


def test_a_loop_that_stands_still_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoopBeat, "LONGEST", 0.05)
    beat = LoopBeat()
    told: list[str | None] = []

    async def main() -> None:
        async with beat.beating():
            await asyncio.sleep(0)
            told.append(beat.fault())
            # What nobody may do in a loop.
            time.sleep(0.1)
            told.append(beat.fault())

    asyncio.run(main())
    assert told[0] is None
    assert (told[1] or "").startswith("stands still")
    # Its end is no fault.
    assert beat.fault() is None


def test_a_process_is_ready_only_while_it_serves_and_lives() -> None:
    phase, dead = Phase(), "a thread has ended"
    fault: str | None = None
    whole = Health({"looks": lambda: fault}, {"process": phase.fault})
    assert whole.ready() == {"process": "is starting"}
    phase.begin()
    assert whole.ready() == {}
    fault = dead
    assert (whole.alive(), whole.ready()) == ({"looks": dead}, {"looks": dead})
    fault = None
    phase.end()
    assert (whole.alive(), whole.ready()) == ({}, {"process": "is shutting down"})


def test_without_a_port_nothing_is_watched() -> None:
    before = threading.active_count()
    with metrics_port(Settings(), {"store": lambda: None}, liveness={}, readiness={}):
        assert threading.active_count() == before
    with watching({"store": lambda: None}):
        assert threading.active_count() == before + 1
