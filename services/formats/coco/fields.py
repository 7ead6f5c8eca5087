"""Fields of COCO rows beyond the standard: scalars of annotations become attributes, the rest is
named once a field.

Standard fields: cocodataset.org, "Data format"; `score` of the results format, and `attributes`
as CVAT and Datumaro write them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.formats.coco.document import CocoDocument
from services.formats.coco.values import is_empty, kind
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportIssue

_ANNOTATION = frozenset(
    (
        *("id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd"),
        *("keypoints", "num_keypoints", "score", "attributes"),
    )
)
_EXTRA = "extra"
_IMAGE = frozenset(("id", "file_name", "filename", "width", "height"))
_CATEGORY = frozenset(("id", "name", "supercategory", "keypoints", "skeleton", "color"))


def own_attributes(row: dict[str, Any]) -> dict[str, Any]:
    """The attributes that are fields of an annotation itself."""
    if row.keys() <= _ANNOTATION:
        return {}
    fields = {key: row[key] for key in row if key not in _ANNOTATION}
    # Darwin keeps attributes in an object.
    inner = fields.pop(_EXTRA, None)
    fields = {**(inner if isinstance(inner, dict) else {_EXTRA: inner}), **fields}
    return {key: value for key, value in fields.items() if _is_attribute(key, value)}


def _is_attribute(key: str, value: Any) -> bool:
    if key == "ignore" and is_empty(value):
        # Label Studio writes it everywhere, and means nothing by it.
        return False
    return isinstance(value, str | int | float) and value != "" and is_storable({key: value})


@dataclass(slots=True)
class _Field:
    """A field that is left out."""

    count: int
    #: The first one.
    example: Any


def left_out(documents: Sequence[CocoDocument]) -> list[ImportIssue]:
    """The fields that nothing becomes of, each once with its count; empty ones are none."""
    fields: dict[tuple[str, str], _Field] = {}
    for document in documents:
        _count(fields, "the document", [document.rest], frozenset())
        _count(fields, "images", document.images, _IMAGE)
        _count(fields, "categories", document.categories, _CATEGORY)
        for row in document.annotations:
            if not isinstance(row, dict) or row.keys() <= _ANNOTATION:
                continue
            given = row.get("attributes")
            given = given if isinstance(given, dict) else {}
            for key in row.keys() - _ANNOTATION:
                value = row[key]
                if key == _EXTRA and isinstance(value, dict):
                    value = {k: v for k, v in value.items() if not _is_attribute(k, v)}
                is_kept = given.get(key, value) == value and _is_attribute(key, value)
                if not is_kept and not is_empty(value):
                    _add(fields, ("annotations", key), value)
    return [
        ImportIssue(
            f"field {shown(key)} of {place}",
            "FIELD_LEFT_OUT",
            f"{found.count:,} times, such as {_example(found.example)}; Cartouche has no place "
            "for it",
        )
        for (place, key), found in sorted(fields.items())
    ]


def _count(
    fields: dict[tuple[str, str], _Field], place: str, rows: Iterable[Any], known: frozenset[str]
) -> None:
    for row in rows:
        if isinstance(row, dict) and not row.keys() <= known:
            for key in row.keys() - known:
                if not is_empty(row[key]):
                    _add(fields, (place, key), row[key])


def _add(fields: dict[tuple[str, str], _Field], name: tuple[str, str], value: Any) -> None:
    found = fields.setdefault(name, _Field(0, value))
    found.count += 1


def _example(value: Any) -> str:
    return kind(value) if isinstance(value, dict | list) else shown(value)
