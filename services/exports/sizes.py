"""How large an archive will be, from what is known of its images before any text is written."""

from services.catalog.selection import ImageTotals
from services.formats.registry import FORMATS

#: What every archive has: README.txt, heads of documents, the end of the directory.
_FIXED = 1_500
#: ZIP headers of an entry, local and central, without its name.
_HEADERS = 76
#: An image's line in manifest.json, deflated: its hash and id do not shrink.
_MANIFEST_LINE = 70


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
    text = FORMATS[format_name].text_size
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
