"""Where the images of an earlier archive lie."""

import random

from services.storage import Extract
from workers.archive.entries import LIMIT_32, Method, local_entry_size
from workers.archive.reader import DirectoryRecord
from workers.earlier_archive import EarlierArchive


def record(name: str, size: int, offset: int, method: int = Method.STORED) -> DirectoryRecord:
    return DirectoryRecord(name, method, size * 7, size, size, offset)


def archive(sizes: dict[str, int]) -> EarlierArchive:
    found, offset = EarlierArchive("a/b/archive.zip", "etag", 3), 0
    for name, size in sizes.items():
        assert found.add(record(name, size, offset))
        offset += local_entry_size(name, size)
    return found


def test_equal_entries_are_found_wherever_they_are_expected() -> None:
    sizes = {f"images/{n}.jpg": n + 1 for n in range(500)}
    found = archive(sizes)
    chance = random.Random(5)
    for place, (name, size) in enumerate(sizes.items()):
        for expected in (place, chance.randrange(500), 500, 10_000):
            assert found.place(name, size * 7, size, expected) == place
        assert found.place(name, size * 7 + 1, size, place) == -1
        assert found.place(name, size * 7, size + 1, place) == -1
        assert found.place(f"{name}x", size * 7, size, place) == -1


def test_extracts_begin_and_end_with_entries() -> None:
    # The second one needs the field of ZIP64, whose bytes count.
    sizes = {"a": 10, "b": LIMIT_32, "c": 30}
    found = archive(sizes)
    lengths = [local_entry_size(name, size) for name, size in sizes.items()]
    assert found.extract(1, 3) == Extract("a/b/archive.zip", "etag", lengths[0], sum(lengths[1:]))
    assert found.extract(0, 1) == Extract("a/b/archive.zip", "etag", 0, lengths[0])


def test_text_and_gaps_end_the_images() -> None:
    found = archive({"a": 10})
    after = local_entry_size("a", 10)
    assert not found.add(record("b", 10, after, Method.DEFLATED))
    assert not found.add(record("b", 10, after + 1))
    assert found.place("b", 70, 10, 1) == -1


def test_an_archive_without_images_has_no_places() -> None:
    assert EarlierArchive("key", "etag", 0).place("a", 1, 1, 0) == -1
