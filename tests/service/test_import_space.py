"""What images on their way in take of a server's disk."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.datasets import Picture, jpeg, put, put_all, unique
from tests.stack import Embedded

MIB = 1024 * 1024
SPACE = 8 * MIB


@pytest.fixture(scope="module")
def narrow() -> Iterator[Embedded]:
    with Embedded("narrow", {"CARTOUCHE_IMPORT_SPACE": str(SPACE)}) as stack:
        yield stack


def of_size(size: int, seed: int) -> bytes:
    """A picture with something behind it."""
    head = jpeg(seed=seed)
    return head + bytes([seed % 256]) * (size - len(head))


def on_disk(stack: Embedded) -> int:
    """Bytes of the files without a name that the server has open now."""
    found = 0
    for descriptor in Path(f"/proc/{stack.processes['run'].pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()).endswith(" (deleted)"):
                found += descriptor.stat().st_size
        except OSError:
            continue
    return found


def test_images_of_all_streams_share_it(narrow: Embedded) -> None:
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.002):
            peak = max(peak, on_disk(narrow))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = on_disk(narrow)
    try:
        with ThreadPoolExecutor(6) as pool:
            list(
                pool.map(
                    lambda stream: put_all(
                        narrow,
                        unique("shared"),
                        [Picture(f"{n}.jpg", of_size(3 * MIB, 10 * stream + n)) for n in range(8)],
                    ),
                    range(6),
                )
            )
    finally:
        ended.set()
        watcher.join()
    # More than one image at once, and never more than there is room for.
    assert 3 * MIB < peak - before <= SPACE


def test_what_never_fits_is_refused_alone(narrow: Embedded) -> None:
    pictures = [
        Picture("small.jpg", jpeg(seed=1)),
        Picture("large.jpg", of_size(SPACE + 1, 2)),
        Picture("fits.jpg", of_size(SPACE, 3)),
    ]
    answers = put(narrow, unique("too-large"), pictures)
    assert [bool(answer.reason) for answer in answers] == [False, True, False], answers
    assert "CARTOUCHE_IMPORT_SPACE" in answers[1].message
