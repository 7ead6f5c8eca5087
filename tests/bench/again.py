"""An export with images of which an earlier one holds nearly all: one in a hundred has changed
since, all of them in one folder, or here and there.

Beside it, in turns, what no export can be faster than that reads every image, and an export of
which nothing is copied. The seconds are those of the record, from creation to completion.
"""

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.bench.drawing import SIDE, draw
from tests.bench.rows import Row, main
from tests.bench.subjects import Run, Subject, subjects

GOAL = 0.5
_PART = 5 * 2**20
_IMAGE = 100_000


@dataclass(frozen=True)
class Round:
    """One of each, and the bytes that went through the worker for the change in one folder."""

    floor: Run
    built: Run
    folder: Run
    scattered: Run
    through_worker: float


def rows(quick: bool) -> list[Row]:
    """After changes to 2,000 images and to 20,000, or to 500."""
    sizes = ((500, 3),) if quick else ((2_000, 7), (20_000, 5))
    return [row for images, rounds in sizes for row in _rows(images, rounds)]


def _rows(images: int, rounds: int) -> list[Row]:
    changed = images // 100
    with tempfile.TemporaryDirectory(prefix="cartouche-bench-") as name:
        files = draw(Path(name), images)
        settings = {"CARTOUCHE_COPY_GENERATIONS": "1000"}
        with subjects(files, embedded=False, settings=settings) as (subject,):
            subject.cartouche(keeps=True)
            found = [_round(subject, number, images) for number in range(rounds)]
        title = subject.title
    what = f"export again, {images:,} x 98 KB, {title}"
    most = changed * _IMAGE + 2 * (_PART + _IMAGE)
    through = max(one.through_worker for one in found)
    folder = _ratio(found, lambda one: one.folder, lambda one: one.floor)
    scattered = _ratio(found, lambda one: one.scattered, lambda one: one.built)
    return [
        Row(
            f"{what}, {changed} images of one folder changed: / floor",
            f"{folder:.2f} x ({_seconds(found, lambda one: one.folder):.2f} s)",
            f"<= {GOAL} x",
            folder <= GOAL,
        ),
        Row(
            f"{what}, the same: MB of images through the worker, at most",
            f"{through / 1e6:.1f}",
            f"<= {most / 1e6:.1f}",
            through <= most,
        ),
        Row(
            f"{what}, {changed} images here and there changed: / an export that is built",
            f"{scattered:.2f} x ({_seconds(found, lambda one: one.scattered):.2f} s)",
            "<= 1 x",
            scattered <= 1,
        ),
        Row(
            f"{what}, the same: / floor",
            f"{_ratio(found, lambda one: one.scattered, lambda one: one.floor):.2f} x",
        ),
        Row(
            f"{what}, an export that is built: / floor",
            f"{_ratio(found, lambda one: one.built, lambda one: one.floor):.2f} x "
            f"({_seconds(found, lambda one: one.built):.2f} s)",
        ),
    ]


def _round(subject: Subject, number: int, images: int) -> Round:
    changed = images // 100
    folder = (37 * number + 11) % 100
    floor = subject.floor()
    subject.forget()
    built = subject.cartouche(keeps=True)
    with _drawn(changed, number) as files:
        subject.put(dict(zip(range(folder * changed, (folder + 1) * changed), files, strict=True)))
    before = subject.worker_bytes()
    in_folder = subject.cartouche(keeps=True)
    through_worker = subject.worker_bytes() - before
    with _drawn(changed, 1_000 + number) as files:
        chosen = sorted(random.Random(number).sample(range(images), changed))
        subject.put(dict(zip(chosen, files, strict=True)))
    return Round(floor, built, in_folder, subject.cartouche(keeps=True), through_worker)


@contextmanager
def _drawn(count: int, seed: int) -> Iterator[list[Path]]:
    """Images that nobody had before."""
    with tempfile.TemporaryDirectory(prefix="cartouche-bench-") as name:
        source, files = random.Random(10 + seed), []
        for number in range(count):
            files.append(Path(name) / f"{number}.png")
            pixels = source.randbytes(SIDE * SIDE * 3)
            Image.frombytes("RGB", (SIDE, SIDE), pixels).save(files[-1], compress_level=0)
        yield files


def _ratio(found: list[Round], one: Callable[[Round], Run], other: Callable[[Round], Run]) -> float:
    return statistics.median(one(each).seconds / other(each).seconds for each in found)


def _seconds(found: list[Round], one: Callable[[Round], Run]) -> float:
    return statistics.median(one(each).seconds for each in found)


if __name__ == "__main__":
    main("again", __doc__, rows)
