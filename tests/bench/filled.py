"""Datasets of any size, put straight into the record: an import of them would take longer than what
is measured afterwards."""

import hashlib
import random
import uuid
from collections.abc import Sequence

import orjson
import psycopg
from isal.isal_zlib import crc32

from services.catalog.content import Content
from services.catalog.datasets import create_dataset
from services.catalog.images import check_image, put_images
from services.catalog.model import DatasetClass
from services.database.engine import Database
from services.database.tables import annotation_totals, image_totals, images
from services.identity.keys import ensure_organization
from tests.exports import object_store
from tests.stack import Production

#: Images that differ; a dataset has the annotations of each of them many times.
DIFFERENT = 1_000
BOXES = 10
#: Pixels.
_WIDTH, _HEIGHT = 640, 480
_CLASSES = [DatasetClass(f"class {number}") for number in range(BOXES)]


def fill(stack: Production, name: str, count: int, files: Sequence[bytes] = (b"image",)) -> None:
    """A dataset of `count` images with ten boxes each, a multiple of DIFFERENT. Their bytes are
    `files` in turn, which lie in the store once each."""
    assert count % DIFFERENT == 0, count
    database = Database(stack.env["CARTOUCHE_DATABASE_URL"], 2)
    organization = ensure_organization(database, stack.organization)
    dataset = create_dataset(database, organization, name, _CLASSES)
    contents = [_stored(stack, f"bench/{name}/{n}", data) for n, data in enumerate(files)]
    source = random.Random(1)
    put = [
        (
            check_image(f"{number:08}.png", "complete", "", _boxes(source)),
            contents[number % len(contents)],
        )
        for number in range(1, DIFFERENT + 1)
    ]
    put_images(database, organization, dataset.id, put)
    database.close()
    _multiply(stack, dataset.id, count // DIFFERENT)


def _stored(stack: Production, key: str, data: bytes) -> Content:
    with object_store(stack) as store:
        store.put_pieces(store.images_bucket, key, [data])
    sha256 = hashlib.sha256(data).hexdigest()
    return Content(key, len(data), crc32(data), sha256, _WIDTH, _HEIGHT)


def _boxes(source: random.Random) -> bytes:
    """A box of each class, in hundredths of a pixel."""
    found = []
    for class_ in _CLASSES:
        w, h = round(source.uniform(5, 200), 2), round(source.uniform(5, 200), 2)
        x, y = round(source.uniform(0, _WIDTH - w), 2), round(source.uniform(0, _HEIGHT - h), 2)
        found.append(
            {
                "id": str(uuid.UUID(int=source.getrandbits(128))),
                "name": class_.name,
                "type": "bbox",
                "bounding_box": {"x": x, "y": y, "w": w, "h": h},
            }
        )
    return orjson.dumps(found)


def _multiply(stack: Production, dataset_id: str, times: int) -> None:
    """Gives the dataset each of its images so many times, numbered on."""
    key = f"lpad((number + copy * {DIFFERENT})::text, 8, '0')"
    changed = {
        "id": "gen_random_uuid()",
        "number": f"number + copy * {DIFFERENT}",
        "path": f"{key} || '.png'",
        "name_key": key,
        "first_annotation_number": f"first_annotation_number + copy * {DIFFERENT * BOXES}",
    }
    columns = ", ".join(column.name for column in images.columns)
    values = ", ".join(changed.get(column.name, column.name) for column in images.columns)
    statements = [
        f"INSERT INTO images ({columns}) SELECT {values}"
        f" FROM images, generate_series(1, {times - 1}) AS copy WHERE dataset_id = %s"
    ]
    for table in (image_totals, annotation_totals):
        names = [c.name for c in table.columns if c.name.endswith(("_count", "_bytes"))]
        sums = ", ".join(f"{name} = {name} * {times}" for name in names)
        statements.append(f"UPDATE {table.name} SET {sums} WHERE dataset_id = %s")
    statements.append(
        f"UPDATE datasets SET image_number = image_number * {times},"
        f" annotation_number = annotation_number * {times} WHERE id = %s"
    )
    with psycopg.connect(stack.env["CARTOUCHE_DATABASE_URL"], autocommit=True) as connection:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode(), [dataset_id])
        connection.execute("VACUUM ANALYZE images")
