"""Importers: real files of every format that is read, changed, and imported as people do."""

import io
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.importing.command import ImportCall, run_import
from services.importing.dataset import ImportOptions
from services.importing.endpoint import Endpoint
from tests.datasets import jpeg
from tests.fuzz.chance import changed, changed_document

SHARED = Path(__file__).parents[3] / "shared" / "data"
#: Bytes of a file that is changed: what is read of it must show the change.
_MOST = 200_000
#: What no person should read: the names of Python's own.
_INSIDE = re.compile(r"Traceback|\b[A-Z][A-Za-z]+(Error|Exception|Warning)\b|object at 0x")

_COCO = {
    "info": {"year": 2026},
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48},
        {"id": 2, "file_name": "sub/b.jpg", "width": 64, "height": 48, "license": 3},
    ],
    "categories": [
        {"id": 1, "name": "car", "supercategory": "thing"},
        {"id": 3, "name": "fly", "keypoints": ["head", "tail"], "skeleton": [[1, 2]]},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20], "iscrowd": 0},
        {
            **{"id": 2, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.5},
            "segmentation": [[5, 5, 25, 5, 25, 25], [40, 5, 60, 5, 60, 25]],
        },
        {
            **{"id": 3, "image_id": 2, "category_id": 1, "iscrowd": 1},
            "segmentation": {"size": [48, 64], "counts": [100, 20, 30, 18, 2904]},
        },
        {"id": 4, "image_id": 2, "category_id": 3, "keypoints": [1, 2, 2, 30, 40, 1]},
    ],
}
_PICTOGRAPH = [
    {"id": "1", "name": "car", "type": "bbox", "bounding_box": {"x": 1, "y": 2, "w": 9, "h": 8}},
    {
        **{"id": "2", "name": "car", "type": "polygon", "attributes": {"wet": True}},
        "polygon": {"paths": [[{"x": 1, "y": 1}, {"x": 50, "y": 1}, {"x": 5, "y": 40}]]},
    },
]
_XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotation><folder>x</folder>'
    "<filename>{0}.jpg</filename><size><width>64</width><height>48</height><depth>3</depth></size>"
    "<object><name>car</name><pose>Left</pose><difficult>1</difficult><bndbox><xmin>1</xmin>"
    "<ymin>2</ymin><xmax>50</xmax><ymax>40</ymax></bndbox><part><name>wheel</name></part></object>"
    "<object><type>robndbox</type><name>ship</name><robndbox><cx>30</cx><cy>20</cy><w>20</w>"
    "<h>10</h><angle>0.5</angle></robndbox></object></annotation>"
)
_YAML = "path: .\ntrain: images\nval:\n  - images/sub\nnames:\n  0: car\n  1: 'bus'\n"
_LABEL = "0 .5 .5 .2 .2\n1 .1 .1 .9 .1 .9 .9 .1 .9 .5 .5\n0 .4 .4 .2 .2 .9\n"
_PICTURES = {name: jpeg(64, 48, seed=number) for number, name in enumerate(("a.jpg", "sub/b.jpg"))}

#: Files of each dataset; those that are annotations may be changed, and now and then a picture.
_MADE: dict[str, dict[str, bytes]] = {
    "coco": {"images/c.json": json.dumps(_COCO).encode()},
    "yolo": {
        "data.yaml": _YAML.encode(),
        "labels/a.txt": _LABEL.encode(),
        "labels/sub/b.txt": _LABEL.encode(),
    },
    "darknet": {
        "images/a.txt": _LABEL.encode(),
        "images/sub/b.txt": b"0 .5 .5 .2 .2\n",
        "obj.data": b"classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
        "obj.names": b"car\nbus\n",
        "train.txt": b"data/images/a.jpg\n",
    },
    "pascal_voc": {
        "Annotations/a.xml": _XML.format("a").encode(),
        "Annotations/sub/b.xml": _XML.format("b").encode(),
        "ImageSets/Main/train.txt": b"a\n",
        "labelmap.txt": b"# label:color_rgb:parts:actions\ncar:1,2,3::\n",
    },
    "pictograph": {
        "annotations/a.json": json.dumps(_PICTOGRAPH).encode(),
        "annotations/sub/b.json": json.dumps({"annotations": _PICTOGRAPH}).encode(),
        "dataset.json": b'{"classes": [{"name": "car", "type": "bbox", "color": "#010203"}]}',
    },
}


