"""The tail of an archive as parts of its upload."""

import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.formats.common.loss_report import FIRST_IDS
from tests.unit.formats.archives import info
from workers.archive_assembly import Assembly
from workers.archive_tail import HELD_PART, tail_parts
from workers.staging import MemoryStaging

MIB = 1024 * 1024


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60), st.data())
def test_parts_are_the_stream(pieces: list[bytes], size: int, data: st.DataObject) -> None:
    whole = b"".join(pieces)
    known = data.draw(st.integers(0, len(whole)))
    parts = [(length, b"".join(part)) for length, part in tail_parts(iter(pieces), known, size)]
    assert [length for length, _ in parts] == [len(part) for _, part in parts]
    assert b"".join(part for _, part in parts) == whole
    assert all(length == size for length, _ in parts[:-1])
    assert 0 < min((length for length, _ in parts), default=1) <= size


def test_only_what_nobody_knows_the_length_of_is_held() -> None:
    size, known = 64 * MIB, 200 * MIB

    def stream() -> Iterator[bytes]:
        for _ in range(known // MIB + 70):
            yield random.randbytes(MIB)

    tracemalloc.start()
    lengths, peaks = [], []
    for length, pieces in tail_parts(stream(), known, size):
        assert sum(map(len, pieces)) == length
        lengths.append(length)
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert lengths == [size, size, size, size // 2, size // 2, 14 * MIB]
    assert peaks[2] < 4 * MIB
    assert peaks[-1] < size // 2 + 4 * MIB
    assert size // 2 > HELD_PART


def test_what_was_lost_is_added_up_and_not_kept() -> None:
    def results(count: int) -> Iterator[dict[str, Any]]:
        for number in range(count):
            ids = [f"{number:08}-{n:028}" for n in range(FIRST_IDS)]
            yield {
                "stage": f"{number}-",
                "image_count": 10,
                "annotation_count": 20,
                "split_counts": {"train": 10},
                "rows": {},
                "losses": {
                    "dropped": [
                        {"code": f"code.{n}", "reason": f"reason {n}", "count": 200, "ids": ids}
                        for n in range(10)
                    ]
                },
            }

    peaks = []
    for count in (100, 1_000):
        tracemalloc.start()
        assembly = Assembly(info("yolo"), results(count), MemoryStaging())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert assembly.summary.losses.total("dropped") == count * 10 * 200
    # A result with its ids has 90 kB.
    assert peaks[1] < peaks[0] + 900 * 2_000
