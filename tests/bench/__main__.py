"""`make bench`: measures everything that has a goal, each beside its peer in one run, and writes
the figures into docs/performance.md.

Takes about an hour on 2 cores, and wants a machine that does nothing else. Topics by name measure
those alone; `--quick` measures less of everything, and writes nothing.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.bench import (
    again,
    asking,
    building,
    distance,
    embedded,
    footprint,
    growth,
    importing,
    peers,
    rendering,
    watching,
)
from tests.bench.drawing import machine
from tests.bench.report import draw_plots, write
from tests.bench.rows import Row, table


def _peers(quick: bool) -> list[Row]:
    series = peers.measure(peers.SIZES[:1] if quick else peers.SIZES, rounds=1 if quick else 3)
    if not quick:
        draw_plots(series)
    return peers.compared(series)


#: In the order of the page.
TOPICS: dict[str, Callable[[bool], list[Row]]] = {
    "building": building.rows,
    "again": again.rows,
    "importing": importing.rows,
    "rendering": rendering.rows,
    "watching": watching.rows,
    "distance": distance.rows,
    "growth": growth.rows,
    "asking": asking.rows,
    "embedded": embedded.rows,
    "footprint": footprint.rows,
    "peers": _peers,
}


def main() -> int:
    """Measures, prints, writes; 1 where something could not be measured."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of: {', '.join(TOPICS)}")
    arguments.add_argument("--quick", action="store_true", help="less of everything")
    options = arguments.parse_args()
    if unknown := set(options.topics) - set(TOPICS):
        arguments.error(f"unknown: {', '.join(sorted(unknown))}")
    print(machine(), flush=True)
    failed: list[str] = []
    for topic in options.topics or TOPICS:
        started = time.perf_counter()
        try:
            rows = TOPICS[topic](options.quick)
        except Exception as error:  # The other topics are worth their minutes all the same.
            print(f"{topic}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(topic)
            continue
        print(f"\n{topic}, {time.perf_counter() - started:.0f} s\n")
        print("\n".join(table(rows)), flush=True)
        if not options.quick:
            write(topic, rows, datetime.now(UTC).date(), machine())
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
