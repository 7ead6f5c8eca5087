"""Run by Datumaro's Python: every annotation that it loads.

Arguments: the unpacked archive, the name of Datumaro's format, the folders of the archive
that are datasets of that format, the file to write.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from datumaro import Dataset
from datumaro.components.annotation import AnnotationType as Kind

folder, name, *roots, answer = sys.argv[1:]
place = Path(folder).resolve()


def row_of(annotation: Any) -> dict[str, Any]:
    """An annotation's kind and what that needs."""
    if annotation.type == Kind.bbox:
        return {"kind": "box", "box": list(map(float, annotation.get_bbox()))}
    if annotation.type == Kind.rotated_bbox:
        return {"kind": "turned", "turned": list(map(float, annotation.get_rotated_bbox()))}
    if annotation.type == Kind.mask:
        set_rows, set_columns = np.nonzero(np.asarray(annotation.image))
        left, top = int(set_columns.min()), int(set_rows.min())
        part = np.asarray(annotation.image)[top : set_rows.max() + 1, left : set_columns.max() + 1]
        return {"kind": "mask", "left": left, "top": top, "pixels": part.astype(int).tolist()}
    points = np.reshape(annotation.points, (-1, 2)).tolist()
    if annotation.type == Kind.polygon:
        return {"kind": "ring", "rings": [points]}
    if annotation.type == Kind.polyline:
        return {"kind": "line", "points": points}
    flags = [int(flag.value) for flag in annotation.visibility]
    return {"kind": "points", "points": points, "flags": flags}


images = []
for root in roots:
    dataset = Dataset.import_from(str(place / root), name)
    labels = dataset.categories()[Kind.label]
    for item in dataset:
        rows = []
        for annotation in item.annotations:
            common = {"class": labels[annotation.label].name, "group": annotation.group or 0}
            rows.append({**common, **row_of(annotation)})
        path = str(Path(item.media.path).resolve().relative_to(place))
        size = list(map(int, reversed(item.media.size)))
        images.append({"path": path, "subset": item.subset, "size": size, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
