"""One byte of an archive's text changes in the store: the check finds it, though the text was read
where it was made, and the store knows no better."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from services.storage import ObjectStore
from tests.datasets import unique
from tests.unit.formats.archives import box, image, info
from workers.archive_assembly import Assembly
from workers.check import Expected, check
from workers.finish import read_text
from workers.leases import Held
from workers.proofreading import ArchiveDamaged
from workers.segment import build_text
from workers.segment_manifest import PlannedImage
from workers.staging import StoreStaging

HELD = cast(Held, SimpleNamespace(check=lambda: None))
IMAGES = [image([box(f"{n}", n, 1, 5, 5)], n, n, path=f"{n}.jpg", name=f"{n}.jpg") for n in (1, 2)]


def flip(store: ObjectStore, key: str, place: Callable[[bytes], int]) -> None:
    """Changes one bit of an object, which the store then takes for right."""
    data = bytearray(store.get(store.exports_bucket, key))
    data[place(bytes(data))] ^= 1
    store.put_pieces(store.exports_bucket, key, [bytes(data)])


def built(format_: str, store: ObjectStore, prefix: str, staged: str = "") -> Expected:
    """Builds an archive in the store; of the text that builders staged, `staged` changes."""
    export = info(format_)
    staging = StoreStaging(store, prefix)
    results = build_text(
        HELD, [[PlannedImage(one, "key", 0) for one in IMAGES]], export, staging, ""
    )
    if staged:
        flip(store, f"{prefix}{results[0]['stage']}{staged}", lambda data: len(data) // 2)
    assembly = Assembly(export, results, staging)
    store.put_pieces(store.exports_bucket, f"{prefix}archive.zip", list(assembly))
    return Expected(
        key=f"{prefix}archive.zip",
        size=assembly.length,
        text_start=assembly.text_start,
        directory_start=assembly.directory_start,
        entry_count=assembly.entry_count,
        stored_images=0,
        summary=assembly.summary,
        info=export,
        read=read_text(assembly, export),
    )


@pytest.mark.parametrize(
    ("format_", "staged"),
    [
        ("coco", "rows-0-annotations"),
        ("yolo", "files"),
        ("yolo", "file_records"),
        ("yolo", "rows-1-files"),
    ],
)
def test_before_completion(store: ObjectStore, format_: str, staged: str) -> None:
    with pytest.raises(ArchiveDamaged, match=f"{staged}, which was staged, changed"):
        built(format_, store, f"{unique('text')}/", staged)


@pytest.mark.parametrize("format_", ["coco", "yolo"])
@pytest.mark.parametrize("held_at_once", [0, 2**20])
def test_after_completion(store: ObjectStore, format_: str, held_at_once: int) -> None:
    expected = built(format_, store, f"{unique('text')}/")
    check(store, HELD, expected, "sample", at_once=held_at_once)
    places: list[Callable[[bytes], int]] = [
        lambda data: data.index(b"manifest.json") + 40,
        lambda data: data.index(b"README.txt", expected.directory_start) - 30,
    ]
    for place in places:
        flip(store, expected.key, place)
        # Also where the text was not read before, as by workers of 0.2.0.
        for described in (expected, replace(expected, read=None)):
            with pytest.raises(ArchiveDamaged):
                check(store, HELD, described, "sample", at_once=held_at_once)
        flip(store, expected.key, place)
