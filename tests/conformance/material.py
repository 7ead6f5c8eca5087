"""What the clients work on: a small dataset of known counts, and a long list of exports."""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartouche.catalog.v1 import catalog_service_pb2 as catalog
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from PIL import Image
from sqlalchemy import insert, select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports
from services.exports.model import Stage, Status
from services.settings import Settings
from tests.stack import Stack

IMAGES = 6
#: Two cars and one person on each.
ANNOTATIONS = 3 * IMAGES
#: Images of status complete; an export of their cars has as many images, twice the annotations.
COMPLETE = 4

#: Where the clients work: what they make and delete touches no other test.
ORGANIZATION = "conformance"

PAGES = "pages"
#: More rows than the longest page has.
ROWS = 1_050
#: Formats of the long list: all know the first, SDKs from 1.63.0 the second, no SDK the third.
FORMATS = ("pictograph", "dota", "hologram")
#: Exports of PAGES that have failed, and that never end.
BROKEN, ENDLESS = "broken", "endless"
WHY_BROKEN = "Image day/7.jpg is missing from the store. Import it again."

UNKNOWN_ID = "11111111-2222-3333-4444-555555555555"


def make_dataset(stack: Stack, name: str, organization: str = ORGANIZATION) -> None:
    """A dataset of six small images."""

    def requests() -> Iterator[catalog.PutImagesRequest]:
        yield catalog.PutImagesRequest(
            open=catalog.PutImagesOpen(
                dataset_name=name,
                create_dataset=True,
                classes=[
                    catalog.DatasetClass(name="car", type="bbox", color="#d03030"),
                    catalog.DatasetClass(name="person", type="bbox", color="#3060d0"),
                ],
            )
        )
        for number in range(IMAGES):
            content = _picture(number)
            yield catalog.PutImagesRequest(
                image=catalog.PutImage(
                    path=f"day/{number}.jpg",
                    status="complete" if number < COMPLETE else "new",
                    split="train",
                    annotations=json.dumps(_annotations()).encode(),
                    size=len(content),
                )
            )
            yield catalog.PutImagesRequest(chunk=content)

    stub = CatalogServiceStub(stack.channel)
    metadata = stack.metadata("owner", organization)
    answers = list(stub.PutImages(requests(), metadata=metadata, timeout=60))
    refused = [answer for answer in answers if answer.message]
    assert len(answers) == IMAGES, answers
    assert not refused, refused


def _picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (40 * number, 90, 120)).save(file, "JPEG")
    return file.getvalue()


def _annotations() -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid4()),
            "name": name,
            "type": "bbox",
            "bounding_box": {"x": 4.0 * place, "y": 5.0, "w": 10.0, "h": 8.0},
        }
        for place, name in enumerate(("car", "car", "person"))
    ]


@dataclass(frozen=True)
class LongList:
    """The exports of the dataset PAGES: (name, format), as the API is to order them."""

    rows: tuple[tuple[str, str], ...]
    broken: dict[str, str]
    endless: dict[str, str]

    def names(self, *formats: str) -> list[str]:
        """The names of the rows in these formats; none given: all."""
        return [name for name, format_ in self.rows if not formats or format_ in formats]


def make_long_list(stack: Stack) -> LongList:
    """Writes the rows of PAGES into the record: to build so many archives would take minutes,
    and no client could bring an export of an unknown format into being."""
    stub = CatalogServiceStub(stack.channel)
    dataset = stub.CreateDataset(
        catalog.CreateDatasetRequest(name=PAGES),
        metadata=stack.metadata("owner", ORGANIZATION),
        timeout=30,
    ).dataset
    settings = Settings(
        home=Path(stack.env["CARTOUCHE_HOME"]),
        database_url=stack.env.get("CARTOUCHE_DATABASE_URL", ""),
    )
    database = Database(settings.sqlalchemy_url)
    try:
        with database.write() as connection:
            time = connection.scalar(select(now())) or 0.0
            rows = [_row(number, time) for number in range(ROWS)]
            rows.append(
                _row(ROWS, time)
                | {"name": BROKEN, "status": Status.failed, "error_message": WHY_BROKEN}
            )
            rows.append(_row(ROWS + 1, time) | {"name": ENDLESS, "status": Status.processing})
            for row in rows:
                row |= {"organization_id": dataset.organization_id, "dataset_id": dataset.id}
            connection.execute(insert(exports), rows)
    finally:
        database.engine.dispose()
    ordered = sorted(rows, key=lambda row: (-row["created_at"], row["id"]))
    broken, endless = (
        {"id": row["id"], "dataset_name": PAGES, "name": row["name"]} for row in rows[-2:]
    )
    return LongList(tuple((row["name"], row["format"]) for row in ordered), broken, endless)


def _row(number: int, time: float) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": f"row {number}",
        "format": FORMATS[(0, 0, 0, 1, 0, 0, 0, 2, 0, 0)[number % 10] if number < ROWS else 0],
        "include_images": False,
        "class_filter": [],
        "status_filter": "",
        "include_unannotated": False,
        "organize_by_split": False,
        "status": Status.completed,
        "error_message": "",
        "stage": Stage.done,
        # Seven rows share each moment.
        "created_at": time - 3600 - number // 7,
        "updated_at": time,
        "image_count": 0,
        "annotation_count": 0,
        "file_size": 22,
    }


def check_archive(path: Path, images: int, annotations: int, *, with_images: bool = False) -> None:
    """The file is a whole archive of the Pictograph or the COCO format with these counts.

    Raises:
        AssertionError: it is not; the message says how.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
        assert damaged is None, f"{path.name}: {damaged} is damaged"
        names = archive.namelist()
        documents = [json.loads(archive.read(n)) for n in names if n.endswith(".json")]
        coco = [d for d in documents if isinstance(d, dict) and "categories" in d]
        if coco:
            found = (len(coco[0]["images"]), len(coco[0]["annotations"]))
        else:
            texts = [n for n in names if n.startswith("annotations/")]
            found = (
                len(texts),
                sum(len(json.loads(archive.read(n))["annotations"]) for n in texts),
            )
        assert found == (images, annotations), f"{path.name} has {found}"
        pictures = [n for n in names if n.endswith(".jpg")]
        assert len(pictures) == (images if with_images else 0), names
        for picture in pictures:
            with Image.open(io.BytesIO(archive.read(picture))) as image:
                image.load()
