"""One image with every shape that formats must hold or report."""

from typing import Any

from tests.unit.formats.archives import annotation, box, keypoint, polygon

SQUARE = [(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)]
HOLE = [(15.0, 15.0), (25.0, 15.0), (25.0, 25.0), (15.0, 25.0)]
PART = [(x + 40, y) for x, y in SQUARE]
TURNED = {"cx": 50.0, "cy": 40.0, "w": 20.0, "h": 10.0, "angle": 30.0}
LINE = [(1.0, 1.0), (5.5, 5.0), (9.0, 1.0)]


def every_shape() -> list[dict[str, Any]]:
    """An image of 100 by 80 pixels; ids name the shapes."""
    return [
        box("box", 1.25, 2.0, 30.5, 40.75, attributes={"color": "red", "wheels": 4}),
        box("turned", 40, 30, 20, 20, oriented_box=TURNED, confidence=0.5),
        polygon("plain", SQUARE, attributes={"occluded": True}),
        polygon("holes", SQUARE, HOLE),
        polygon("parts", SQUARE, PART),
        annotation(
            "polyline", "line", "lane", polyline={"path": [{"x": x, "y": y} for x, y in LINE]}
        ),
        keypoint("joint 1", "nose", 10, 20, 7),
        keypoint("joint 2", "left eye", 20, 10, 7, attributes={"occluded": "true"}),
        keypoint("point", "landmark", 5, 5),
    ]
