"""Run by Datumaro's Python: the boxes, plain and rotated, that it loads from an archive.

Arguments: the unpacked archive, the name of Datumaro's format, the file to write.
"""

import json
import sys
from pathlib import Path

from datumaro import Dataset
from datumaro.components.annotation import AnnotationType

folder, name, answer = sys.argv[1:]
dataset = Dataset.import_from(folder, name)
labels = dataset.categories()[AnnotationType.label]
images = []
for item in dataset:
    rows = []
    for annotation in item.annotations:
        row = {"class": labels[annotation.label].name}
        if annotation.type == AnnotationType.rotated_bbox:
            row["turned"] = list(map(float, annotation.get_rotated_bbox()))
            row["difficult"] = annotation.attributes["difficulty"]
        else:
            row["box"] = list(map(float, annotation.get_bbox()))
        rows.append(row)
    path = Path(item.media.path).resolve().relative_to(Path(folder).resolve())
    images.append({"path": str(path), "subset": item.subset, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
