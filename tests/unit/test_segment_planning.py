"""Images and text are cut apart, each by its own bytes, and nothing is lost between the cuts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exports.progress import PlannedSegment
from services.formats.registry import FORMATS
from tests.unit.formats.archives import image, info
from workers import segment_planning
from workers.archive.entries import Method
from workers.archive.reader import DirectoryRecord
from workers.archive.segments import MAX_PARTS, MIN_PART
from workers.earlier_archive import EarlierArchive
from workers.image_entries import KnownSums, image_entry_size
from workers.segment_manifest import (
    Block,
    PlannedImage,
    blocks,
    largest_of,
    manifest_objects,
    read_blocks,
)
from workers.segment_planning import SegmentPlanner, is_images_alone, is_text_alone
from workers.staging import MemoryStaging

KIB = 1024
MIB = 1024 * KIB
#: Bytes of annotations of a segment of text here.
LIMIT = 64 * KIB

#: Bytes of an image, and of its annotations.
SIZES = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 2_000), st.integers(1, 9 * MIB)),
        st.one_of(st.integers(2, 500), st.integers(2, 80 * KIB)),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(autouse=True, scope="module")
def _small_texts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segment_planning, "TEXT_LIMIT", LIMIT)
        yield


def made(sizes: list[tuple[int, int]]) -> list[PlannedImage]:
    return [
        PlannedImage(
            replace(image([], number), size=size, annotations=b"[" + b" " * (text - 2) + b"]"),
            f"key-{number}",
            number,
        )
        for number, (size, text) in enumerate(sizes, 1)
    ]


def cut(
    images: list[PlannedImage],
    version: int,
    *,
    include_images: bool,
    earlier: EarlierArchive | None = None,
) -> tuple[list[PlannedSegment], MemoryStaging]:
    export = replace(info("coco"), include_images=include_images)
    staging = MemoryStaging()
    planner = SegmentPlanner(
        staging,
        "manifest-1-",
        export,
        version,
        image_bytes=sum(planned.image.size for planned in images) if include_images else 0,
        text_bytes=sum(len(planned.image.annotations) for planned in images),
        size=MIN_PART,
        earlier=earlier,
    )
    for block in blocks(images, include_images):
        planner.add(block)
    return planner.segments(), staging


def read(segment: PlannedSegment, staging: MemoryStaging) -> list[Block]:
    found: list[Block] = []
    for key in manifest_objects(segment.manifest_key):
        found += read_blocks(staging.stream(key))
    return found


def bare(found: list[Block]) -> list[Block]:
    return [[replace(p, image=replace(p.image, annotations=b"")) for p in block] for block in found]


@given(SIZES, st.booleans())
def test_images_and_text_are_cut_apart(sizes: list[tuple[int, int]], include_images: bool) -> None:
    images = made(sizes)
    segments, staging = cut(images, 2, include_images=include_images)
    wanted = list(blocks(images, include_images))
    pictures = [found for found in segments if is_images_alone(2, found.number)]
    texts = [found for found in segments if is_text_alone(2, found.number)]
    assert [found.number for found in pictures] == list(range(1, len(pictures) + 1))
    assert [found.number for found in texts] == [
        MAX_PARTS + 1 + index for index in range(len(texts))
    ]
    assert [block for found in texts for block in read(found, staging)] == wanted
    in_pictures = [block for found in pictures for block in read(found, staging)]
    assert in_pictures == (bare(wanted) if include_images else [])
    # Side by side: wherever one looks, about the same share of both was taken.
    for place in range(len(segments)):
        taken = [found in texts for found in segments[:place]]
        share = sum(taken) / len(texts)
        assert abs(place - sum(taken) - share * len(pictures)) <= 1 + len(pictures) / len(texts)
    for found in texts[:-1]:
        *_, last = read(found, staging)
        text = sum(len(p.image.annotations) for block in read(found, staging) for p in block)
        assert text >= LIMIT > text - sum(len(p.image.annotations) for p in last)
    if sum(size for size, _ in sizes) < MIN_PART:
        assert [found.size for found in pictures] == [0] * include_images
        return
    export = replace(info("coco"), include_images=True)
    for found in pictures:
        entries = [image_entry_size(p, export) for block in read(found, staging) for p in block]
        assert found.size == sum(entries) >= MIN_PART


@given(SIZES, st.booleans())
def test_as_0_2_0_has_them(sizes: list[tuple[int, int]], include_images: bool) -> None:
    """Each segment has the text of its images."""
    images = made(sizes)
    segments, staging = cut(images, 1, include_images=include_images)
    assert [found.number for found in segments] == list(range(1, len(segments) + 1))
    assert not any(is_images_alone(1, s.number) or is_text_alone(1, s.number) for s in segments)
    together = [block for found in segments for block in read(found, staging)]
    assert together == list(blocks(images, include_images))
    has_parts = include_images and sum(size for size, _ in sizes) >= MIN_PART
    assert all((found.size >= MIN_PART) == has_parts for found in segments)


def test_the_largest_annotations_are_known_where_they_need_memory() -> None:
    images = made([(10, 2 * MIB), (10, 40), (10, 50)])
    segments, _ = cut(images, 2, include_images=True)
    known = {found.number: largest_of(found.manifest_key) for found in segments}
    assert known == {1: 0, MAX_PARTS + 1: 2 * MIB, MAX_PARTS + 2: 0}


def test_many_annotations_do_not_make_endless_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_planning, "_MAX_TEXTS", 3)
    images = made([(10, LIMIT)] * 40)
    segments, _ = cut(images, 2, include_images=False)
    assert len(segments) == 3


@given(SIZES, st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_what_is_copied_is_what_its_manifest_says(
    sizes: list[tuple[int, int]], gone: set[int], replaced: set[int]
) -> None:
    """As it must be built where the copy is refused."""
    images = made(sizes)
    export = replace(info("coco"), include_images=True)
    image_path = FORMATS["coco"].writer.image_path
    earlier, offset, offsets = EarlierArchive("archive.zip", "etag", 0), 0, {}
    for planned in images:
        path, size = image_path(planned.image, export), planned.image.size
        assert earlier.add(DirectoryRecord(path, Method.STORED, planned.crc32, size, size, offset))
        offsets[planned.object_key] = offset
        offset += image_entry_size(planned, export)
    for planned in images:
        if planned.crc32 in replaced:
            planned.crc32 += 1_000
    images = [planned for planned in images if planned.crc32 not in gone]
    segments, staging = cut(images, 2, include_images=True, earlier=earlier)
    pictures = [found for found in segments if is_images_alone(2, found.number)]
    held = [p for found in pictures for block in read(found, staging) for p in block]
    assert [held] == bare([images])
    for found in pictures:
        in_it = read(found, staging)
        known = KnownSums(in_it, export)
        if found.source is not None:
            assert found.source.length == known.length == found.size
            assert found.source.offset == offsets[in_it[0][0].object_key]
            assert not any(planned.crc32 > 1_000 for block in in_it for planned in block)
    if not (gone or replaced) and offset >= 2 * MIN_PART:
        assert any(found.source for found in pictures)
