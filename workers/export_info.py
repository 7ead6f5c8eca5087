"""An export's claim as formats see it."""

from importlib.metadata import version

from services.exports.claims import ExportClaim
from services.formats.common.export import ExportInfo

_VERSION = version("cartouche")


def export_info(claim: ExportClaim) -> ExportInfo:
    """What is the same for every image of the export."""
    wanted = frozenset(claim.class_filter)
    return ExportInfo(
        organization_id=claim.organization_id,
        dataset_id=claim.dataset_id,
        dataset_name=claim.dataset_name,
        format=claim.format,
        classes=claim.classes,
        include_images=claim.include_images,
        # In class order, so that equal selections are equal bytes.
        class_filter=tuple(c.name for c in claim.classes if c.name in wanted),
        status_filter=claim.status_filter,
        include_unannotated=claim.include_unannotated,
        organize_by_split=claim.organize_by_split,
        cartouche_version=claim.snapshot.get("cartouche_version", _VERSION),
    )
