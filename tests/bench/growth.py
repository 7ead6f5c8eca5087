"""What exports of annotations alone grow with: seconds, and the worker's memory at its peak, from a
thousand images to a million.

The seconds are those of the worker's process, so that what else the machine does changes little;
each size has a worker of its own, so that none inherits the memory of another.
"""

import statistics
from contextlib import ExitStack
from itertools import pairwise

from services.settings import Settings
from tests.bench.filled import fill
from tests.bench.rendering import export
from tests.bench.rows import Row, main
from tests.bench.subjects import Run, servers
from tests.stack import Production

#: Images, and exports of which the median counts.
SIZES = {1_000: 7, 10_000: 5, 100_000: 3, 1_000_000: 1}
QUICK_SIZES = {1_000: 3, 10_000: 1}
FORMATS = ("coco", "yolo")
#: Of cost for ten times the images; and of memory from the second size on.
MOST_COST = 10.5
MOST_MEMORY = 1.1
MIB = 2**20


def rows(quick: bool) -> list[Row]:
    """Cost and memory of each size, for a format of one document and one of a file an image."""
    sizes = QUICK_SIZES if quick else SIZES
    found: dict[str, dict[int, list[Run]]] = {name: {} for name in FORMATS}
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-growth", workers=1
            )
        )
        for count, times in sizes.items():
            fill(stack, f"of {count}", count)
            for name, runs in found.items():
                stack.workers[0].restart()
                # What is loaded at first use.
                export(stack, f"of {next(iter(sizes))}", name, next(iter(sizes)))
                runs[count] = [export(stack, f"of {count}", name, count) for _ in range(times)]
    return [row for name, runs in found.items() for row in _rows(name, runs)]


def _rows(name: str, runs: dict[int, list[Run]]) -> list[Row]:
    cost = {n: statistics.median(run.cpu_seconds for run in found) for n, found in runs.items()}
    peak = {n: max(run.peak_bytes for run in found) for n, found in runs.items()}
    budget = int(Settings.model_fields["worker_memory"].default)
    rows = [
        Row(
            f"annotations alone, {name}: worker's seconds for {more:,} images / for {few:,}",
            f"{cost[more] / cost[few]:.1f} ({cost[few]:.2f} s, {cost[more]:.2f} s)",
            f"<= {MOST_COST}",
            cost[more] / cost[few] <= MOST_COST,
        )
        for few, more in pairwise(cost)
    ]
    most = max(peak.values())
    rows.append(
        Row(
            f"annotations alone, {name}: peak memory of the worker, "
            + " / ".join(f"{n:,}" for n in peak),
            " / ".join(f"{size / MIB:.0f}" for size in peak.values()) + " MiB",
            f"<= {budget // MIB} MiB",
            most <= budget,
        )
    )
    large = [size for n, size in peak.items() if n >= 10_000]
    rows.append(
        Row(
            f"annotations alone, {name}: most memory of 10,000 images and more / least",
            f"{max(large) / min(large):.2f}",
            f"<= {MOST_MEMORY}",
            max(large) / min(large) <= MOST_MEMORY,
        )
    )
    return rows


if __name__ == "__main__":
    main("growth", __doc__, rows)
