"""Where segments end: parts that S3 takes, in a number that S3 takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.archive.segments import MAX_PARTS, MIN_PART, PART_SIZE, SegmentCutter, part_size

MIB = 2**20
GIB = 2**30
TIB = 2**40

#: Image bytes and text bytes of one image.
Image = tuple[int, int]

IMAGES = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 300_000), st.integers(1, 40 * MIB), st.integers(1, 4 * GIB)),
        st.one_of(st.integers(0, 20_000), st.integers(0, 200 * MIB)),
    ),
    max_size=120,
)
TEXT_LIMITS = st.integers(1, 64 * MIB)


def cut(images: list[Image], size: int, text_limit: int) -> list[list[Image]]:
    cutter = SegmentCutter(image_bytes(images), size, text_limit)
    segments: list[list[Image]] = []
    ended = True
    for image in images:
        if ended:
            segments.append([])
        segments[-1].append(image)
        ended = cutter.add(*image)
    return segments


def image_bytes(segment: list[Image]) -> int:
    return sum(image for image, _ in segment)


def text_bytes(segment: list[Image]) -> int:
    return sum(text for _, text in segment)


@given(IMAGES, st.sampled_from([MIN_PART, PART_SIZE, 64 * MIB]), TEXT_LIMITS)
def test_parts_that_s3_takes(images: list[Image], size: int, text_limit: int) -> None:
    segments = cut(images, size, text_limit)
    assert [image for segment in segments for image in segment] == images
    assert all(image_bytes(segment) >= MIN_PART for segment in segments[:-1])
    if len(segments) > 1:
        assert image_bytes(segments[-1]) >= MIN_PART


@given(IMAGES, TEXT_LIMITS)
def test_a_part_ends_as_soon_as_it_may(images: list[Image], text_limit: int) -> None:
    """Without its last image no part was full, so memory is bounded by the part."""
    segments = cut(images, PART_SIZE, text_limit)
    for segment in segments[:-1]:
        assert image_bytes(segment[:-1]) < PART_SIZE
        assert image_bytes(segment) >= PART_SIZE or text_bytes(segment) >= text_limit
    for index in range(len(segments[-1]) if segments else 0):
        if image_bytes(segments[-1][index:]) >= MIN_PART:
            assert image_bytes(segments[-1][:index]) < PART_SIZE


@given(st.lists(st.tuples(st.just(0), st.integers(0, 5000)), max_size=60), st.integers(1, 20_000))
def test_text_alone_is_cut_by_its_limit(images: list[Image], text_limit: int) -> None:
    segments = cut(images, PART_SIZE, text_limit)
    assert [image for segment in segments for image in segment] == images
    assert all(text_bytes(segment) >= text_limit for segment in segments[:-1])
    assert all(text_bytes(segment[:-1]) < text_limit for segment in segments)


@pytest.mark.parametrize(
    ("text_limit", "lengths"),
    [(32 * MIB, [8] * 5), (8 * MIB, [5] * 8), (999 * MIB, [16, 16, 8])],
)
def test_much_text_cuts_early(text_limit: int, lengths: list[int]) -> None:
    images = [(MIB, 4 * MIB)] * 40
    assert [len(segment) for segment in cut(images, PART_SIZE, text_limit)] == lengths


@pytest.mark.parametrize(("count", "lengths"), [(36, [16, 20]), (37, [16, 16, 5])])
def test_a_short_tail_joins_its_predecessor(count: int, lengths: list[int]) -> None:
    images = [(MIB, 0)] * count
    assert [len(segment) for segment in cut(images, PART_SIZE, MIB)] == lengths


# Ten thousand images in one example may take longer than a busy machine's deadline.
@settings(deadline=None)
@given(
    st.integers(0, 5 * TIB),
    st.floats(0, 1),
    st.sampled_from([MIB // 2, 3 * MIB, 33 * MIB, 700 * MIB, 4 * GIB]),
    st.sampled_from([0, 100_000, 500 * MIB]),
)
def test_the_parts_suffice(total: int, share: float, each: int, text: int) -> None:
    """Image parts, and then full parts of text up to the total."""
    all_images = min(int(total * share), each * 10_000)
    size = part_size(total)
    cutter = SegmentCutter(all_images, size, 16 * MIB)
    parts, left = 1, all_images
    while left:
        step = min(each, left)
        left -= step
        parts += cutter.add(step, text)
    text_parts = -(-(total - all_images) // size)
    assert parts + text_parts <= MAX_PARTS


@pytest.mark.parametrize("text", [0, MIB])
def test_the_parts_suffice_for_five_tebibytes_of_photos(text: int) -> None:
    each = 10 * MIB
    count = 5 * TIB // each
    cutter = SegmentCutter(count * each, part_size(count * each), 16 * MIB)
    parts = 1 + sum(cutter.add(each, text) for _ in range(count))
    assert 8_000 < parts <= MAX_PARTS


def test_dense_text_leaves_parts_for_itself() -> None:
    """45 GiB of thumbnails under 1 TiB of text: early parts and text parts share the numbers."""
    images, each, text = 45 * GIB, 256 * 2**10, 6 * MIB
    count = images // each
    size = part_size(images + count * text)
    cutter = SegmentCutter(images, size, 32 * MIB)
    parts = 1 + sum(cutter.add(each, text) for _ in range(count))
    assert parts > images // size + 500
    assert parts + -(-count * text // size) <= MAX_PARTS


def test_part_size() -> None:
    assert part_size(0) == part_size(100 * GIB) == PART_SIZE
    assert part_size(9_000 * PART_SIZE) == PART_SIZE
    assert part_size(9_000 * PART_SIZE + 1) == PART_SIZE + 1
    assert part_size(5 * TIB) < 600 * MIB


def test_more_than_was_announced_is_refused() -> None:
    cutter = SegmentCutter(10, PART_SIZE, MIB)
    cutter.add(10, 0)
    with pytest.raises(ValueError, match="3 bytes more"):
        cutter.add(3, 0)


def test_a_part_below_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 5242880 bytes"):
        SegmentCutter(0, MIN_PART - 1, MIB)