@dataclass(frozen=True)
class Source:
    """A dataset that is read well before anything of it is changed."""

    format: str
    files: dict[str, bytes]


@cache
def datasets() -> tuple[Source, ...]:
    """One of each format, and parts of the real ones where they are."""
    pictures = {f"images/{name}": data for name, data in _PICTURES.items()}
    made = [
        Source("yolo" if name == "darknet" else name, {**pictures, **files})
        for name, files in _MADE.items()
    ]
    return (*made, *(_real() if SHARED.is_dir() else ()))


def _real() -> Iterator[Source]:
    voc = SHARED / "bccd"
    names = [
        name
        for file in sorted((voc / "Annotations").glob("*.xml"))[:2]
        for name in (f"JPEGImages/{file.stem}.jpg", f"Annotations/{file.name}")
    ]
    yield Source("pascal_voc", {name: (voc / name).read_bytes() for name in names})
    poses = SHARED / "keypoints"
    for document in sorted(poses.glob("*/test_*.json")):
        if document.stat().st_size < _MOST:
            images = [row["file_name"] for row in json.loads(document.read_bytes())["images"][:2]]
            pictures = {name: (document.parent / name).read_bytes() for name in images}
            yield Source("coco", {"c.json": document.read_bytes(), **pictures})
    yolo = SHARED / "coco_cc"
    labels = sorted((yolo / "instance_segmentation").rglob("*.txt"))[:2]
    rows = {}
    for label in labels:
        below = label.relative_to(yolo / "instance_segmentation").with_suffix("")
        rows[f"labels/{below.as_posix()}.txt"] = label.read_bytes()
        image = (yolo / "images" / below).with_suffix(".jpg")
        rows[f"images/{below.as_posix()}.jpg"] = image.read_bytes()
    config = yolo / "instance_segmentation.config.yaml"
    yield Source("yolo", {"labels.config.yaml": config.read_bytes(), **rows})


def fuzz(dice: random.Random) -> dict[str, bytes]:
    """Imports one dataset with changed files in a dry run.

    Returns:
        The files.

    Raises:
        AssertionError: a traceback, a word of Python's, an exit code that does not fit, or an
            image that is neither in nor named.
    """
    source = dice.choice(datasets())
    files = dict(source.files)
    texts = [name for name in files if not name.endswith(".jpg")]
    for name in dice.sample(texts, min(len(texts), dice.choice((1, 1, 2)))):
        is_document = name.endswith(".json") and dice.random() < 0.7
        files[name] = (changed_document if is_document else changed)(files[name], dice)
    if dice.random() < 0.1:
        name = dice.choice([name for name in files if name.endswith(".jpg")])
        files[name] = changed(files[name][:_MOST], dice)
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        format = dice.choice(("auto", source.format))
        look(root, format, [name for name in files if name.endswith(".jpg")])
    finally:
        shutil.rmtree(root)
    return files


def look(root: Path, format: str, images: list[str]) -> None:
    """Imports a folder in a dry run.

    Raises:
        AssertionError: as `fuzz` says.
    """
    call = ImportCall(
        dataset="fuzz",
        format=format,
        images=root,
        annotations=root,
        options=ImportOptions(),
        server=Endpoint(""),
        api_key="",
        report=root / "report.jsonl",
        is_dry=True,
    )
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = run_import(call)
    said = output.getvalue() + errors.getvalue()
    assert not _INSIDE.search(said.replace(str(root), "")), said
    assert code in (0, 1, 3), said
    if code == 1:
        assert errors.getvalue() or "passed over" in said, said
        return
    rows = [json.loads(line) for line in (root / "report.jsonl").read_bytes().splitlines()]
    table = {
        cells[1].strip(): int(cells[2].replace(",", ""))
        for line in output.getvalue().splitlines()
        if len(cells := line.split("│")) == 4
    }
    for noun in ("images", "annotations"):
        assert table[f"{noun} passed over"] == sum(row[noun] for row in rows), said
    assert table.get("annotations changed", 0) == sum(row["changed"] for row in rows), said
    lost = [row for row in rows if row["images"] or row["annotations"] or row["changed"]]
    assert (code == 0) == (not lost), said
    # Each image is in, or counted among those that are not.
    assert table["images to send"] + table["images passed over"] >= len(images), said
