"""Run by labelme's Python: every shape that it loads.

Arguments: the unpacked archive, the file to write.
"""

import json
import sys
from pathlib import Path

import numpy as np
from labelme._label_file import read_label_file

folder, answer = sys.argv[1:]
place = Path(folder).resolve()
images = []
for path in sorted(place.glob("**/images/**/*.json")):
    # It opens the image, and refuses one of another size.
    found = read_label_file(str(path))
    rows = []
    for shape in found.shapes:
        points, kind = shape["points"], shape["shape_type"]
        row = {"class": shape["label"], "group": shape["group_id"] or 0}
        if kind == "rectangle":
            (x0, y0), (x1, y1) = points
            row |= {"kind": "box", "box": [x0, y0, x1 - x0, y1 - y0]}
        elif kind == "polygon":
            row |= {"kind": "ring", "rings": [points]}
        elif kind == "linestrip":
            row |= {"kind": "line", "points": points}
        elif kind == "point":
            row |= {"kind": "points", "points": points}
        elif kind == "mask":
            (left, top), (right, bottom) = np.asarray(points, int).tolist()
            pixels = shape["mask"].astype(int)
            if pixels.shape != (bottom - top + 1, right - left + 1):
                sys.exit(f"{path} has a mask that does not fit its points")
            row |= {"kind": "mask", "left": left, "top": top, "pixels": pixels.tolist()}
        else:
            sys.exit(f"{path} has a {kind}")
        rows.append(row)
    declared = json.loads(path.read_bytes())
    size = [declared["imageWidth"], declared["imageHeight"]]
    image = (path.parent / found.image_path).relative_to(place)
    images.append({"path": str(image), "size": size, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
