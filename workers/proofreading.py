"""Text of archives read as the users of its format will, before anybody may have it.

Whoever renders text reads it while it is at hand. The check of the finished archive then compares
its bytes with those that were read, and reads only what nobody has read yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from services.formats import manifest
from services.formats.common.export import ExportInfo
from services.formats.common.loss_report import LossReport
from services.formats.common.writer import Document
from services.formats.registry import FORMATS
from services.storage import StorageError
from workers.leases import ClaimLost
from workers.lines import lines_of


class ArchiveDamaged(Exception):
    """The archive, or a part of it, is not what it should be: it is built again, and not handed
    out."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the archive did not pass its check: {problem}")


@dataclass(slots=True)
class Counts:
    """What text holds that was read: images and annotations of the format's files, and images that
    the manifest lists."""

    images: int = 0
    annotations: int = 0
    listed: int = 0

    def __iadd__(self, other: "Counts") -> Self:
        self.images += other.images
        self.annotations += other.annotations
        self.listed += other.listed
        return self


class Proofreader:
    """Reads text, and adds up what it holds."""

    def __init__(self, info: ExportInfo) -> None:
        self.counts = Counts()
        self._info = info
        self._format = FORMATS[info.format].writer

    def read(self, path: str, lines: Iterator[bytes]) -> None:
        """Reads a file of the archive to its end.

        Raises:
            ArchiveDamaged: it is not as its readers take it.
        """
        try:
            if path == manifest.MANIFEST_PATH:
                self.counts.listed += manifest.count(lines)
            elif path != manifest.README_PATH:
                tally = self._format.read(path, lines, self._info)
                self.counts.images += tally.image_count
                self.counts.annotations += tally.annotation_count
            for _ in lines:
                pass
        except (ArchiveDamaged, ClaimLost, StorageError, MemoryError):
            raise
        except Exception as error:
            # What a reader meets in text that it did not write is for nobody to list: it reads
            # before the CRC-32 of the text is known.
            raise ArchiveDamaged(f"{path}: {error}") from error

    def read_rows(self, document: Document, rows: Mapping[str, bytes], images: int) -> None:
        """Reads rows of a document by section, as a document that has no others; where it is the
        manifest, they are about so many images.

        Raises:
            ArchiveDamaged: as `read`.
        """
        frame = document.frame
        if document.path == manifest.MANIFEST_PATH:
            frame = (*frame[:-1], manifest.tail(images, 0, LossReport()))
        pieces = [frame[0]]
        for section, piece in zip(document.sections, frame[1:], strict=True):
            pieces += (rows.get(section, b""), piece)
        self.read(document.path, lines_of(pieces))

    def read_frame(self, document: Document, images: int) -> None:
        """Reads a document without its rows; the manifest must say that the archive has so many
        images.

        Raises:
            ArchiveDamaged: as `read`.
        """
        if document.path != manifest.MANIFEST_PATH:
            self.read_rows(document, {}, 0)
        elif (said := manifest.image_count(document)) != images:
            raise ArchiveDamaged(f"its manifest says {said} images, not {images}")


def compare(counts: Counts, image_count: int, annotation_count: int) -> None:
    """Raises:
    ArchiveDamaged: the text does not hold what was built.
    """
    if counts != Counts(image_count, annotation_count, image_count):
        raise ArchiveDamaged(
            f"its files hold {counts.images} images and {counts.annotations} annotations, and its "
            f"manifest {counts.listed} images, where {image_count} and {annotation_count} were "
            "built"
        )
