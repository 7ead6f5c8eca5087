"""Runs the cases of a target in processes that are bounded in memory and time."""

import multiprocessing
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz import archives, importers, pictures
from tests.fuzz.chance import chance

TARGETS: dict[str, Callable[[Random], Any]] = {
    "archives": archives.fuzz,
    "importers": importers.fuzz,
    "pictures": pictures.fuzz,
}
#: What a case must not do, so that a test sees it found.
_PLANTED: dict[str, Callable[[Random], Any]] = {
    "planted raises": lambda dice: dict[str, int]()["planted"],
    "planted hangs": lambda dice: time.sleep(3600),
    "planted grows": lambda dice: bytearray(4 * MEMORY),
}
#: Address space of a process beyond what it has when it begins, and seconds of a case.
MEMORY = 1024 * 2**20
SECONDS = 30
#: Findings of one process; more of them are mostly the same one.
_MOST = 20


@dataclass(frozen=True)
class Finding:
    """A case that ended in no way that it may."""

    target: str
    number: int
    text: str


@dataclass
class Outcome:
    """What a run found, its slowest case in seconds, and the memory of its largest process in
    bytes."""

    findings: list[Finding] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0


class TookTooLong(BaseException):
    """A case hangs. No handler of the code that is tried may take it for its own."""


def run(
    target: str, seed: int, numbers: Sequence[int], processes: int = 1, seconds: int = SECONDS
) -> Outcome:
    """Runs the cases of these numbers.

    Args:
        target: one of `TARGETS`.
        seed: with a number it makes a case.
        numbers: of the cases.
        processes: how many to run at once.
        seconds: that a case may take.
    """
    parts = [numbers[start::processes] for start in range(min(processes, len(numbers)))]
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(parts), maxtasksperchild=1) as pool:
        found = pool.starmap(_run, [(target, seed, part, seconds) for part in parts], chunksize=1)
    return Outcome(
        [finding for each in found for finding in each.findings],
        max(each.slowest for each in found),
        max(each.memory for each in found),
    )


def _run(target: str, seed: int, numbers: Sequence[int], seconds: int) -> Outcome:
    fuzz, outcome = {**TARGETS, **_PLANTED}[target], Outcome()
    if target in TARGETS:
        # What is loaded and kept for all cases comes first.
        fuzz(chance(0, 0))
    with open("/proc/self/statm", encoding="ascii") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    signal.signal(signal.SIGALRM, _stop)
    for number in numbers:
        started = time.monotonic()
        signal.alarm(seconds)
        try:
            fuzz(chance(seed, number))
        except BaseException:
            outcome.findings.append(Finding(target, number, traceback.format_exc()))
            if len(outcome.findings) == _MOST:
                break
        finally:
            signal.alarm(0)
        outcome.slowest = max(outcome.slowest, time.monotonic() - started)
    outcome.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return outcome


def _stop(signum: int, frame: Any) -> None:
    raise TookTooLong
