"""Run by supervision's Python: the boxes that it loads from a YOLO archive.

Arguments: the unpacked archive, "obb" or another task, the file to write.
"""

import json
import sys
from pathlib import Path

from supervision import DetectionDataset

folder, task, answer = sys.argv[1:]
root = Path(folder).resolve()
images = []
for place in sorted(path for path in root.glob("**/images/") if any(path.iterdir())):
    inner = [path for path in place.iterdir() if path.is_dir()] or [place]
    for where in inner:
        labels = str(where).replace("/images", "/labels")
        dataset = DetectionDataset.from_yolo(
            str(where), labels, str(root / "data.yaml"), is_obb=task == "obb"
        )
        for path, _, found in dataset:
            rows = []
            for i, (left, top, right, bottom) in enumerate(found.xyxy.tolist()):
                name = dataset.classes[int(found.class_id[i])]
                rows.append({"class": name, "box": [left, top, right - left, bottom - top]})
            images.append({"path": str(Path(path).relative_to(root)), "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
