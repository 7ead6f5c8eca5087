"""`manifest.json` and `README.txt`, which every archive has at its root.

Both end with what is known only when the last segment is built: counts and losses. The
manifest names neither the export nor the time, so that equal exports are equal bytes.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.writer import Document, Rendered
from services.formats.registry import FORMATS

MANIFEST_PATH = "manifest.json"
README_PATH = "README.txt"
SECTION = "files"


def document(info: ExportInfo) -> Document:
    """The manifest's beginning and its list of files; `tail` ends it."""
    format_ = FORMATS[info.format]
    positions = {c.name: position for position, c in enumerate(info.classes)}
    head: dict[str, Any] = {
        "format": info.format,
        "layout_version": format_.layout_version,
        "cartouche_version": info.cartouche_version,
        "parameters": {
            "dataset_id": info.dataset_id,
            "dataset_name": info.dataset_name,
            "include_images": info.include_images,
            "class_filter": list(info.class_filter),
            "status_filter": info.status_filter,
            "include_unannotated": info.include_unannotated,
            "organize_by_split": info.organize_by_split,
        },
        # The id in this archive, and the position in the dataset's own list, from 0.
        "classes": [
            {"id": number, "name": c.name, "position": positions[c.name]}
            for number, c in enumerate(info.selected_classes, format_.first_class_id)
        ],
    }
    frame = orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "files": [\n'
    return Document(MANIFEST_PATH, (SECTION,), (frame, b""))


def row(image: ExportImage, info: ExportInfo, rendered: Rendered) -> bytes:
    """The manifest's line for an image: where it came from, where it and its text lie."""
    return orjson.dumps(
        {
            "id": image.id,
            "path": image.path,
            "file": FORMATS[info.format].writer.image_path(image, info),
            "size": image.size,
            "sha256": image.sha256,
            "annotation_files": [path for path, _ in rendered.files],
        }
    )


def tail(image_count: int, annotation_count: int, losses: LossReport) -> bytes:
    """What follows the list of files: counts of the archive, and what it could not hold."""
    value = {
        "image_count": image_count,
        "annotation_count": annotation_count,
        "losses": losses.to_json(),
    }
    return b"\n  ],\n" + orjson.dumps(
        value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    ).removeprefix(b"{\n")


def count(lines: Iterator[bytes]) -> int:
    """How many files the manifest lists.

    Raises:
        ValueError: the manifest does not parse, or its count is another.
    """
    around: list[bytes] = []
    listed = 0
    within = False
    for line in lines:
        if line == b'  "files": [':
            within = True
            around.append(line)
        elif within and line == b"  ],":
            within = False
            around.append(line)
        elif within:
            orjson.loads(line.removesuffix(b","))
            listed += 1
        else:
            around.append(line)
    value = orjson.loads(b"\n".join(around))
    if value["image_count"] != listed:
        raise ValueError(f"it says {value['image_count']} images and lists {listed}")
    return listed


def image_count(manifest: Document) -> int:
    """How many images a manifest says that there are, whose rows are left out here.

    Raises:
        ValueError: its frame does not parse.
    """
    return int(orjson.loads(b"".join(manifest.frame))["image_count"])


def readme(info: ExportInfo, image_count: int, annotation_count: int, losses: LossReport) -> bytes:
    """The text for people: what is in the archive, where, and what is not."""
    lines = [
        f"{info.dataset_name}: {info.format} export",
        "",
        f"{image_count} images, {annotation_count} annotations, "
        f"{len(info.selected_classes)} classes.",
    ]
    if not info.include_images:
        lines.append("The image files are not included; the paths say where they would lie.")
    if info.class_filter:
        lines.append(f"Only these classes: {', '.join(info.class_filter)}.")
    if info.status_filter:
        lines.append(f"Only images with the status: {info.status_filter}.")
    lines += ["", "What lies where", FORMATS[info.format].writer.layout(info).rstrip("\n")]
    lines += [f"{MANIFEST_PATH}   every image with its original path, size and SHA-256", ""]
    lines.append("What this format could not hold as it was")
    report = losses.to_json()
    for kind, reasons in report.items():
        lines += [f"{kind}: {reason['count']} ({reason['reason']})" for reason in reasons]
    if not report:
        lines.append("nothing")
    else:
        lines.append(f"The first ids of each stand in {MANIFEST_PATH} under losses.")
    return "\n".join([*lines, ""]).encode()
