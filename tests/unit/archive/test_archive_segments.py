"""Where parts end: parts that S3 takes, in a number that S3 takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.archive.segments import MAX_PARTS, MIN_PART, PART_SIZE, PartCutter, part_size

MIB = 2**20
GIB = 2**30
TIB = 2**40

IMAGES = st.lists(
    st.one_of(st.integers(1, 300_000), st.integers(1, 40 * MIB), st.integers(1, 4 * GIB)),
    max_size=120,
)


def cut(images: list[int], size: int) -> list[list[int]]:
    cutter = PartCutter(sum(images), size)
    parts: list[list[int]] = []
    ended = True
    for image in images:
        if ended:
            parts.append([])
        parts[-1].append(image)
        ended = cutter.add(image, 1)
    return parts


@given(IMAGES, st.sampled_from([MIN_PART, PART_SIZE, 64 * MIB]))
def test_parts_that_s3_takes(images: list[int], size: int) -> None:
    parts = cut(images, size)
    assert [image for part in parts for image in part] == images
    assert all(sum(part) >= MIN_PART for part in parts[:-1])
    if len(parts) > 1:
        assert sum(parts[-1]) >= MIN_PART


@given(IMAGES)
def test_a_part_ends_as_soon_as_it_may(images: list[int]) -> None:
    """Without its last image no part was full, so memory is bounded by the part."""
    parts = cut(images, PART_SIZE)
    for part in parts[:-1]:
        assert sum(part[:-1]) < PART_SIZE <= sum(part)
    for index in range(len(parts[-1]) if parts else 0):
        if sum(parts[-1][index:]) >= MIN_PART:
            assert sum(parts[-1][:index]) < PART_SIZE


@pytest.mark.parametrize(
    ("count", "lengths"), [(4, [4]), (36, [16, 20]), (37, [16, 16, 5]), (40, [16, 16, 8])]
)
def test_a_short_tail_joins_its_predecessor(count: int, lengths: list[int]) -> None:
    assert [len(part) for part in cut([MIB] * count, PART_SIZE)] == lengths


# Ten thousand images in one example may take longer than a busy machine's deadline.
@settings(deadline=None)
@given(
    st.integers(0, 5 * TIB),
    st.floats(0, 1),
    st.sampled_from([MIB // 2, 3 * MIB, 33 * MIB, 700 * MIB, 4 * GIB]),
)
def test_the_parts_suffice(total: int, share: float, each: int) -> None:
    """Image parts, and then full parts of text up to the total."""
    all_images = min(int(total * share), each * 10_000)
    size = part_size(total)
    cutter = PartCutter(all_images, size)
    parts, left = 1, all_images
    while left:
        step = min(each, left)
        left -= step
        parts += cutter.add(step, 1)
    text_parts = -(-(total - all_images) // size)
    assert parts + text_parts <= MAX_PARTS


@pytest.mark.parametrize(("total", "parts"), [(GIB, 204), (44 * GIB, 2_816)])
def test_many_tiny_images_end_a_part_as_soon_as_they_may(total: int, parts: int) -> None:
    """But where such parts would be too many."""
    run, each = 64 * 2**10, 100
    cutter = PartCutter(total, PART_SIZE)
    cuts = [cutter.add(run, run // each) for _ in range(total // run)]
    assert 1 + sum(cuts) == pytest.approx(parts, rel=0.01)


def test_the_parts_suffice_for_five_tebibytes_of_photos() -> None:
    each = 10 * MIB
    count = 5 * TIB // each
    cutter = PartCutter(count * each, part_size(count * each))
    parts = 1 + sum(cutter.add(each, 1) for _ in range(count))
    assert 8_000 < parts <= MAX_PARTS


def test_part_size() -> None:
    assert part_size(0) == part_size(100 * GIB) == PART_SIZE
    assert part_size(9_000 * PART_SIZE) == PART_SIZE
    assert part_size(9_000 * PART_SIZE + 1) == PART_SIZE + 1
    assert part_size(5 * TIB) < 600 * MIB


def test_more_than_was_announced_is_refused() -> None:
    cutter = PartCutter(10, PART_SIZE)
    cutter.add(10, 1)
    with pytest.raises(ValueError, match="3 bytes more"):
        cutter.add(3, 1)


def test_a_part_below_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 5242880 bytes"):
        PartCutter(0, MIN_PART - 1)
