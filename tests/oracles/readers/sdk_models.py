"""Run by a Python with the official SDK: annotations through its models and out again.

Arguments: the unpacked archive, the file to write.
"""

import json
import sys
from pathlib import Path

from pictograph.models.annotation import Annotation
from pydantic import TypeAdapter

folder, answer = sys.argv[1:]
place = Path(folder).resolve()
models = TypeAdapter(list[Annotation])
images = []
for path in sorted(place.glob("**/annotations/**/*.json")):
    value = json.loads(path.read_bytes())
    found = models.validate_python(value["annotations"], strict=False)
    image = value["image"]
    images.append(
        {
            "path": image["file"],
            "size": [image["width"], image["height"]],
            "rows": models.dump_python(found, mode="json", exclude_none=True),
        }
    )
Path(answer).write_text(json.dumps({"images": images}))
