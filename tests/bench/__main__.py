"""`make bench`: one export beside a plain script, on MinIO and on the embedded store; and one
REST call beside the same gRPC call.

Both exports read the same images from the same store, in turns, so that what else the machine does
falls on both alike. Cartouche also writes annotations and a manifest, and checks the stored
archive before it says that the export is completed; the plain script does not.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import latency
from tests.bench.drawing import draw, machine
from tests.bench.subjects import Run, Subject, subjects

IMAGES = 2_000
ROUNDS = 3
QUICK_IMAGES = 500
QUICK_ROUNDS = 1
CALLS = 2_000
QUICK_CALLS = 500


def main() -> None:
    """Draws the images, measures, prints."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_IMAGES} images, {QUICK_ROUNDS} round, {QUICK_CALLS} calls",
    )
    quick = arguments.parse_args().quick
    images, rounds = (QUICK_IMAGES, QUICK_ROUNDS) if quick else (IMAGES, ROUNDS)
    calls = QUICK_CALLS if quick else CALLS
    with tempfile.TemporaryDirectory(prefix="cartouche-bench-") as folder:
        files = draw(Path(folder), images)
        size = sum(file.stat().st_size for file in files)
        print(f"{images:,} images of {size / images / 1000:.0f} KB, {rounds} rounds, medians")
        print(machine(), flush=True)
        with subjects(files) as found:
            for line in table(found, rounds):
                print(line, flush=True)
            measured = {subject.title: subject.latencies(calls) for subject in found}
            for line in latency.table(measured):
                print(line, flush=True)


def table(found: list[Subject], rounds: int) -> list[str]:
    """Measures every subject in turns; the rows of a table in Markdown."""
    jobs: list[tuple[str, str, Callable[[], Run]]] = []
    for subject in found:
        jobs.append((subject.title, "Cartouche", subject.cartouche))
        jobs.append((subject.title, "plain script", subject.plain))
    runs: dict[tuple[str, str], list[Run]] = {(title, what): [] for title, what, _ in jobs}
    for number in range(rounds):
        for title, what, job in jobs:
            print(f"round {number + 1}: {what} on {title}", file=sys.stderr, flush=True)
            runs[title, what].append(job())
    lines = [
        "",
        "| on | what | seconds | CPU seconds | peak MiB | plain / Cartouche, seconds |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for title, what, _ in jobs:
        mine, plain = runs[title, what], runs[title, "plain script"]
        # Of neighbours in time.
        ratio = statistics.median(p.seconds / m.seconds for p, m in zip(plain, mine, strict=True))
        lines.append(
            f"| {title} | {what} "
            f"| {statistics.median(run.seconds for run in mine):.2f} "
            f"| {statistics.median(run.cpu_seconds for run in mine):.2f} "
            f"| {statistics.median(run.peak_bytes for run in mine) / 2**20:.0f} "
            f"| {ratio:.2f} |"
        )
    return lines


if __name__ == "__main__":
    main()
