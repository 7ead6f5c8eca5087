"""The check of a finished archive refuses what is not as it was built."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.formats.common.export import ExportInfo
from services.storage import ObjectStore
from tests.memory_archives import InMemory, archive_of
from tests.unit.formats.archives import box, image, info
from workers.archive_assembly import summarize
from workers.budget import LARGE
from workers.check import AT_ONCE, Expected, Stream, check
from workers.leases import Held
from workers.lines import lines_of
from workers.proofreading import ArchiveDamaged, Counts
from workers.segment_manifest import PlannedImage
from workers.segment_text import SegmentText


def built(export: ExportInfo, names: list[str], photo: bytes = b"photo") -> tuple[bytes, Expected]:
    """An archive of images that lie under these names, and what its check must expect."""
    images = [image([box(f"{n}", 1, 1, 5, 5)], n, n) for n in range(1, len(names) + 1)]
    return archive_of(export, images, names, photo)


def checked(data: bytes, expected: Expected, depth: str, at_once: int = 0) -> str | None:
    archive: Any = InMemory(data)
    store, held = cast(ObjectStore, archive), cast(Held, archive)
    return check(store, held, expected, depth, at_once=at_once)


@pytest.mark.parametrize("depth", ["sample", "full"])
@pytest.mark.parametrize(
    ("names", "clash"),
    [
        (["images/a.jpg", "images/b.jpg", "images/b/c.jpg"], ()),
        (["images/a.jpg", "images/b.jpg", "images/a.jpg"], ("images/a.jpg", "images/a.jpg")),
        (["images/É.jpg", "images/e\u0301.JPG"], ("images/É.jpg", "images/e\u0301.JPG")),
        (["images/cam", "images/cam/a.jpg"], ("images/cam", "images/cam/a.jpg")),
        (["images/a.jpg", "Data.yaml"], ("Data.yaml", "data.yaml")),
    ],
)
def test_names_that_file_systems_take_for_one_are_refused(
    depth: str, names: list[str], clash: tuple[str, ...]
) -> None:
    data, expected = built(info("yolo", include_images=True), names)
    if not clash:
        assert (checked(data, expected, depth) is not None) == (depth == "full")
        return
    with pytest.raises(ArchiveDamaged) as refused:
        checked(data, expected, depth)
    first, second = clash
    assert f"{first!r} and {second!r} are one name" in str(refused.value)


def test_a_flipped_bit_is_refused() -> None:
    data, expected = built(info("coco", include_images=True), ["images/a.jpg"])
    assert checked(data, expected, "sample") is None
    assert checked(data, expected, "sample", AT_ONCE) == hashlib.sha256(data).hexdigest()
    for place in (40, expected.text_start + 60, expected.directory_start + 20):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(ArchiveDamaged):
            checked(bytes(flipped), expected, "sample")
        with pytest.raises(ArchiveDamaged):
            checked(bytes(flipped), expected, "sample", AT_ONCE)
    for other in (data[:-1], data + b"\0", b""):
        for at_once in (0, AT_ONCE):
            with pytest.raises(ArchiveDamaged, match=f"{len(other)} bytes in the store"):
                checked(other, expected, "sample", at_once)
    with pytest.raises(ArchiveDamaged):
        checked(data, replace(expected, entry_count=expected.entry_count + 1), "sample")


@pytest.mark.parametrize("format_", ["coco", "yolo", "pascal_voc"])
def test_text_that_was_read_is_compared_by_its_sum(format_: str) -> None:
    export = info(format_)
    images = [image([box(f"{n}", 1, 1, 5, 5)], n, n) for n in (1, 2)]
    data, expected = archive_of(export, images, [], b"", is_read=True)
    assert expected.read is not None
    assert checked(data, expected, "sample") is None
    assert checked(data, expected, "sample", AT_ONCE) == hashlib.sha256(data).hexdigest()
    for place in range(expected.text_start, len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(ArchiveDamaged):
            checked(bytes(flipped), expected, "sample")
    # Other text, whose own sums agree with it.
    other = [image([box(f"{n}", 2, 1, 5, 5)], n, n) for n in (1, 2)]
    changed, described = archive_of(export, other, [], b"")
    assert checked(changed, described, "sample") is None
    with pytest.raises(ArchiveDamaged, match="is not the one that was built"):
        checked(changed, replace(described, read=expected.read), "sample")
    counts = replace(expected.read.counts, annotations=1)
    with pytest.raises(ArchiveDamaged, match="2 images and 1 annotations"):
        checked(data, replace(expected, read=replace(expected.read, counts=counts)), "sample")


def test_text_of_workers_that_did_not_read_is_left_to_the_check_of_the_archive() -> None:
    text = SegmentText(info("yolo"))
    text.add([PlannedImage(image([box("1", 1, 1, 5, 5)]), "key", 0)])
    _, result = text.pieces()
    older = {name: value for name, value in result.items() if name not in ("read", "sums")}
    assert summarize([result, result])[0].read == Counts(2, 2, 2)
    assert summarize([result, older])[0].read is None
    assert summarize([older, result])[0].read is None


def test_whoever_renders_text_refuses_what_readers_would() -> None:
    """An annotation of a class that the dataset has not, which Pictograph takes as it stands."""
    text = SegmentText(info("pictograph"))
    unknown = image([box("1", 1, 1, 5, 5, name="unknown")])
    with pytest.raises(ArchiveDamaged, match="the dataset has no class 'unknown'"):
        text.add([PlannedImage(unknown, "key", 0)])


def test_large_text_is_left_to_the_check_of_the_archive() -> None:
    large = image([box(f"{n}", 1, 1, 5, 5) for n in range(LARGE // 100)])
    for images, is_read in (([large], False), ([image([box("1", 1, 1, 5, 5)])], True)):
        data, expected = archive_of(info("pictograph"), images, [], b"", is_read=True)
        assert (expected.read is not None) == is_read
        assert checked(data, expected, "sample") is None


class Counted(bytes):
    """Bytes that count what is copied of them."""

    copied = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        Counted.copied += len(found) if isinstance(place, slice) else 1
        return found


def test_small_entries_cost_their_own_length() -> None:
    piece = Counted(bytes(100_000))
    stream = Stream(iter([piece, piece]), None)
    taken = sum(len(stream.exactly(30)) for _ in range(2 * len(piece) // 30))
    assert taken > 1.9 * len(piece)
    assert Counted.copied <= 2 * len(piece)


@given(st.binary(max_size=50).map(lambda text: text.replace(b"7", b"\n")), st.data())
def test_lines_do_not_depend_on_how_the_text_is_cut(text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    *lines, last = text.split(b"\n")
    assert [*lines_of(pieces)] == [*lines, *([last] if last else [])]
