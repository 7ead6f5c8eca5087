"""Run by a Python with pycocotools: every annotation that it loads from COCO documents.

Arguments: the unpacked archive, its documents, the file to write.
"""

import json
import sys
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

folder, *documents, answer = sys.argv[1:]
place = Path(folder).resolve()
images = []
for document in documents:
    coco = COCO(str(place / document))
    if len(coco.anns) != len(coco.dataset["annotations"]):
        sys.exit(f"{document} has ids that occur twice")
    root = Path(document).parents[1] / "images"
    if Path(document).name == "_annotations.coco.json":
        # Roboflow's layout has the images beside it.
        root = Path(document).parent
    for image in coco.imgs.values():
        rows = []
        for found in coco.loadAnns(coco.getAnnIds(image["id"])):
            row = {"class": coco.cats[found["category_id"]]["name"], "box": found["bbox"]}
            shape = found["segmentation"]
            if "keypoints" in found:
                triplets = np.reshape(found["keypoints"], (-1, 3)).tolist()
                row |= {
                    "kind": "points",
                    "points": [triplet[:2] for triplet in triplets],
                    "flags": [int(triplet[2]) for triplet in triplets],
                }
            elif isinstance(shape, dict):
                pixels = coco.annToMask(found)
                if pixels.sum() != found["area"]:
                    sys.exit(f"annotation {found['id']} has not the area of its mask")
                set_rows, set_columns = np.nonzero(pixels)
                left, top = int(set_columns.min()), int(set_rows.min())
                part = pixels[top : set_rows.max() + 1, left : set_columns.max() + 1]
                row |= {"kind": "mask", "left": left, "top": top, "pixels": part.tolist()}
            elif shape:
                rings = [np.reshape(ring, (-1, 2)).tolist() for ring in shape]
                row |= {"kind": "ring", "rings": rings}
            else:
                row["kind"] = "box"
            rows.append(row)
        path = str(root / image["file_name"])
        size = [image["width"], image["height"]]
        images.append({"path": path, "size": size, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
