"""The classes of the demo dataset, in order."""

from services.catalog.model import ClassAttribute, DatasetClass, Skeleton, SkeletonNode

CAR_COLORS = ("red", "blue", "white", "black", "silver", "yellow", "green")
LIGHT_STATES = ("red", "yellow", "green")

_OCCLUDED = ClassAttribute("occluded", "checkbox")

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


def _pose_skeleton() -> Skeleton:
    index = {name: i for i, (name, _, _) in enumerate(JOINTS)}
    return Skeleton(
        nodes=tuple(SkeletonNode(name, x, y) for name, x, y in JOINTS),
        edges=tuple((index[a], index[b]) for a, b in _BONES),
    )


#: A pose is one keypoint annotation per joint, named for the joint's own class; the class
#: "person pose" holds the skeleton that joins them.
CLASSES: tuple[DatasetClass, ...] = (
    DatasetClass(
        "car",
        "bbox",
        "#e6194b",
        (ClassAttribute("color", "select", CAR_COLORS), _OCCLUDED),
    ),
    DatasetClass("person", "bbox", "#3cb44b", (_OCCLUDED,)),
    DatasetClass(
        "traffic light",
        "bbox",
        "#ffe119",
        (ClassAttribute("state", "select", LIGHT_STATES),),
    ),
    DatasetClass(
        "lane",
        "polyline",
        "#00b7eb",
        (ClassAttribute("style", "select", ("solid", "dashed")),),
    ),
    DatasetClass("building", "polygon", "#911eb4", (ClassAttribute("floors", "number"),)),
    DatasetClass("person pose", "keypoint", "#f58231", skeleton=_pose_skeleton()),
    *(DatasetClass(name, "keypoint", "#f58231", (_OCCLUDED,)) for name, _, _ in JOINTS),
)
