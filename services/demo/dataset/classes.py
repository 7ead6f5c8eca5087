"""The classes of the demo dataset, in order, as its dataset.json writes them."""

from typing import Any

CAR_COLORS = ("red", "blue", "white", "black", "silver", "yellow", "green")
LIGHT_STATES = ("red", "yellow", "green")

#: Joint names with their places in the template, in the order that COCO triplets follow.
JOINTS: tuple[tuple[str, float, float], ...] = (
    ("nose", 0.5, 0.08),
    ("left_shoulder", 0.7, 0.2),
    ("right_shoulder", 0.3, 0.2),
    ("left_elbow", 0.8, 0.36),
    ("right_elbow", 0.2, 0.36),
    ("left_wrist", 0.84, 0.5),
    ("right_wrist", 0.16, 0.5),
    ("left_hip", 0.6, 0.5),
    ("right_hip", 0.4, 0.5),
    ("left_knee", 0.62, 0.74),
    ("right_knee", 0.38, 0.74),
    ("left_ankle", 0.62, 0.96),
    ("right_ankle", 0.38, 0.96),
)

_BONES = (
    ("nose", "left_shoulder"),
    ("nose", "right_shoulder"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)

_JSON = dict[str, Any]


def _attribute(name: str, kind: str, *values: str) -> _JSON:
    return {"name": name, "type": kind, "values": list(values) or None}


def _class(name: str, kind: str, color: str, *attributes: _JSON) -> _JSON:
    item: _JSON = {"name": name, "type": kind, "color": color}
    return item | {"attributes": list(attributes)} if attributes else item


def _skeleton() -> _JSON:
    index = {name: i for i, (name, _, _) in enumerate(JOINTS)}
    return {
        "nodes": [{"name": name, "x": x, "y": y} for name, x, y in JOINTS],
        "edges": [[index[a], index[b]] for a, b in _BONES],
    }


_OCCLUDED = _attribute("occluded", "checkbox")

#: A pose is one keypoint annotation per joint, named for the joint's own class; the class
#: "person pose" holds the skeleton that joins them.
CLASSES: tuple[_JSON, ...] = (
    _class("car", "bbox", "#e6194b", _attribute("color", "select", *CAR_COLORS), _OCCLUDED),
    _class("person", "bbox", "#3cb44b", _OCCLUDED),
    _class("traffic light", "bbox", "#ffe119", _attribute("state", "select", *LIGHT_STATES)),
    _class("lane", "polyline", "#00b7eb", _attribute("style", "select", "solid", "dashed")),
    _class("building", "polygon", "#911eb4", _attribute("floors", "number")),
    _class("person pose", "keypoint", "#f58231") | {"skeleton": _skeleton()},
    *(_class(name, "keypoint", "#f58231", _OCCLUDED) for name, _, _ in JOINTS),
)
