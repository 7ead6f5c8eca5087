"""Run by Ultralytics' Python: what its trainer loads from an archive.

Arguments: the unpacked archive, the task, the file to write. The answer has one entry for
each image that it takes: path, labels as pixels, and the class names of data.yaml.
"""

import json
import sys
from pathlib import Path

from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
from ultralytics.utils import USER_CONFIG_DIR

folder, task, answer = sys.argv[1:]
# Else it tries to download one where a class name is not ASCII.
for font in ("Arial.ttf", "Arial.Unicode.ttf"):
    (Path(USER_CONFIG_DIR) / font).touch()
data = check_det_dataset(str(Path(folder) / "data.yaml"), autodownload=False)
images = []
for place in dict.fromkeys(data[split] for split in ("train", "val", "test") if data.get(split)):
    for label in YOLODataset(img_path=place, data=data, task=task, augment=False).labels:
        height, width = label["shape"]
        rows = []
        for i, (x, y, w, h) in enumerate(label["bboxes"].tolist()):
            row = {
                "class": data["names"][int(label["cls"][i][0])],
                "box": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height],
            }
            if label["segments"]:
                row["ring"] = [[x * width, y * height] for x, y in label["segments"][i].tolist()]
            if label["keypoints"] is not None:
                joints = label["keypoints"][i].tolist()
                row["joints"] = [[x * width, y * height, v] for x, y, v in joints]
            rows.append(row)
        path = Path(label["im_file"]).relative_to(Path(folder).resolve())
        images.append({"path": str(path), "size": [width, height], "rows": rows})
names = [data["names"][number] for number in sorted(data["names"])]
settings = {key: data.get(key) for key in ("nc", "kpt_shape", "flip_idx", "kpt_names")}
Path(answer).write_text(json.dumps({"names": names, "images": images, **settings}))
