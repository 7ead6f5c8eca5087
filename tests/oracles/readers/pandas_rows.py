"""Run by a Python with pandas: the rows of CSV files, all of them as text.

Arguments: the unpacked archive, the folders of the archive that have a file, the file to write.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

folder, *roots, answer = sys.argv[1:]
place = Path(folder).resolve()
images: dict[str, dict[str, Any]] = {}
for root in roots:
    table = pd.read_csv(place / root / "annotations.csv", dtype=str, keep_default_na=False)
    for line in table.to_dict("records"):
        path = str(Path(root) / line["file_name"])
        image = images.setdefault(
            path, {"path": path, "size": [int(line["width"]), int(line["height"])], "rows": []}
        )
        if line["annotation_id"]:
            image["rows"].append(line)
Path(answer).write_text(json.dumps({"images": list(images.values())}))
