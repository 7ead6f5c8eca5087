"""Archives in Roboflow's COCO layout, read by pycocotools, Datumaro and supervision."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import SPLIT_FOLDERS, ExportInfo
from tests.oracles.coco import DATUMARO, PYCOCOTOOLS, SUPERVISION, outlined
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import compare

_DOCUMENTS = tuple(f"{folder}_annotations.coco.json" for folder in SPLIT_FOLDERS.values())


def pycocotools(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every annotation of the three documents, rasters and poses too."""
    answer = read("datumaro", "pycocotools_objects", folder, *_DOCUMENTS)
    return compare(folder, source, info, answer["images"], PYCOCOTOOLS)


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """What Datumaro finds by itself under the root of the archive."""
    answer = read("datumaro", "datumaro_shapes", folder, "roboflow_coco", ".")
    images = [{**image, "rows": outlined(image["rows"])} for image in answer["images"]]
    return compare(folder, source, info, images, DATUMARO)


def supervision(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """The boxes that supervision finds, split by split."""
    places = [
        place
        for part, document in zip(SPLIT_FOLDERS.values(), _DOCUMENTS, strict=True)
        for place in (part, document)
    ]
    answer = read("datumaro", "supervision_boxes", folder, "coco", *places)
    return compare(folder, source, info, answer["images"], SUPERVISION)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"pycocotools": pycocotools, "datumaro": datumaro, "supervision": supervision}
