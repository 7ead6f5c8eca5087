"""PutImages with many images in a message: the same as one by one, and asked for only as needed."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.content import IN_MEMORY
from tests.datasets import SCENES, Picture, bbox, jpeg, put_all, put_stream, read, unique
from tests.exports import completed, download, read_json, refused, unzip
from tests.stack import Embedded, Stack

CREATED = pb.PUT_IMAGE_RESULT_CREATED
UPDATED = pb.PUT_IMAGE_RESULT_UPDATED
UNCHANGED = pb.PUT_IMAGE_RESULT_UNCHANGED
REJECTED = pb.PUT_IMAGE_RESULT_REJECTED
CONTENT_NEEDED = pb.PUT_IMAGE_RESULT_CONTENT_NEEDED
ANNOTATIONS_NEEDED = pb.PUT_IMAGE_RESULT_ANNOTATIONS_NEEDED


def document(picture: Picture) -> bytes:
    raw = picture.annotations
    return raw if isinstance(raw, bytes) else json.dumps(list(raw)).encode()


def with_content(picture: Picture) -> pb.PutImage:
    return pb.PutImage(
        path=picture.path,
        status=picture.status,
        split=picture.split,
        annotations=document(picture),
        content=picture.data,
    )


def offered(picture: Picture, **changes: Any) -> pb.PutImage:
    fields = {
        "path": picture.path,
        "status": picture.status,
        "split": picture.split,
        "sha256": hashlib.sha256(picture.data).hexdigest(),
        "annotations_sha256": hashlib.sha256(document(picture)).digest(),
    }
    return pb.PutImage(**fields | changes)


def put_lists(
    stack: Stack, dataset: str, *lists: Iterable[pb.PutImage]
) -> list[pb.PutImagesResponse]:
    """What the server answers to each image."""

    def requests() -> Iterator[pb.PutImagesRequest]:
        opening = pb.PutImagesOpen(dataset_name=dataset, create_dataset=True, batches=True)
        yield pb.PutImagesRequest(open=opening)
        for images in lists:
            yield pb.PutImagesRequest(images=pb.PutImageList(images=images))

    first, *answers = put_stream(stack, requests())
    assert first == pb.PutImagesResponse()
    assert all(answer.results and not answer.path for answer in answers)
    return [result for answer in answers for result in answer.results]


def results(answers: Sequence[pb.PutImagesResponse]) -> list[tuple[str, int]]:
    return [(answer.path, answer.result) for answer in answers]


def test_many_in_a_message_are_the_same_as_one_by_one(stack: Stack) -> None:
    by_itself, in_lists = unique("single"), unique("lists")
    put_all(stack, by_itself, SCENES)
    images = list(map(with_content, SCENES))
    answers = put_lists(stack, in_lists, images[:5], images[5:6], images[6:])
    assert results(answers) == [(picture.path, CREATED) for picture in SCENES]
    archives = [
        unzip(download(stack, completed(stack, name, format="coco").id))
        for name in (by_itself, in_lists)
    ]
    documents = [read_json(archive, "annotations/instances_default.json") for archive in archives]
    assert documents[0]["annotations"] == documents[1]["annotations"]
    assert documents[0]["images"] == documents[1]["images"]
    again = put_lists(stack, in_lists, map(offered, SCENES), map(with_content, SCENES))
    assert results(again) == [(picture.path, UNCHANGED) for picture in SCENES] * 2
    counts = [len(picture.annotations) for picture in SCENES]
    assert [answer.annotation_count for answer in again] == counts * 2
    assert all(answer.image_id for answer in again)


def test_one_that_is_refused_leaves_the_others(stack: Stack) -> None:
    name = unique("refused")
    good = [Picture(f"{number}.jpg", jpeg(seed=number), [bbox("car")]) for number in range(3)]
    large = bytes(IN_MEMORY + 1)
    bad = {
        "page.jpg": with_content(Picture("page.jpg", b"<html>")),
        "large.jpg": with_content(Picture("large.jpg", large)),
        "box.jpg": with_content(Picture("box.jpg", jpeg(), [bbox("car", w=0)])),
        "../up.jpg": with_content(Picture("../up.jpg", jpeg())),
        "bell\x07.jpg": offered(Picture("bell\x07.jpg", jpeg())),
        "none.jpg": pb.PutImage(path="none.jpg"),
        "sum.jpg": offered(Picture("sum.jpg"), annotations_sha256=b"short"),
        "both.jpg": offered(Picture("both.jpg"), annotations=b"[]"),
        "alone.jpg": pb.PutImage(path="alone.jpg", content=jpeg(), annotations_sha256=bytes(32)),
    }
    first, *others = map(with_content, good)
    answers = put_lists(stack, name, [first, *bad.values(), *others])
    assert results(answers) == [
        ("0.jpg", CREATED),
        *((path, REJECTED) for path in bad),
        ("1.jpg", CREATED),
        ("2.jpg", CREATED),
    ]
    said = {answer.path: answer.message for answer in answers}
    assert "image: is HTML" in said["page.jpg"]
    assert f"content: is above {IN_MEMORY} bytes; send it in chunks" in said["large.jpg"]
    assert "annotations[0].bounding_box.w" in said["box.jpg"]
    assert "annotations_sha256: has 5 bytes" in said["sum.jpg"]
    for path in ("both.jpg", "alone.jpg"):
        assert "annotations_sha256: comes with sha256" in said[path]
    assert read(stack, name).image_count == 3


def test_only_what_differs_is_asked_for(stack: Stack) -> None:
    name = unique("differs")
    picture = Picture("a.jpg", jpeg(seed=71), [bbox("car")], "review", "train")
    (answer,) = put_lists(stack, name, [offered(picture)])
    assert answer.result == CONTENT_NEEDED
    (answer,) = put_lists(stack, name, [with_content(picture)])
    assert answer.result == CREATED
    for changes, needed in (
        ({}, UNCHANGED),
        ({"path": "b.jpg"}, ANNOTATIONS_NEEDED),
        ({"status": "complete"}, ANNOTATIONS_NEEDED),
        ({"split": ""}, ANNOTATIONS_NEEDED),
        ({"annotations_sha256": bytes(32)}, ANNOTATIONS_NEEDED),
        ({"sha256": "0" * 64}, CONTENT_NEEDED),
    ):
        (answer,) = put_lists(stack, name, [offered(picture, **changes)])
        assert answer.result == needed, changes
    # Nothing of this was stored.
    assert read(stack, name).image_count == 1
    # The same document, written otherwise: it is unchanged, and known by its new sum.
    spaced = json.dumps(list(picture.annotations), indent=1).encode()
    other = Picture(picture.path, picture.data, spaced, picture.status, picture.split)
    assert [
        answer.result for answer in put_lists(stack, name, [offered(other)], [with_content(other)])
    ] == [ANNOTATIONS_NEEDED, UNCHANGED]
    assert put_lists(stack, name, [offered(other)])[0].result == UNCHANGED


def test_a_path_that_comes_twice_goes_in_twice(stack: Stack) -> None:
    name = unique("twice")
    one = Picture("a.jpg", jpeg(seed=72), [bbox("car")])
    two = Picture("a.jpg", jpeg(seed=73), [bbox("car"), bbox("person")])
    answers = put_lists(
        stack,
        name,
        [with_content(one), offered(one), with_content(two), offered(one), offered(two)],
        [with_content(one), offered(two)],
    )
    assert [answer.result for answer in answers] == [
        *(CREATED, UNCHANGED, UPDATED, ANNOTATIONS_NEEDED, UNCHANGED),
        *(UPDATED, ANNOTATIONS_NEEDED),
    ]
    assert read(stack, name).annotation_count == 1


def test_what_an_older_server_changed_is_asked_for(embedded: Embedded) -> None:
    name = unique("older")
    pictures = [Picture(f"{n}.jpg", jpeg(seed=74 + n), [bbox("car")] * n) for n in range(3)]
    put_lists(embedded, name, map(with_content, pictures))
    with closing(sqlite3.connect(embedded.folder / "home" / "cartouche.db", timeout=30)) as record:
        # It gives new numbers to other annotations, and knows no sums.
        of = "dataset_id IN (SELECT id FROM datasets WHERE name = ?) AND path = ?"
        for path, count in (("0.jpg", 2), ("1.jpg", 1), ("2.jpg", 0)):
            change = "annotations = '[]', annotation_count = ?"
            if path == "1.jpg":
                change += ", first_annotation_number = first_annotation_number + 9"
            record.execute(f"UPDATE images SET {change} WHERE {of}", (count, name, path))
        record.commit()
    answers = put_lists(embedded, name, map(offered, pictures))
    assert [answer.result for answer in answers] == [ANNOTATIONS_NEEDED] * 3


@pytest.mark.parametrize(
    ("images", "field"),
    [
        ([], "images"),
        ([pb.PutImage()] * 1_001, "images"),
        ([pb.PutImage(path="a", annotations=bytes(2_200_000))] * 2, "images"),
        ([pb.PutImage(path="a", size=1)], "images.images[0]"),
        ([pb.PutImage(path="a", sha256="0" * 64), pb.PutImage(object_key="k")], "images.images[1]"),
    ],
    ids=["none", "too-many", "too-large", "in-chunks", "stored"],
)
def test_lists_are_bounded(stack: Stack, images: list[pb.PutImage], field: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
        put_lists(stack, unique("bounded"), images)


def test_who_did_not_ask_for_lists_gets_none(stack: Stack) -> None:
    opening = pb.PutImagesOpen(dataset_name=unique("plain"), create_dataset=True)
    many = pb.PutImageList(images=[with_content(SCENES[0])])
    requests = [pb.PutImagesRequest(open=opening), pb.PutImagesRequest(images=many)]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "images"):
        put_stream(stack, requests)
