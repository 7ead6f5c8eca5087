"""A segment stages its text in runs: memory stays flat, and no byte depends on where they end."""

import random
import tracemalloc
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from services.catalog.selection import ImageTotals
from services.formats.registry import FORMATS
from tests.unit.formats.archives import box, image, info
from workers import segment
from workers.archive_assembly import Assembly
from workers.leases import Held
from workers.plan import reckoned_text
from workers.segment import build_text
from workers.segment_manifest import (
    Block,
    ManifestWriter,
    PlannedImage,
    blocks,
    manifest_key,
    manifest_objects,
    read_blocks,
)
from workers.staging import MemoryStaging, OutOfRoom

HELD = cast(Held, SimpleNamespace(check=lambda: None))
MIB = 1024 * 1024


class Nowhere(MemoryStaging):
    """Keeps nothing."""

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Forgets them."""


def made_blocks(count: int, boxes: int) -> Iterator[Block]:
    """Blocks of one image each, with boxes that compress badly."""
    for number in range(1, count + 1):
        source = random.Random(number)
        found = [
            box(f"{number}-{n}", source.uniform(0, 90), source.uniform(0, 90), 5.5, 5.5)
            for n in range(boxes)
        ]
        yield [PlannedImage(image(found, number, 1 + number * boxes), "key", 0)]


@pytest.mark.parametrize("format_", FORMATS)
def test_no_byte_depends_on_the_runs(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    export = info(format_)
    archives = set()
    for limit in (1, 2_000, segment.TEXT_PIECE):
        monkeypatch.setattr(segment, "TEXT_PIECE", limit)
        staging = MemoryStaging()
        results = build_text(HELD, made_blocks(12, 7), export, staging, "1.1-")
        assert (len(results) == 1) == (limit > 10_000)
        archives.add(b"".join(Assembly(export, results, staging)))
    assert len(archives) == 1


@pytest.mark.parametrize("format_", ["coco", "pictograph", "yolo"])
def test_memory_does_not_follow_the_annotations(
    format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "TEXT_PIECE", MIB // 8)
    peaks = []
    for count in (3, 12):
        tracemalloc.start()
        results = build_text(HELD, made_blocks(count, 1_000), info(format_), Nowhere(), "1.1-")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sum(result["image_count"] for result in results) == count
    assert peaks[1] < peaks[0] + MIB


@pytest.mark.parametrize("boxes", [0, 1, 10])
@pytest.mark.parametrize("format_", FORMATS)
def test_the_text_of_an_export_is_no_more_than_was_reckoned(format_: str, boxes: int) -> None:
    found = [planned for block in made_blocks(300, boxes) for planned in block]
    totals = ImageTotals(
        image_count=len(found),
        renamed_count=0,
        foldered_count=0,
        unannotated_count=0,
        annotation_count=len(found) * boxes,
        annotation_bytes=sum(len(planned.image.annotations) for planned in found),
        image_bytes=0,
        path_bytes=sum(len(planned.image.path) for planned in found),
    )
    room = reckoned_text(totals)
    build_text(HELD, blocks(found, False), info(format_), MemoryStaging(room), "")
    with pytest.raises(OutOfRoom):
        build_text(HELD, blocks(found, False), info(format_), MemoryStaging(1_000), "")


def test_a_manifest_may_lie_in_several_objects() -> None:
    for largest in (0, 1_000_000):
        assert manifest_objects(manifest_key("manifest-3-12", 1, largest)) == ["manifest-3-12"]
    key = manifest_key("manifest-3-12", 3)
    assert manifest_objects(key) == [f"manifest-3-12.{n}" for n in range(3)]
    wanted = list(made_blocks(3, 2))
    read: list[Block] = []
    for block in wanted:
        writer = ManifestWriter(2)
        assert writer.held_bytes == 0
        writer.add(block)
        read += read_blocks([writer.finish()])
    assert read == wanted
