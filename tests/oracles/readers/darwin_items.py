"""Run by darwin-py's Python: every annotation that it parses, and where it looks for the image.

Arguments: the unpacked archive, the folders of the archive that are datasets, the file to write.
"""

import json
import sys
from pathlib import Path
from typing import Any

from darwin.utils import get_image_path_from_stream, parse_darwin_json, stream_darwin_json
from darwin.utils.utils import get_annotation_files_from_dir

folder, *roots, answer = sys.argv[1:]
place = Path(folder).resolve()


def ring(points: list[dict[str, float]]) -> list[list[float]]:
    """Points as pairs."""
    return [[point["x"], point["y"]] for point in points]


def row_of(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """An annotation's kind and what that needs."""
    if kind == "bounding_box":
        return {"kind": "box", "box": [data[key] for key in "xywh"]}
    if kind == "polygon":
        return {"kind": "ring", "rings": [ring(path) for path in data["paths"]]}
    if kind == "line":
        return {"kind": "line", "points": ring(data["path"])}
    if kind == "keypoint":
        return {"kind": "points", "points": ring([data])}
    if kind == "skeleton":
        flags = [1 if node["occluded"] else 2 for node in data["nodes"]]
        names = [node["name"] for node in data["nodes"]]
        return {"kind": "points", "points": ring(data["nodes"]), "flags": flags, "names": names}
    sys.exit(f"darwin-py sees a {kind}")


images = []
for root in roots:
    releases = place / root / "releases" / "latest" / "annotations"
    for path in map(Path, get_annotation_files_from_dir(releases)):
        parsed = parse_darwin_json(path)
        picture = get_image_path_from_stream(
            stream_darwin_json(path), place / root / "images", path
        )
        rows = [
            {
                "class": one.annotation_class.name,
                **row_of(one.annotation_class.annotation_type, one.data),
            }
            for one in parsed.annotations
        ]
        size = [parsed.image_width, parsed.image_height]
        images.append({"path": str(picture.relative_to(place)), "size": size, "rows": rows})
Path(answer).write_text(json.dumps({"images": images}))
