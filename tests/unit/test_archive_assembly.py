"""The end of an archive: documents that need what only the whole archive knows."""

import io
import zipfile

import yaml

from services.formats.common.export import ExportImage
from tests.unit.formats.archives import box, image, info
from workers.archive_assembly import Assembly
from workers.segment_manifest import PlannedImage
from workers.segment_text import SegmentText
from workers.staging import MemoryStaging


def test_splits_of_all_segments_decide_how_data_yaml_ends() -> None:
    export = info("yolo", class_filter=("car",))
    staging = MemoryStaging()
    results = []
    for number, split in enumerate(("test", "val", "test"), 1):
        text = SegmentText(export)
        one: ExportImage = image([box(str(number), 1, 1, 5, 5)], number, number, split=split)
        text.add([PlannedImage(one, "key", 0)])
        staged, result = text.pieces()
        for key, pieces in staged.items():
            staging.put(f"{number}-{key}", pieces)
        results.append({**result, "stage": f"{number}-"})
    assembly = Assembly(export, results, staging)
    data = b"".join(assembly)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert yaml.safe_load(archive.read("data.yaml")) == {
            "train": "images/val",
            "val": "images/val",
            "test": "images/test",
            "nc": 1,
            "names": {0: "car"},
        }
        manifest = archive.read("manifest.json").decode()
        readme = archive.read("README.txt").decode()
    reason = "no image is of the split train: data.yaml names those of val"
    assert reason in manifest
    assert reason in readme
    assert assembly.summary.split_counts == {"test": 2, "val": 1}
    assert assembly.summary.losses.total("degraded") == 1
