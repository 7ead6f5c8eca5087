"""An export's claim as formats see it."""

from importlib.metadata import version

from services.exports.claims import ExportClaim
from services.formats.common.export import ExportInfo
from workers.archive.deflate import DEFLATE
from workers.failures import OtherDeflate

#: Cartouche's own; it stands in every manifest.
VERSION = version("cartouche")


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
    )


def check_deflate(claim: ExportClaim) -> None:
    """To be called before text of an export is deflated that another worker may have begun.

    Raises:
        OtherDeflate: this worker would make other bytes than the one that froze the snapshot.
    """
    begun = claim.snapshot.get("deflate", DEFLATE)
    if begun != DEFLATE:
        raise OtherDeflate(begun, DEFLATE)
