"""What a run exports: a few datasets, and the exports of them that differ."""

import json
from collections.abc import Mapping

from services.formats.registry import FORMATS
from tests.chaos.rig import Rig
from tests.chaos.schedule import Variant
from tests.datasets import Annotation, Picture, bbox, jpeg, noise_jpeg, polygon, put_all

#: One image less than the record knows: its bytes were taken from the store.
BROKEN = "broken"
_BROKEN_IMAGE = "gone.jpg"

SMALL = [Variant("small", format, include_images=True) for format in FORMATS]
#: Several segments each: of images; and of text, which is staged.
IMAGES = [Variant("images", format, include_images=True) for format in ("coco", "yolo")]
TEXT = [Variant("text", format) for format in ("coco", "pascal_voc", "yolo")]
#: Fail, and must say why.
EMPTY = Variant("small", "coco", status_filter="review")
UNUSABLE = Variant(BROKEN, "coco", include_images=True)
#: The reasons.
REASONS: Mapping[Variant, str] = {EMPTY: "selection_empty", UNUSABLE: "image_unusable"}
#: How often each is asked for.
WEIGHTS: Mapping[Variant, int] = {
    **dict.fromkeys(SMALL, 4),
    **dict.fromkeys(IMAGES, 14),
    **dict.fromkeys(TEXT, 10),
    EMPTY: 3,
    UNUSABLE: 3,
}


def put_datasets(rig: Rig) -> None:
    """Imports the datasets."""
    put_all(
        rig,
        "small",
        [Picture(f"{n}.jpg", jpeg(seed=n), _objects(n), status="complete") for n in range(6)],
    )
    put_all(
        rig,
        "images",
        [Picture(f"{n:02}.jpg", noise_jpeg(n, 1500), _objects(n)) for n in range(11)],
    )
    put_all(
        rig,
        "text",
        [Picture(f"{n:03}.jpg", jpeg(seed=n % 40), _many(n)) for n in range(90)],
    )
    put_all(
        rig,
        BROKEN,
        [Picture(f"{n}.jpg", jpeg(seed=100 + n), _objects(n)) for n in range(3)]
        + [Picture(_BROKEN_IMAGE, jpeg(seed=199), _objects(1))],
    )
    _take_away(rig)


def _take_away(rig: Rig) -> None:
    """Takes the bytes of an image from the store."""
    ((key,),) = rig.rows("SELECT object_key FROM images WHERE path = %s", _BROKEN_IMAGE)
    rig.minio.client().remove_object(rig.images_bucket, key)


def _objects(number: int) -> list[Annotation]:
    outline = [(2.0, 2.0), (40.0, 2.0), (40.0, 30.0), (2.0 + number, 30.0)]
    return [bbox("car", x=4 + number), polygon("sign", outline)]


def _many(number: int) -> bytes:
    """About 100 kB of annotations."""
    outline = [(1 + n % 60 + number / 100, 1 + (n * 7) % 40 + n / 1000) for n in range(150)]
    return json.dumps([bbox("car"), *(polygon("sign", outline) for _ in range(25))]).encode()
