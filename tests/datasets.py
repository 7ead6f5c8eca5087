"""Small datasets for tests, made through CatalogService.PutImages; always the same bytes."""

import json
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from PIL import Image

from tests.stack import Stack

#: What PutImages takes at once.
CHUNK = 256 * 1024

Annotation = dict[str, Any]


def unique(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{secrets.token_hex(4)}"


@cache
def jpeg(width: int = 64, height: int = 48, seed: int = 0, orientation: int = 0) -> bytes:
    """A small JPEG of one colour with a darker corner; `orientation` is its EXIF tag."""
    colour = (40 + seed * 37 % 200, 40 + seed * 91 % 200, 40 + seed * 53 % 200)
    image = Image.new("RGB", (width, height), colour)
    image.paste((seed % 40, 20, 20), (0, 0, width // 3, height // 3))
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = BytesIO()
    image.save(file, "JPEG", quality=70, exif=exif)
    return file.getvalue()


def noise_jpeg(seed: int, side: int = 1024) -> bytes:
    """A JPEG that cannot be compressed further: about 0.9 MB at a side of 1,024 pixels."""
    pixels = numpy.random.default_rng(seed).integers(0, 256, (side, side, 3), numpy.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def bbox(name: str, x: float = 4, y: float = 5, w: float = 20, h: float = 10) -> Annotation:
    """A box."""
    return {"name": name, "type": "bbox", "bounding_box": {"x": x, "y": y, "w": w, "h": h}}


def polygon(name: str, *rings: Sequence[tuple[float, float]]) -> Annotation:
    """An outline, and its holes."""
    paths = [[{"x": x, "y": y} for x, y in ring] for ring in rings]
    return {"name": name, "type": "polygon", "polygon": {"paths": paths}}


def polyline(name: str, *points: tuple[float, float]) -> Annotation:
    """An open line."""
    path = [{"x": x, "y": y} for x, y in points]
    return {"name": name, "type": "polyline", "polyline": {"path": path}}


@dataclass(frozen=True)
class Picture:
    """One image to put, with its annotations."""

    path: str
    data: bytes = b""
    annotations: Sequence[Annotation] | bytes = ()
    status: str = ""
    split: str = ""
    #: Instead of `data`.
    object_key: str = ""
    sha256: str = ""
    #: What is said of the size, where that is not the truth.
    said_size: int | None = None
    chunk: int = CHUNK

    def requests(self) -> Iterator[pb.PutImagesRequest]:
        """The messages that put it."""
        raw = self.annotations
        image = pb.PutImage(
            path=self.path,
            status=self.status,
            split=self.split,
            annotations=raw if isinstance(raw, bytes) else json.dumps(list(raw)).encode(),
        )
        if self.object_key:
            image.object_key = self.object_key
        elif self.sha256:
            image.sha256 = self.sha256
        else:
            image.size = len(self.data) if self.said_size is None else self.said_size
        yield pb.PutImagesRequest(image=image)
        for start in range(0, len(self.data), self.chunk):
            yield pb.PutImagesRequest(chunk=self.data[start : start + self.chunk])


def key_of(stack: Stack, role: str, organization: str | None = None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with a key of this role; in another organization, of its owner.

    Each new key is a run of the command: one does for an organization that is only visited.
    """
    return stack.metadata("owner" if organization else role, organization)


def put_stream(
    stack: Stack,
    requests: Iterable[pb.PutImagesRequest],
    *,
    role: str = "member",
    organization: str | None = None,
) -> list[pb.PutImagesResponse]:
    """What the server answers to one stream of messages, in the order in which it comes."""
    answers = CatalogServiceStub(stack.channel).PutImages(
        iter(requests), metadata=key_of(stack, role, organization), timeout=60
    )
    return list(answers)


def put(
    stack: Stack,
    dataset: str,
    pictures: Iterable[Picture],
    *,
    classes: Sequence[pb.DatasetClass] = (),
    create: bool = True,
    role: str = "member",
    organization: str | None = None,
) -> list[pb.PutImagesResponse]:
    """Puts pictures into a dataset in one stream; the answers are in the pictures' order."""
    sent: deque[str] = deque()

    def requests() -> Iterator[pb.PutImagesRequest]:
        opening = pb.PutImagesOpen(dataset_name=dataset, create_dataset=create, classes=classes)
        yield pb.PutImagesRequest(open=opening)
        for picture in pictures:
            sent.append(picture.path)
            yield from picture.requests()

    answers = put_stream(stack, requests(), role=role, organization=organization)
    found = {answer.path: answer for answer in answers}
    assert len(answers) == len(found) == len(sent)
    return [found[path] for path in sent]


def put_all(
    stack: Stack, dataset: str, pictures: Iterable[Picture], *, organization: str | None = None
) -> None:
    """Makes a dataset of pictures that are new to it.

    Raises:
        AssertionError: an image was not created.
    """
    for answer in put(stack, dataset, pictures, organization=organization):
        assert answer.result == pb.PUT_IMAGE_RESULT_CREATED, answer


def read(stack: Stack, dataset: str, *, organization: str | None = None) -> pb.Dataset:
    """The dataset as the catalog tells it."""
    answer = CatalogServiceStub(stack.channel).GetDataset(
        pb.GetDatasetRequest(dataset_name=dataset),
        metadata=key_of(stack, "viewer", organization),
        timeout=30,
    )
    return answer.dataset


def classes(**types: str) -> list[pb.DatasetClass]:
    """Classes by name and type, in order."""
    return [pb.DatasetClass(name=name, type=kind) for name, kind in types.items()]


def _scene(number: int) -> Picture:
    objects = [bbox("car", x=4 + n) for n in range(number % 3)]
    if number % 4 == 1:
        objects.append(bbox("person", x=30))
    if number == 5:
        outer = [(2.0, 2.0), (40.0, 2.0), (40.0, 30.0), (2.0, 30.0)]
        objects.append(polygon("sign", outer, [(10.0, 8.0), (20.0, 8.0), (15.0, 20.0)]))
    return Picture(
        f"{'day' if number < 6 else 'night'}/{number:02}.jpg",
        jpeg(64 + number, 48, seed=number),
        objects,
        # No image is under review.
        status=("new", "annotate", "complete")[number % 3],
        split=("train", "val", "test", "")[number % 4],
    )


#: A dataset with every kind of image that filters tell apart.
SCENES = tuple(map(_scene, range(12)))


def names(picture: Picture) -> list[str]:
    """The classes of a picture's annotations."""
    assert not isinstance(picture.annotations, bytes)
    return [annotation["name"] for annotation in picture.annotations]


def count(
    *, status: str = "", among: Sequence[str] = (), unannotated: bool = False
) -> tuple[int, int]:
    """How many images and annotations of `SCENES` a selection has."""
    kept = [
        [name for name in names(picture) if not among or name in among]
        for picture in SCENES
        if status in ("", picture.status)
    ]
    if among and not unannotated:
        kept = [row for row in kept if row]
    return len(kept), sum(map(len, kept))
