"""Parts that follow the difference of two archives: what is copied is equal, nothing is lost."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.archive.differences import COPIED_PART, MOST_WAITING, DifferenceCutter
from workers.archive.segments import MANY, MAX_PARTS, MIN_PART, PART_SIZE

MIB = 2**20


@dataclass
class Part:
    """A part, with the places of its images in the earlier archive and its bytes."""

    places: list[int] = field(default_factory=list)
    length: int = 0
    copied: tuple[int, int] | None = None


class Collected:
    """Every part, as the cutter ended it."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._open = Part()

    def take(self, image: int, length: int) -> None:
        self._open.places.append(image)
        self._open.length += length

    def end_part(self, copied: tuple[int, int] | None) -> None:
        self._open.copied = copied
        self.parts.append(self._open)
        self._open = Part()


def cut(images: list[tuple[int, int]], size: int = PART_SIZE) -> list[Part]:
    """The parts of images, each given by its place in the earlier archive and its bytes."""
    collected = Collected()
    cutter = DifferenceCutter(collected, sum(length for _, length in images), size)
    for place, length in images:
        cutter.add(place, length, length, place)
    cutter.end()
    return collected.parts


def check(images: list[tuple[int, int]], parts: list[Part]) -> None:
    """What holds of any parts."""
    assert [place for part in parts for place in part.places] == [place for place, _ in images]
    assert sum(part.length for part in parts) == sum(length for _, length in images)
    for part in parts:
        if part.copied:
            first, after = part.copied
            assert part.places == list(range(first, after))
            assert part.length >= MIN_PART
    # The last one may be shorter; the finish streams it.
    assert all(part.length >= MIN_PART for part in parts[:-1])
    assert len(parts) <= MAX_PARTS


def test_an_unchanged_archive_is_copied_as_a_whole() -> None:
    images = [(place, MIB) for place in range(300)]
    parts = cut(images)
    check(images, parts)
    assert all(part.copied for part in parts)
    assert len(parts) == -(-300 * MIB // COPIED_PART)


def test_one_run_of_changes_takes_at_most_two_parts_with_it() -> None:
    images = [(place if not 500 <= place < 520 else -1, 98_000) for place in range(2_000)]
    parts = cut(images)
    check(images, parts)
    built = sum(part.length for part in parts if not part.copied)
    assert built <= 20 * 98_000 + 2 * (MIN_PART + 98_000)


def test_images_in_another_order_are_copied_where_they_lie_in_a_row() -> None:
    images = [(place, MIB) for place in (*range(50, 80), *range(50), *range(80, 90))]
    parts = cut(images)
    check(images, parts)
    assert [part.copied for part in parts] == [(50, 80), (0, 50), (80, 90)]


def test_nothing_equal_is_built_in_full_parts() -> None:
    images = [(-1, 100_000)] * 2_000
    parts = cut(images)
    check(images, parts)
    assert not any(part.copied for part in parts)
    assert all(part.length >= PART_SIZE for part in parts[:-1])


def test_the_last_change_is_left_to_the_finish() -> None:
    images = [*((place, MIB) for place in range(20)), (-1, 1000)]
    parts = cut(images)
    check(images, parts)
    assert [part.length for part in parts] == [20 * MIB, 1000]


def test_tiny_images_wait_for_no_part() -> None:
    images = [(place, 100) for place in range(4 * MOST_WAITING)]
    parts = cut(images)
    check(images, parts)
    assert not any(part.copied for part in parts)


def test_a_copied_part_has_no_more_images_than_one_that_is_built() -> None:
    images = [(place, 1_000) for place in range(3 * MANY)]
    parts = cut(images)
    check(images, parts)
    assert all(len(part.places) <= MANY + MIN_PART // 1_000 + 1 for part in parts)
    assert any(part.copied for part in parts)


@pytest.mark.parametrize("period", [3, 7])
def test_parts_never_become_too_many(period: int) -> None:
    """Runs of two least parts between changes, of an archive that full parts nearly fill."""
    size = 8 * MIB
    length = 2 * MIB
    images = [(place if place % (period * 4) else -1, length) for place in range(9_000 * 4)]
    parts = cut(images, size)
    check(images, parts)
    assert any(part.copied for part in parts)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_difference(data: st.DataObject) -> None:
    """Adds, removals, replacements and moves, with sizes around those of parts."""
    lengths = st.sampled_from([1, 1000, MIB, 3 * MIB, 6 * MIB, 20 * MIB, 100 * MIB])
    earlier = data.draw(st.lists(lengths, max_size=60))
    images = list(enumerate(earlier))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(images)))
        upto = min(len(images), at + data.draw(st.integers(0, 10)))
        kind = data.draw(st.sampled_from(["add", "remove", "replace", "move"]))
        taken = images[at:upto]
        if kind == "add":
            images[at:at] = [(-1, data.draw(lengths)) for _ in range(3)]
        elif kind == "remove":
            images[at:upto] = []
        elif kind == "replace":
            images[at:upto] = [(-1, length) for _, length in taken]
        else:
            images[at:upto] = []
            images += taken
    parts = cut(images)
    check(images, parts)
    # What is copied is copied once.
    copied = Counter(place for part in parts if part.copied for place in part.places)
    assert not copied or max(copied.values()) == 1
