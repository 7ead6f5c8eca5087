"""What others need for the same archive: Datumaro's and Label Studio's export and a ZIP without
compression beside Cartouche and a plain script, at several sizes.

They read images and annotations from the local disk, and write there; Cartouche and the plain
script read from the store, and store the archive. Their seconds begin when they have read their
annotations.
"""

import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.bench.drawing import SIDE, draw
from tests.bench.rows import Row, main
from tests.bench.subjects import Run, subjects
from tests.oracles.environments import read

_SCRIPTS = Path(__file__).parent / "peer_scripts"
_BOXES = 10
SIZES = (250, 1_000, 4_000)
_ROUNDS = 3


@dataclass(frozen=True)
class Series:
    """One program over the sizes: images, seconds (median), most memory in MiB (median)."""

    name: str
    points: list[tuple[int, float, float]]


def measure(sizes: Sequence[int], rounds: int) -> list[Series]:
    """Every program at every size, in turns."""
    series: dict[str, Series] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="cartouche-peers-") as name:
            folder = Path(name)
            files = draw(folder / "images", size)
            _describe(folder, files)
            with subjects(files, embedded=False) as found:
                jobs: dict[str, Callable[[], Run]] = {
                    "Cartouche, from store to store": found[0].cartouche,
                    "plain script, from store to store": found[0].plain,
                    "Datumaro, on the local disk": lambda folder=folder: _datumaro(folder),  # type: ignore[misc]
                    "Label Studio's converter, on the local disk": lambda folder=folder: (  # type: ignore[misc]
                        _label_studio(folder)
                    ),
                }
                runs: dict[str, list[Run]] = {name: [] for name in jobs}
                for _ in range(rounds):
                    for title, job in jobs.items():
                        runs[title].append(job())
        for title, taken in runs.items():
            series.setdefault(title, Series(title, [])).points.append(
                (
                    size,
                    statistics.median(run.seconds for run in taken),
                    statistics.median(run.peak_bytes for run in taken) / 2**20,
                )
            )
    return list(series.values())


def rows(quick: bool) -> list[Row]:
    """Each beside Cartouche, at the largest size."""
    return compared(measure(SIZES[:1], 1) if quick else measure(SIZES, _ROUNDS))


def compared(series: list[Series]) -> list[Row]:
    """Seconds and memory of each at the largest size, as a multiple of Cartouche's."""
    size, ours, our_memory = series[0].points[-1]
    return [
        Row(
            f"COCO with images, {size:,} x 98 KB: {line.name}",
            f"{line.points[-1][1]:.2f} s ({line.points[-1][1] / ours:.2f} x), "
            f"{line.points[-1][2]:.0f} MiB ({line.points[-1][2] / our_memory:.2f} x)",
        )
        for line in series
    ]


def plot(series: list[Series], folder: Path) -> None:
    """Writes `seconds.svg` and `memory.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([{"name": line.name, "points": line.points} for line in series], file)
        file.flush()
        read("plots", "plots", file.name, folder, scripts=_SCRIPTS)


def _datumaro(folder: Path) -> Run:
    return _run(folder, "datumaro", "datumaro_coco", folder)


def _label_studio(folder: Path) -> Run:
    arguments = (folder / "images", folder / "tasks.json", folder / "config.xml")
    return _run(folder, "label_studio", "label_studio_coco", *arguments)


def _run(folder: Path, environment: str, script: str, *arguments: Path) -> Run:
    work = folder / "work"
    work.mkdir()
    try:
        found = read(environment, script, *arguments, work, scripts=_SCRIPTS)
    finally:
        shutil.rmtree(work)
    images = sum(1 for _ in (folder / "images").iterdir())
    assert found["files"] > images, f"{found['files']} files of {images} images"
    return Run(found["seconds"], found["cpu_seconds"], int(found["peak_bytes"]))


def _describe(folder: Path, files: list[Path]) -> None:
    """The images' annotations, as Datumaro reads them and as Label Studio does."""
    boxes = [(n, 2 * n, 20.5, 10.25) for n in range(_BOXES)]
    names = [f"class {n}" for n in range(_BOXES)]
    coco: dict[str, list[dict[str, Any]]] = {
        "images": [
            {"id": number, "file_name": file.name, "width": SIDE, "height": SIDE}
            for number, file in enumerate(files, 1)
        ],
        "annotations": [
            {
                "id": number * _BOXES + n + 1,
                "image_id": number + 1,
                "category_id": n + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number in range(len(files))
            for n, box in enumerate(boxes)
        ],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(names)],
    }
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_default.json").write_text(json.dumps(coco))
    labels = "".join(f'<Label value="{name}"/>' for name in names)
    (folder / "config.xml").write_text(
        '<View><Image name="image" value="$image"/>'
        f'<RectangleLabels name="label" toName="image">{labels}</RectangleLabels></View>'
    )
    result = [
        {
            "from_name": "label",
            "to_name": "image",
            "type": "rectanglelabels",
            "original_width": SIDE,
            "original_height": SIDE,
            "value": {
                "x": 100 * x / SIDE,
                "y": 100 * y / SIDE,
                "width": 100 * width / SIDE,
                "height": 100 * height / SIDE,
                "rotation": 0,
                "rectanglelabels": [name],
            },
        }
        for name, (x, y, width, height) in zip(names, boxes, strict=True)
    ]
    tasks = [
        {
            "id": number,
            "data": {"image": f"/data/local-files/?d={quote(file.name)}"},
            "annotations": [{"id": number, "result": result}],
        }
        for number, file in enumerate(files, 1)
    ]
    (folder / "tasks.json").write_text(json.dumps(tasks))


if __name__ == "__main__":
    main("peers", __doc__, rows)
