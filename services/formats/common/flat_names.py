"""File names without folders, for readers that take none."""

from services.catalog.names import MAX_COMPONENT, split_extension
from services.formats.common.export import ExportImage
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import FLATTENED


def flat_name(image: ExportImage) -> str:
    """The image's name in an archive, with its folders as a part of the file name.

    It then ends with `~number`, which no other image's name does, so that names stay
    unique by stem and whatever the case.
    """
    folder, slash, name = image.name.rpartition("/")
    if not slash:
        return name
    stem, extension = split_extension(name)
    suffix = f"~{image.number}"
    ending = f"{suffix}{extension}"
    if not extension:
        # A dot of a folder would begin one.
        folder = folder.replace(".", "_")
    head = f"{folder.replace('/', '_')}_{stem.removesuffix(suffix)}"
    room = MAX_COMPONENT - len(ending.encode())
    return head.encode()[:room].decode(errors="ignore").rstrip(" .") + ending


def flat_stem(image: ExportImage) -> str:
    """The same without its extension, by which readers find an image's text; unique too."""
    return split_extension(flat_name(image))[0]


def report_flat_name(image: ExportImage, losses: LossReport) -> None:
    """Reports the name, unless the archive has another than the dataset anyway."""
    if "/" in image.name and image.name == image.path:
        losses.add(FLATTENED, image.id)
