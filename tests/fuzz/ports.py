"""`make fuzz-ports`: so many random cases of every attack, on SQLite and on PostgreSQL.

A failing case names its seed, which `SEED=` runs again.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fuzz.attacks import Target, attacks, replay
from tests.needs import object_store_class, postgresql_class, running
from tests.parts import RabbitMQ
from tests.stack import Embedded, Production, Stack

#: Bytes by which a process may grow.
GROWTH = 400 * 1024 * 1024


def run(stack: Stack, count: int, seed: str, names: list[str] | None = None) -> Iterator[str]:
    """Makes `count` cases of each attack; a line for each.

    Raises:
        AssertionError: a case ended as none may; its seed is in the message.
    """
    target = Target.on(stack)
    before = {name: process.memory() for name, process in stack.processes.items()}
    for name, attack in attacks().items():
        if names and name not in names:
            continue
        started = time.monotonic()
        for number in range(count):
            case = f"{seed}-{name}-{number}"
            try:
                replay(target, attack, case)
            except Exception as error:
                raise AssertionError(f"seed {case!r}: {error!r}") from error
        yield f"{stack.name:12} {name:28} {count:7} cases {time.monotonic() - started:6.1f} s"
    for name, process in stack.processes.items():
        assert process.running, process.log()
        grown = process.memory() - before[name]
        assert grown < GROWTH, f"{name} has grown by {grown:,} bytes"
        written = process.err.read_text(errors="replace")
        assert "Traceback" not in written, f"{name} wrote a traceback: {process.err}"
        yield f"{stack.name:12} {name} has grown by {grown / 2**20:.0f} MiB"


@contextmanager
def stacks() -> Iterator[list[Stack]]:
    """One on SQLite, and one on PostgreSQL."""
    with (
        contextmanager(running)(postgresql_class()) as postgresql,
        contextmanager(running)(RabbitMQ) as rabbitmq,
        contextmanager(running)(object_store_class()) as store,
        Embedded() as embedded,
        Production(postgresql.create_database(), rabbitmq.url, store) as production,
    ):
        yield [embedded, production]


def main() -> None:
    """The command."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = sys.argv[2] if len(sys.argv) > 2 else str(time.time_ns())
    print(f"seed {seed}", flush=True)
    with stacks() as both:
        for stack in both:
            for line in run(stack, count, seed):
                print(line, flush=True)


if __name__ == "__main__":
    main()
