"""Darwin JSON 2.0."""

import json
from typing import Any
from uuid import UUID

from tests.unit.formats.archives import assemble, box, image, info, losses
from tests.unit.formats.samples import HOLE, LINE, PART, SQUARE, every_shape


def path(ring: list[tuple[float, float]]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in ring]


def test_every_shape() -> None:
    files, rendered = assemble(info("darwin"), [image(every_shape())])
    value = json.loads(files["releases/latest/annotations/día/1.json"])
    rows: list[dict[str, Any]] = value["annotations"]
    assert len(rows) == rendered.annotation_count == 8
    assert rows[0]["bounding_box"] == {"x": 1.25, "y": 2, "w": 30.5, "h": 40.75}
    assert rows[0]["properties"] == [
        {"frame_index": 0, "name": "color", "value": "red"},
        {"frame_index": 0, "name": "wheels", "value": "4"},
    ]
    assert len(rows[1]["polygon"]["paths"][0]) == 4
    assert rows[1]["properties"] == [{"frame_index": 0, "name": "score", "value": "0.5"}]
    assert [row["polygon"]["paths"] for row in rows[2:5]] == [
        [path(SQUARE)],
        [path(SQUARE), path(HOLE)],
        [path(SQUARE), path(PART)],
    ]
    assert rows[4]["bounding_box"] == {"x": 10, "y": 10, "w": 60, "h": 20}
    assert rows[5]["line"] == {"path": path(LINE)}
    assert rows[6]["name"] == "person"
    assert rows[6]["skeleton"]["nodes"] == [
        {"name": "nose", "occluded": False, "x": 10, "y": 20},
        {"name": "left eye", "occluded": True, "x": 20, "y": 10},
    ]
    assert rows[7]["keypoint"] == {"x": 5, "y": 5}
    assert all(row["slot_names"] == ["0"] for row in rows)
    assert losses(rendered.losses) == {"degraded": ["turned"]}


def test_the_item_says_where_the_image_lies() -> None:
    files, _ = assemble(info("darwin", organize_by_split=True), [image(split="val")])
    value = json.loads(files["valid/releases/latest/annotations/día/1.json"])
    assert value["version"] == "2.0"
    assert (value["item"]["path"], value["item"]["name"]) == ("/día", "1.jpg")
    slot = value["item"]["slots"][0]
    assert (slot["width"], slot["height"]) == (100, 80)
    assert slot["source_files"][0]["file_name"] == "1.jpg"
    assert value["annotations"] == []


def test_ids_are_uuids_that_stay_the_same() -> None:
    given = "0b6c1d9e-4f6a-4c3e-9a52-2f6d0c1b7a88"
    two = [image([box("a", 1, 1, 5, 5), box(given, 1, 1, 5, 5)]), image([box("a", 1, 1, 5, 5)], 2)]
    found = []
    for _ in range(2):
        files, _ = assemble(info("darwin"), two)
        texts = [files[f"releases/latest/annotations/día/{number}.json"] for number in (1, 2)]
        found.append([row["id"] for text in texts for row in json.loads(text)["annotations"]])
    assert found[0] == found[1]
    assert found[0][1] == given
    assert len({UUID(one) for one in found[0]}) == 3
