"""Annotations that several COCO documents hold: `all.json` beside `train.json` and `val.json`."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from services.formats.coco.categories import Category, Id
from services.formats.coco.document import CocoDocument
from services.formats.coco.matching import ListedImage
from services.formats.coco.values import filled, identifier, numbers
from services.formats.common.source import ImportIssue

#: A row with the position of its document.
_Row: TypeAlias = tuple[int, dict[str, Any]]


def leave_out_repeats(
    found: Iterable[ListedImage],
    categories: Sequence[dict[Id, Category]],
    documents: Sequence[CocoDocument],
) -> list[ImportIssue]:
    """Counts an annotation once where several documents hold it: of the same image, category,
    box, outline and joints. Rows of one document never stand for each other.

    Returns:
        How many of a document's annotations another one before it has; nothing is lost of them.
    """
    counts: Counter[tuple[int, int]] = Counter()
    for image in found:
        if len({position for position, _ in image.annotations}) > 1:
            image.annotations = _once(image.annotations, categories, counts)
    return [
        ImportIssue(
            documents[position].file.where,
            "ANNOTATION_TWICE",
            f"{count:,} annotations are also in {documents[first].file.where}; each counts once",
        )
        for (position, first), count in sorted(counts.items())
    ]


def _once(
    rows: list[_Row],
    categories: Sequence[dict[Id, Category]],
    counts: Counter[tuple[int, int]],
) -> list[_Row]:
    kept: list[tuple[bytes | None, _Row]] = []
    for position, group in groupby(rows, itemgetter(0)):
        earlier: dict[bytes, deque[_Row]] = defaultdict(deque)
        for key, kept_row in kept:
            if key is not None:
                earlier[key].append(kept_row)
        for _, row in group:
            key = _key(row, categories[position])
            if key is not None and (same := earlier.get(key)):
                first, known = same.popleft()
                known.update(filled(known, row))
                counts[position, first] += 1
            else:
                kept.append((key, (position, row)))
    return [row for _, row in kept]


def _key(row: dict[str, Any], categories: dict[Id, Category]) -> bytes | None:
    """What an annotation of an image is known by; None: nothing that tells it from others."""
    category_id = identifier(row.get("category_id"))
    category = None if category_id is None else categories.get(category_id)
    box, joints = numbers(row.get("bbox")), numbers(row.get("keypoints"))
    outline = row.get("segmentation") or None
    if isinstance(outline, list):
        outline = numbers(outline) or [numbers(ring) or ring for ring in outline]
    if category is None or not (box or joints or outline):
        return None
    try:
        return orjson.dumps([category.name, box or None, outline, joints or None])
    except orjson.JSONEncodeError:
        # Nested too deep, or numbers without end: no outline that is read.
        return None
