"""How large an archive will be, from what is known of its images before any text is written."""

from dataclasses import dataclass

from services.catalog.selection import ImageTotals

#: What every archive has: README.txt, heads of documents, the end of the directory.
_FIXED = 1_500
#: ZIP headers of an entry, local and central, without its name.
_HEADERS = 76
#: An image's line in manifest.json, deflated: its hash and id do not shrink.
_MANIFEST_LINE = 70


@dataclass(frozen=True, slots=True)
class _Text:
    """What a format writes, deflated, as measured on real boxes, outlines and keypoints."""

    #: Bytes an image without annotations.
    image: float
    #: Bytes for each byte of its annotations as the catalog stores them.
    annotations: float
    #: Bytes for each annotation, where the format writes a few numbers of any shape.
    annotation: float = 0.0
    #: Files for each image.
    files: int = 1


_TEXT = {
    "pictograph": _Text(250, 0.25),
    "darwin": _Text(370, 0.25),
    "coco": _Text(10, 0.15, files=0),
    "yolo": _Text(30, 0.12),
    "yolo_obb": _Text(30, 0, 25),
    "yolo_pose": _Text(30, 0, 8),
    "dota": _Text(40, 0, 20),
    "pascal_voc": _Text(250, 0, 32),
    "cvat": _Text(10, 0.12, files=0),
    "datumaro": _Text(10, 0.12, files=0),
    "labelme": _Text(130, 0.24),
    "csv": _Text(25, 0.26, files=0),
}


def estimated_size(
    format_name: str,
    images: ImageTotals,
    selected_count: int,
    written_count: int,
    *,
    include_images: bool,
) -> int:
    """Bytes of an archive. `selected_count` of the images' annotations are selected, and
    `written_count` of them are in it."""
    if not images.image_count:
        return 0
    text = _TEXT[format_name]
    entries = text.files + include_images
    # Names stand in the local header and in the directory.
    headers = entries * (images.image_count * _HEADERS + 2 * images.path_bytes)
    selected_share = selected_count / images.annotation_count if images.annotation_count else 0.0
    return round(
        _FIXED
        + headers
        + (images.image_bytes if include_images else 0)
        + images.image_count * (_MANIFEST_LINE + text.image)
        + images.annotation_bytes * selected_share * text.annotations
        + written_count * text.annotation
    )
