"""Images with ten boxes, as the benchmarks import them."""

from pathlib import Path

from services.catalog.model import DatasetClass
from services.importing.dataset import ImportItem

BOXES = 10
CLASSES = [DatasetClass(f"class {n}") for n in range(BOXES)]


def boxed(path: str, file: Path, number: int) -> ImportItem:
    """An image of that number, with a box of each class."""
    return ImportItem(
        path=path,
        file=file,
        status="complete",
        annotations=[
            {
                "id": f"{number}-{n}",
                "name": f"class {n}",
                "type": "bbox",
                "bounding_box": {"x": n, "y": 2 * n, "w": 20.5, "h": 10.25},
            }
            for n in range(BOXES)
        ],
    )
