"""Made-up annotations of every shape: on and off the image, flat, tiny and long."""

from typing import Any

from hypothesis import strategies as st

from tests.unit.formats.archives import CLASSES, JOINTS, annotation

WIDTH, HEIGHT = 64, 48

_NAMES = st.sampled_from([c.name for c in CLASSES])
_TEXT = st.text(max_size=8)
_COORDINATES = st.one_of(
    st.floats(-200, 300),
    st.integers(-10, 100),
    st.sampled_from([0.0, -0.0, float(WIDTH), float(HEIGHT), 1e-9, 1e12, -1e12, 10.1, 10.3]),
)
_POINTS = st.builds(lambda x, y: {"x": x, "y": y}, _COORDINATES, _COORDINATES)
_INSIDE = st.builds(lambda x, y: {"x": x, "y": y}, st.floats(0, WIDTH), st.floats(0, HEIGHT))
_SIDES = st.one_of(st.floats(0, 200), st.sampled_from([0.0, 1e-12, 1e12]))
_BOXES = st.builds(
    lambda x, y, w, h: {"x": x, "y": y, "w": w, "h": h}, _COORDINATES, _COORDINATES, _SIDES, _SIDES
)
_ATTRIBUTES = st.one_of(
    st.dictionaries(_TEXT, st.one_of(_TEXT, st.booleans(), st.floats(-5, 5)), max_size=3),
    st.lists(st.one_of(_TEXT, st.integers(0, 9)), max_size=3),
)
_COMMON = st.fixed_dictionaries(
    {"confidence": st.sampled_from([1.0, 0.0, 0.25]), "attributes": _ATTRIBUTES}
)


def _rings(points: st.SearchStrategy[dict[str, float]]) -> st.SearchStrategy[Any]:
    return st.lists(st.lists(points, min_size=3, max_size=12), min_size=1, max_size=4)


_SHAPES: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.builds(
        lambda x, y, w, h: ("bbox", {"bounding_box": {"x": x, "y": y, "w": w, "h": h}}),
        *[_COORDINATES, _COORDINATES, _SIDES, _SIDES],
    ),
    st.builds(
        lambda x, y, w, h, cx, cy, angle: (
            "bbox",
            {
                "bounding_box": {"x": x, "y": y, "w": w, "h": h},
                "oriented_box": {"cx": cx, "cy": cy, "w": w, "h": h, "angle": angle},
            },
        ),
        *[_COORDINATES, _COORDINATES, _SIDES, _SIDES, _COORDINATES, _COORDINATES],
        st.floats(0, 359.9),
    ),
    st.builds(
        lambda paths, box: ("polygon", {"polygon": {"paths": paths}, **box}),
        st.one_of(_rings(_POINTS), _rings(_INSIDE)),
        # An import may bring a box that is not the one around the outline.
        st.one_of(st.just({}), _BOXES.map(lambda box: {"bounding_box": box})),
    ),
    st.lists(_POINTS, min_size=2, max_size=5).map(
        lambda path: ("polyline", {"polyline": {"path": path}})
    ),
)
_KEYPOINTS = st.tuples(
    st.sampled_from([*JOINTS, "landmark", "person"]),
    _POINTS,
    st.one_of(st.none(), st.integers(1, 3)),
)


@st.composite
def annotation_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The annotations of one image of `WIDTH` by `HEIGHT` pixels."""
    result = []
    for number, shape in enumerate(draw(st.lists(st.one_of(_SHAPES, _KEYPOINTS), max_size=8))):
        common = draw(_COMMON)
        item = f"a{number}"
        if len(shape) == 2:
            kind, geometry = shape
            result.append(annotation(kind, item, draw(_NAMES), **geometry, **common))
        else:
            name, point, instance = shape
            geometry = {"keypoint": point, "instance_id": instance}
            result.append(annotation("keypoint", item, name, **geometry, **common))
    return result
