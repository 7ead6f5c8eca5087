"""`make fuzz-ports`: so many random cases of every attack, on SQLite and on PostgreSQL.

A failing case names its seed, which `SEED=` runs again.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.conformance.environments import SCHEMATHESIS
from tests.conformance.openapi import examine
from tests.fuzz.attacks import Target, attacks, replay
from tests.needs import object_store_class, postgresql_class, running
from tests.parts import RabbitMQ
from tests.stack import Embedded, Production, Stack

#: Bytes of resident memory by which a process may have grown when a run is over, and at its worst
#: moment.
GROWTH = 128 * 2**20
PEAK = 256 * 2**20
#: Cases of each attack before memory is looked at: what is loaded and kept for all comes first.
WARM_UP = 5
#: The attack that another program makes.
DOCUMENT = "REST by its document"
#: Examples of one run of it for each operation; it makes some forty requests of each.
_EXAMPLES = 40


class Memory:
    """What the processes of a stack have taken since this was made."""

    def __init__(self, stack: Stack) -> None:
        self._processes = stack.processes
        self._before = {name: process.memory() for name, process in self._processes.items()}
        #: Bytes that each had written before: what it wrote for others is theirs to look at.
        self._written = {n: process.err.stat().st_size for n, process in self._processes.items()}
        for process in self._processes.values():
            process.forget_peak()

    def lines(self) -> Iterator[str]:
        """What each of them has now, and had at most.

        Raises:
            AssertionError: one has grown by more than it may, ended, or wrote a traceback.
        """
        for name, process in self._processes.items():
            assert process.running, process.log()
            before, now, peak = self._before[name], process.memory(), process.peak_memory()
            written = process.err.read_bytes()[self._written[name] :].decode(errors="replace")
            before_it, found, rest = written.partition("Traceback")
            assert not found, f"{name}: {before_it[-500:]}{found}{rest[:2_000]}"
            line = f"{name:10} {_mib(before)} before, {_mib(now)} after, {_mib(peak)} at most"
            assert now - before < GROWTH, line
            assert peak - before < PEAK, line
            yield line


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def run(stack: Stack, count: int, seed: str, names: Sequence[str] = ()) -> Iterator[str]:
    """Makes `count` cases of each attack, or of those that are named; a line for each.

    Raises:
        AssertionError: a case ended as none may; its seed is in the message. Or a process took
            more memory than it may.
    """
    target = Target.on(stack)
    chosen = {name: attack for name, attack in attacks().items() if not names or name in names}
    for name, attack in chosen.items():
        for number in range(WARM_UP):
            replay(target, attack, f"warm-up-{name}-{number}")
    memory = Memory(stack)
    for name, attack in chosen.items():
        started = time.monotonic()
        for number in range(count):
            case = f"{seed}-{name}-{number}"
            try:
                replay(target, attack, case)
            except Exception as error:
                raise AssertionError(f"seed {case!r}: {error!r}") from error
        yield _line(stack, name, count, started)
    if DOCUMENT in names:
        yield from _by_document(stack, count, seed)
    yield from (f"{stack.name:12} {line}" for line in memory.lines())


def _by_document(stack: Stack, count: int, seed: str) -> Iterator[str]:
    """Requests that schemathesis makes up, until there are as many."""
    program = str(SCHEMATHESIS.program("schemathesis"))
    key, made, started = stack.key("owner", "openapi"), 0, time.monotonic()
    number = int.from_bytes(seed.encode()[-6:], "big")
    while made < count:
        with tempfile.TemporaryDirectory() as folder:
            options = (f"--seed={number}",)
            found = examine(program, stack, key, _EXAMPLES, Path(folder), *options)
        assert not found.found, f"seed {number}: {found.found}\n{found.said}"
        assert found.cases, found.said
        made, number = made + found.cases, number + 1
    yield _line(stack, DOCUMENT, made, started)


def _line(stack: Stack, name: str, count: int, started: float) -> str:
    return f"{stack.name:12} {name:28} {count:7} cases {time.monotonic() - started:6.1f} s"


@contextmanager
def on_postgresql() -> Iterator[Stack]:
    """Each part a process of its own, on PostgreSQL."""
    with (
        contextmanager(running)(postgresql_class()) as postgresql,
        contextmanager(running)(RabbitMQ) as rabbitmq,
        contextmanager(running)(object_store_class()) as store,
        Production(postgresql.create_database(), rabbitmq.url, store) as production,
    ):
        yield production


STACKS: dict[str, Callable[[], AbstractContextManager[Stack]]] = {
    "sqlite": Embedded,
    "postgresql": on_postgresql,
}


def main() -> None:
    """The command."""
    known = [*attacks(), DOCUMENT]
    parser = argparse.ArgumentParser(prog="make fuzz-ports", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="of each attack")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--on", nargs="*", choices=[*STACKS], default=[*STACKS])
    parser.add_argument("attacks", nargs="*", help=f"of {', '.join(known)}")
    given = parser.parse_args()
    if unknown := set(given.attacks).difference(known):
        parser.error(f"there is no attack {', '.join(unknown)}; there are {', '.join(known)}")
    print(f"seed {given.seed}", flush=True)
    for name in given.on:
        with STACKS[name]() as stack:
            for line in run(stack, given.cases, given.seed, given.attacks or known):
                print(line, flush=True)


if __name__ == "__main__":
    main()
