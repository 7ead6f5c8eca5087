"""The demo dataset `street-scenes`: what is drawn is what is annotated.

Every run gives the same pictures, and the same bytes on the same Pillow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson

from services.demo.dataset.aerial import Aerial
from services.demo.dataset.canvas import Canvas
from services.demo.dataset.classes import CLASSES
from services.demo.dataset.labels import Labels
from services.demo.dataset.moods import DAY, NIGHT, RAIN, paint_meadow
from services.demo.dataset.street.street import paint_street

DATASET_NAME = "street-scenes"
IMAGE_COUNT = 120

_SIZES = ((640, 480), (800, 600), (1024, 640), (480, 640))
_MOODS = {mood.name: mood for mood in (DAY, NIGHT, RAIN)}
#: Folder and number of pictures; those from above are taken by day.
_FOLDERS = (("day", 42), ("night", 27), ("rain", 27), ("aerial", 24))


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of the dataset."""

    #: Folder and file name in the dataset.
    path: str
    jpeg: bytes
    #: Pixels.
    width: int
    height: int
    status: str
    split: str | None
    #: In the Pictograph wire form.
    annotations: list[dict[str, Any]]


def scenes() -> Iterator[Scene]:
    """The pictures, in the dataset's order."""
    index = 0
    for folder, count in _FOLDERS:
        for number in range(1, count + 1):
            yield _scene(folder, number, index)
            index += 1


def write(folder: Path) -> None:
    """Writes the dataset in the layout of the pictograph format: `images/<path>`,
    `annotations/<path>.json` and `dataset.json`.
    """
    for scene in scenes():
        image = folder / "images" / scene.path
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(scene.jpeg)
        text = folder / "annotations" / f"{scene.path}.json"
        text.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "image": {
                "path": scene.path,
                "file": f"images/{scene.path}",
                "width": scene.width,
                "height": scene.height,
                "status": scene.status,
                "split": scene.split,
            },
            "annotations": scene.annotations,
        }
        text.write_bytes(orjson.dumps(document))
    classes = {"name": DATASET_NAME, "classes": CLASSES}
    (folder / "dataset.json").write_bytes(orjson.dumps(classes, option=orjson.OPT_INDENT_2))


def _scene(folder: str, number: int, index: int) -> Scene:
    name = "lot" if folder == "aerial" else "street"
    path = f"{folder}/{name}-{number:03}.jpg"
    rng = Random(path)
    width, height = _SIZES[rng.randrange(len(_SIZES))]
    mood = _MOODS.get(folder, DAY)
    canvas = Canvas(width, height, mood.ambient)
    labels = Labels(rng)
    empty = index % 20 == 9
    if empty:
        paint_meadow(canvas, rng, mood)
    elif folder == "aerial":
        Aerial(canvas, labels, rng).paint()
    else:
        paint_street(canvas, labels, rng, mood)
    status = _status(index)
    return Scene(
        path=path,
        jpeg=canvas.jpeg(rng, mood.noise),
        width=width,
        height=height,
        status=status,
        split=None if status == "new" else _split(index),
        annotations=labels.annotations,
    )


def _status(index: int) -> str:
    """Most pictures are complete; every folder has all four."""
    return {3: "new", 6: "annotate", 10: "review"}.get(index % 13, "complete")


def _split(index: int) -> str | None:
    """Seven in ten to train on."""
    return {2: "val", 5: "val", 8: "test", 11: None}.get(index % 12, "train")
