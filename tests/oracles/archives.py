"""Archives from a running Cartouche, unpacked for the oracles."""

import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.class_messages import class_message, class_of
from services.formats.common.export import ExportInfo
from tests.datasets import put, read, unique
from tests.exports import completed, download
from tests.oracles.material import Material
from tests.oracles.model import SourceImage
from tests.stack import Stack

#: What the store takes at least, so that many segments need few images.
PART_SIZE = 5 * 1024 * 1024


@dataclass(frozen=True)
class Dataset:
    """Material that has been put into a running Cartouche."""

    stack: Stack
    name: str
    material: Material


@dataclass(frozen=True)
class Unpacked:
    """An archive on disk, and what it must hold."""

    folder: Path
    source: Sequence[SourceImage]
    info: ExportInfo
    size: int


def put_material(stack: Stack, material: Material) -> Dataset:
    """Puts a dataset.

    Raises:
        AssertionError: an image was not taken.
    """
    name = unique(material.name)
    classes = [class_message(c) for c in material.classes]
    for answer in put(stack, name, material.pictures, classes=classes):
        assert answer.result == pb.PUT_IMAGE_RESULT_CREATED, answer
    return Dataset(stack, name, material)


@contextmanager
def unpacked(
    dataset: Dataset, format_: str, *, class_filter: tuple[str, ...] = (), by_split: bool = False
) -> Iterator[Unpacked]:
    """An archive of the dataset with its images; the folder is gone afterwards."""
    stack = dataset.stack
    classes = tuple(class_of(c) for c in read(stack, dataset.name).classes)
    export = completed(
        stack,
        dataset.name,
        format=format_,
        include_images=True,
        class_filter=class_filter,
        organize_by_split=by_split,
    )
    data = download(stack, export.id)
    info = ExportInfo(
        organization_id=export.organization_id,
        dataset_id=export.dataset_id,
        dataset_name=dataset.name,
        format=format_,
        classes=classes,
        include_images=True,
        class_filter=class_filter,
        organize_by_split=by_split,
    )
    with tempfile.TemporaryDirectory(prefix=f"oracle-{format_}-") as folder:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)
        yield Unpacked(Path(folder), _selected(dataset.material, class_filter), info, len(data))


def _selected(material: Material, class_filter: tuple[str, ...]) -> list[SourceImage]:
    """The images that an export takes: with a filter, those that have something of it."""
    if not class_filter:
        return material.source
    return [
        replace(image, annotations=kept)
        for image in material.source
        if (kept := [row for row in image.annotations if row["name"] in class_filter])
    ]
