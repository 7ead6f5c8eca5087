"""How large an archive will be, from what is known of its images before any text is written."""

from dataclasses import dataclass

from services.catalog.selection import ImageTotals

#: What every archive has: README.txt, heads of documents, the end of the directory.
_FIXED = 2_000
#: ZIP headers of an entry, local and central, without its name.
_HEADERS = 76
#: An image's line in manifest.json, deflated; its hash does not shrink.
_MANIFEST_LINE = 130


@dataclass(frozen=True, slots=True)
class _Text:
    """What a format writes, deflated, as measured on photographs, cells and aerial images."""

    #: Bytes an image without annotations.
    image: int
    #: Bytes for each byte of its annotations as the catalog stores them.
    annotations: float
    #: Files for each image.
    files: int


_TEXT = {
    "pictograph": _Text(300, 0.3, 1),
}


def estimated_size(
    format_name: str, images: ImageTotals, selected_share: float, *, include_images: bool
) -> int:
    """Bytes of an archive; `selected_share` is the part of the images' annotations in it."""
    if not images.image_count:
        return 0
    text = _TEXT[format_name]
    entries = images.image_count * (text.files + include_images)
    # Names stand in the local header and in the directory.
    names = 2 * images.path_bytes * (text.files + include_images)
    return (
        _FIXED
        + (images.image_bytes if include_images else 0)
        + entries * _HEADERS
        + names
        + images.image_count * (_MANIFEST_LINE + text.image)
        + round(images.annotation_bytes * selected_share * text.annotations)
    )
