"""Run by supervision's Python: the boxes that it loads from COCO or Pascal VOC.

Arguments: the unpacked archive, "coco" or "pascal_voc", for each dataset in the archive its
folder of images and its document or folder of annotations, the file to write.
"""

import json
import sys
from pathlib import Path

from supervision import DetectionDataset

folder, kind, *places, answer = sys.argv[1:]
root = Path(folder).resolve()
images = []
for pictures, annotations in zip(places[::2], places[1::2], strict=True):
    where = str(root / pictures), str(root / annotations)
    load = DetectionDataset.from_coco if kind == "coco" else DetectionDataset.from_pascal_voc
    dataset = load(*where)
    for path, picture, found in dataset:
        rows = []
        for i, (left, top, right, bottom) in enumerate(found.xyxy.tolist()):
            name = dataset.classes[int(found.class_id[i])]
            rows.append(
                {"class": name, "kind": "box", "box": [left, top, right - left, bottom - top]}
            )
        size = [picture.shape[1], picture.shape[0]]
        path = str(Path(path).resolve().relative_to(root))
        images.append({"path": path, "size": size, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
