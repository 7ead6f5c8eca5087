"""Equal text makes equal bytes, on every thread and in every process."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from services.formats.common.masks import Crop
from services.formats.common.png import mask_png
from workers.archive.deflate import DEFLATE, crc32, crc32_combine, deflate, deflated_file
from workers.segment_manifest import ManifestWriter, PlannedImage

#: Threads that live at once: each has another place in memory for what it deflates.
AT_ONCE, ROUNDS = 50, 20


def text() -> bytes:
    """Rows like those of a document; about 30 kB."""
    values = np.random.default_rng(3).integers(0, 10_000, (500, 5)).tolist()
    return b",\n".join(
        b'{"id":%d,"image_id":%d,"bbox":[%d.5,%d.25,%d,7.125],"iscrowd":0}' % tuple(row)
        for row in values
    )


TEXT = text()


def manifest() -> bytes:
    """The bytes of a segment's manifest."""
    from tests.unit.formats.archives import box, image

    writer = ManifestWriter(1)
    one = PlannedImage(image([box(f"{n}", n, 1, 5, 5) for n in range(200)]), "key", 0)
    writer.add([one] * 3)
    return writer.finish()


def sums() -> bytes:
    data = text()
    return b"%d %d" % (
        crc32(data),
        crc32_combine(crc32(data[:99]), crc32(data[99:]), len(data) - 99),
    )


#: Every way on which bytes of an archive are made that a decoder sees through.
PATHS: dict[str, Callable[[], bytes]] = {
    "fragment": lambda: deflate(TEXT)[0],
    "file": lambda: deflated_file(TEXT)[0],
    "short": lambda: deflated_file(b"0 0.5 0.5 0.25 0.25\n")[0],
    "mask": lambda: mask_png(Crop(0, 0, 300, 200, np.full(600, 100, np.int64))),
    "manifest": manifest,
    "sums": sums,
}


def digests() -> dict[str, str]:
    return {name: hashlib.sha256(make()).hexdigest() for name, make in PATHS.items()}


@pytest.mark.parametrize("name", PATHS)
def test_threads_make_the_same_bytes(name: str) -> None:
    made: set[bytes] = set()
    make = PATHS[name]
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=lambda: made.add(make())) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 1


def print_digests() -> None:
    """Prints the digests that threads of a process find, each with other memory in use."""
    found: set[str] = set()

    def look(number: int) -> None:
        # Moves what the thread allocates next.
        kept = bytearray(number * 7919)
        found.add(str(digests()))
        kept.clear()

    threads = [threading.Thread(target=look, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*found)


def test_processes_make_the_same_bytes() -> None:
    """Each has other addresses."""
    words = [sys.executable, "-c", f"from {__name__} import print_digests; print_digests()"]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0] for process in running}
    assert printed == {f"{digests()}\n"}


def test_what_deflates_has_a_version() -> None:
    assert DEFLATE.startswith("zlib 1.")
    assert DEFLATE.endswith(" level 1")
