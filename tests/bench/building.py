"""An export with images that is built from the first byte to the last, beside what no export can
be faster than, a plain script and `rclone archive create`.

Each reads the same images from the same store and puts one object into it, in turns. The seconds of
Cartouche are those of the record, from the creation of the export until it is completed: it renders
annotations and a manifest as well, and checks what it stored.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.drawing import draw
from tests.bench.rows import Row, main
from tests.bench.subjects import Run, subjects

GOAL = 1.15


def rows(quick: bool) -> list[Row]:
    """Of 2,000 images, or 500."""
    images, rounds = (500, 3) if quick else (2_000, 7)
    with tempfile.TemporaryDirectory(prefix="cartouche-bench-") as folder:
        files = draw(Path(folder), images)
        with subjects(files, embedded=False) as (subject,):
            jobs: dict[str, Callable[[], Run]] = {
                "floor": subject.floor,
                "Cartouche": subject.cartouche,
                "plain script": subject.plain,
                "rclone archive create": subject.rclone,
            }
            subject.cartouche()
            runs: dict[str, list[Run]] = {name: [] for name in jobs}
            for _ in range(rounds):
                for name, job in jobs.items():
                    runs[name].append(job())
        what = f"export with images, {images:,} x 98 KB, {subject.title}"
    return [_row(what, name, taken, runs["floor"]) for name, taken in runs.items()]


def _row(what: str, name: str, taken: list[Run], floors: list[Run]) -> Row:
    # Of neighbours in time.
    ratio = statistics.median(a.seconds / b.seconds for a, b in zip(taken, floors, strict=True))
    figure = (
        f"{ratio:.2f} x ({statistics.median(run.seconds for run in taken):.2f} s, "
        f"{statistics.median(run.cpu_seconds for run in taken):.2f} s of CPU, "
        f"{statistics.median(run.peak_bytes for run in taken) / 2**20:.0f} MiB)"
    )
    if name == "Cartouche":
        return Row(f"{what}: {name} / floor", figure, f"<= {GOAL} x", ratio <= GOAL)
    return Row(f"{what}: {name} / floor", figure)


if __name__ == "__main__":
    main("building", __doc__, rows)
