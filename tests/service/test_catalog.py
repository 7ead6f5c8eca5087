"""CatalogService over real sockets: datasets, and how images get into them."""

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub

from services.catalog.limits import MAX_DOCUMENT
from tests.datasets import (
    CHUNK,
    Picture,
    bbox,
    classes,
    jpeg,
    key_of,
    noise_jpeg,
    polygon,
    polyline,
    put,
    put_stream,
    read,
    unique,
)
from tests.exports import completed, download, object_store, read_json, refused, unzip
from tests.stack import Stack

CREATED = pb.PUT_IMAGE_RESULT_CREATED
UPDATED = pb.PUT_IMAGE_RESULT_UPDATED
UNCHANGED = pb.PUT_IMAGE_RESULT_UNCHANGED
REJECTED = pb.PUT_IMAGE_RESULT_REJECTED
CONTENT_NEEDED = pb.PUT_IMAGE_RESULT_CONTENT_NEEDED


def create_dataset(
    stack: Stack, name: str, *items: pb.DatasetClass, role: str = "member"
) -> pb.Dataset:
    answer = CatalogServiceStub(stack.channel).CreateDataset(
        pb.CreateDatasetRequest(name=name, classes=items),
        metadata=stack.metadata(role),
        timeout=30,
    )
    return answer.dataset


def list_datasets(
    stack: Stack, organization: str | None = None, **page: int
) -> pb.ListDatasetsResponse:
    return CatalogServiceStub(stack.channel).ListDatasets(
        pb.ListDatasetsRequest(**page), metadata=key_of(stack, "viewer", organization), timeout=30
    )


def put_one(stack: Stack, dataset: str, path: str = "a.jpg", **fields: Any) -> pb.PutImagesResponse:
    if not {"data", "object_key", "sha256"} & fields.keys():
        fields["data"] = jpeg()
    return put(stack, dataset, [Picture(path, **fields)])[0]


def test_a_dataset_comes_back_as_it_was_made(stack: Stack) -> None:
    name = unique("Street Scenes")
    person = pb.DatasetClass(
        name="person",
        type="keypoint",
        color="#00ff7f",
        skeleton=pb.Skeleton(
            nodes=[pb.SkeletonNode(name="head", x=0.5, y=0), pb.SkeletonNode(name="foot", y=1)],
            edges=[pb.SkeletonEdge(**{"from": 0, "to": 1})],
        ),
    )
    colour = pb.ClassAttribute(name="colour", type="select", values=["red", "blue"])
    car = pb.DatasetClass(name="car", type="bbox", color="#ff0000", attributes=[colour])
    made = create_dataset(stack, name, car, person)
    assert (made.name, list(made.classes)) == (name, [car, person])
    assert (made.image_count, made.annotation_count) == (0, 0)
    assert made.slug == name.lower().replace(" ", "-")
    assert made.created_at.seconds > 1_700_000_000
    assert read(stack, name) == made
    assert read(stack, made.slug) == made


def test_a_name_is_taken_once_in_an_organization(stack: Stack) -> None:
    name = unique("taken")
    mine = create_dataset(stack, name)
    with refused(grpc.StatusCode.ALREADY_EXISTS, "DATASET_EXISTS"):
        create_dataset(stack, name)
    other = put(stack, name, [Picture("a.jpg", jpeg())], organization="elsewhere")
    assert other[0].result == CREATED
    assert read(stack, name, organization="elsewhere").id != mine.id
    assert read(stack, name) == mine


@pytest.mark.parametrize(
    ("name", "made", "field"),
    [
        ("", [], "name"),
        (".", [], "name"),
        ("x" * 101, [], "name"),
        ("tab\there", [], "name"),
        ("ok", classes(car="box"), "classes[0].type"),
        ("ok", [*classes(car="bbox"), *classes(car="polygon")], "classes[1].name"),
        ("ok", [pb.DatasetClass(name=" ")], "classes[0].name"),
        ("ok", [pb.DatasetClass(name="a\nb")], "classes[0].name"),
        ("ok", [pb.DatasetClass(name="a\x85")], "classes[0].name"),
        ("ok", [pb.DatasetClass(name="a", skeleton=pb.Skeleton())], "classes[0].skeleton"),
    ],
)
def test_datasets_that_are_refused(
    stack: Stack, name: str, made: list[pb.DatasetClass], field: str
) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
        create_dataset(stack, name, *made)


def test_lists_are_pages_by_name(stack: Stack) -> None:
    organization = "pages"
    names = sorted(unique("page") for _ in range(3))
    for name in reversed(names):
        put(stack, name, [Picture("a.jpg", jpeg())], organization=organization)
    answer = list_datasets(stack, organization)
    assert [d.name for d in answer.datasets] == names
    assert answer.total == 3
    assert {d.image_count for d in answer.datasets} == {1}
    second = list_datasets(stack, organization, limit=1, offset=1)
    assert ([d.name for d in second.datasets], second.total) == (names[1:2], 3)
    for page, field in (
        ({"limit": 1001}, "limit"),
        ({"limit": -1}, "limit"),
        ({"offset": -1}, "offset"),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
            list_datasets(stack, organization, **page)


def test_an_absent_dataset_is_made_only_when_asked(stack: Stack) -> None:
    name = unique("absent")
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        put(stack, name, [Picture("a.jpg", jpeg())], create=False)
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        read(stack, name)
    put(stack, name, [Picture("a.jpg", jpeg())])
    assert read(stack, name).image_count == 1


def test_writing_needs_the_role_member(stack: Stack) -> None:
    name = unique("roles")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        create_dataset(stack, name, role="viewer")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        put(stack, name, [Picture("a.jpg", jpeg())], role="viewer")


def test_created_updated_unchanged(stack: Stack) -> None:
    name = unique("again")
    first = Picture("folder/a.jpg", jpeg(seed=1), [bbox("car"), bbox("person")], "complete", "val")
    one = put(stack, name, [first])[0]
    assert (one.result, one.annotation_count) == (CREATED, 2)
    same = put(stack, name, [first])[0]
    assert (same.result, same.image_id, same.annotation_count) == (UNCHANGED, one.image_id, 2)
    for changed in (
        Picture("folder/a.jpg", jpeg(seed=2), [bbox("car"), bbox("person")], "complete", "val"),
        Picture("folder/a.jpg", jpeg(seed=2), [bbox("car")], "complete", "val"),
        Picture("folder/a.jpg", jpeg(seed=2), [bbox("car")], "review", "val"),
        Picture("folder/a.jpg", jpeg(seed=2), [bbox("car")], "review"),
    ):
        assert put(stack, name, [changed])[0].result == UPDATED
        assert put(stack, name, [changed])[0].result == UNCHANGED
    found = read(stack, name)
    assert (found.image_count, found.annotation_count) == (1, 1)


def test_a_path_that_comes_twice_in_a_stream_ends_as_the_last(stack: Stack) -> None:
    name = unique("twice")

    def requests() -> Iterator[pb.PutImagesRequest]:
        opening = pb.PutImagesOpen(dataset_name=name, create_dataset=True)
        yield pb.PutImagesRequest(open=opening)
        # The first is large and takes longer than those that follow it.
        yield from Picture("a.jpg", noise_jpeg(1, 700)).requests()
        for status in (*("new", "review") * 4, "complete"):
            yield from Picture("a.jpg", jpeg(), [bbox("car")], status).requests()

    answers = put_stream(stack, requests())
    assert [answer.path for answer in answers] == ["a.jpg"] * 10
    assert len({answer.image_id for answer in answers}) == 1
    assert read(stack, name).image_count == 1
    last = completed(stack, name, status_filter="complete")
    assert last.image_count == 1


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (b"{", "annotations: is not JSON"),
        (b'{"a": 1}', "annotations: must be an array"),
        (b"[" * (MAX_DOCUMENT + 1), "annotations: the annotations of the image take 3,145,729"),
        ([bbox("car"), bbox("car", w=0)], "annotations[1].bounding_box.w: must be above 0"),
        ([bbox("car") | {"colour": 1}], "annotations[0].colour: is unknown"),
        ([bbox(" ")], "annotations[0].name: must be a class name"),
        ([bbox("car") | {"confidence": 2}], "annotations[0].confidence: must be a number"),
        ([bbox("car") | {"type": "box"}], "annotations[0].type: must be one of bbox"),
        (
            [bbox("car"), polygon("car", [(0, 0), (1, 1)])],
            "annotations[1].polygon.paths[0]: must be an array of at least 3 points",
        ),
        ([polyline("car", (0, 0))], "annotations[0].polyline.path: must be an array of at least 2"),
        (
            [bbox("car") | {"id": "a"}, bbox("car", x=9) | {"id": "a"}],
            "annotations[1].id: is the id of annotations[0] too",
        ),
        (b'[{"name":"car","type":"keypoint","keypoint":{"x":"1","y":2}}]', "keypoint.x: must be a"),
    ],
)
def test_annotations_are_rejected_by_index_and_field(
    stack: Stack, annotations: Any, said: str
) -> None:
    name = unique("wrong")
    good, bad = put(
        stack, name, [Picture("good.jpg", jpeg()), Picture("bad.jpg", jpeg(), annotations)]
    )
    assert good.result == CREATED
    assert (bad.result, bad.reason) == (REJECTED, "INVALID_ARGUMENT")
    assert said in bad.message
    assert not bad.image_id
    assert read(stack, name).image_count == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"path": "../a.jpg"}, "path: give a relative path"),
        ({"path": "/a.jpg"}, "path: give a relative path"),
        ({"path": "a//b.jpg"}, "path: give a relative path"),
        ({"path": "é" * 513}, "path: has 1026 bytes of UTF-8; at most 1024 are allowed"),
        ({"status": "done"}, "status: 'done' is not one of new, annotate, review, complete"),
        ({"split": "valid"}, "split: 'valid' is not one of train, val, test"),
        ({"data": b"<html>"}, "image: is HTML"),
        ({"data": b""}, "image: is empty; check the file"),
        ({"said_size": 700, "chunk": 10_000}, "size: says 700 bytes;"),
        ({"said_size": -1, "data": b""}, "size: says -1 bytes; 0 came"),
    ],
)
def test_images_are_rejected_with_reasons(stack: Stack, fields: dict[str, Any], said: str) -> None:
    bad = Picture(**{"path": "bad.jpg", "data": jpeg(), **fields})
    name = unique("bad")
    answers = put(stack, name, [bad, Picture("good.jpg", jpeg(seed=3))])
    assert (answers[0].result, answers[0].reason) == (REJECTED, "INVALID_ARGUMENT")
    assert said in answers[0].message
    assert answers[1].result == CREATED
    assert read(stack, name).image_count == 1


def test_messages_out_of_order_end_the_stream(stack: Stack) -> None:
    name = unique("order")
    opening = pb.PutImagesRequest(open=pb.PutImagesOpen(dataset_name=name, create_dataset=True))
    picture = list(Picture("a.jpg", jpeg(), chunk=100).requests())
    chunk = pb.PutImagesRequest(chunk=b"x")
    large = pb.PutImagesRequest(chunk=bytes(CHUNK + 1))
    for requests, field in (
        ([], "message"),
        (picture, "message"),
        ([opening, chunk], "message"),
        ([opening, opening], "message"),
        ([opening, *picture, chunk], "message"),
        ([opening, *picture[:-1]], "chunk"),
        ([opening, *picture[:2], *picture], "chunk"),
        (
            [opening, pb.PutImagesRequest(image=pb.PutImage(path="a", size=CHUNK + 1)), large],
            "chunk",
        ),
        ([opening, pb.PutImagesRequest(image=pb.PutImage(path="a", size=2**32)), chunk], "size"),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
            put_stream(stack, requests)


def test_what_is_durable_before_an_error_is_answered(stack: Stack) -> None:
    """A stream that breaks half-way goes on where it stood."""
    name = unique("broken")
    opening = pb.PutImagesRequest(open=pb.PutImagesOpen(dataset_name=name, create_dataset=True))

    answered = threading.Event()

    def requests() -> Iterator[pb.PutImagesRequest]:
        yield opening
        yield from Picture("a.jpg", jpeg()).requests()
        answered.wait(30)
        yield opening

    answers = CatalogServiceStub(stack.channel).PutImages(
        requests(), metadata=stack.metadata("member"), timeout=60
    )
    assert next(answers).result == CREATED
    answered.set()
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "message"):
        next(answers)
    assert read(stack, name).image_count == 1


def test_bytes_that_are_known_need_not_be_sent(stack: Stack) -> None:
    name, data = unique("known"), jpeg(90, 70, seed=int(unique("").removeprefix("-"), 16))
    sha256 = hashlib.sha256(data).hexdigest()
    assert put_one(stack, name, "a.jpg", sha256=sha256).result == CONTENT_NEEDED
    assert read(stack, name).image_count == 0
    assert put_one(stack, name, "a.jpg", data=data).result == CREATED
    assert put_one(stack, name, "b.jpg", sha256=sha256).result == CREATED
    assert put_one(stack, name, "b.jpg", sha256=sha256).result == UNCHANGED
    foreign = put(stack, name, [Picture("a.jpg", sha256=sha256)], organization="elsewhere")
    assert foreign[0].result == CONTENT_NEEDED
    export = completed(stack, name, include_images=True)
    archive = unzip(download(stack, export.id))
    assert archive.read("images/a.jpg") == archive.read("images/b.jpg") == data


def test_objects_that_lie_in_the_bucket_already(stack: Stack) -> None:
    name, data = unique("objects"), jpeg(80, 60, seed=5)
    made = create_dataset(stack, name)
    theirs = put(stack, name, [Picture("a.jpg", jpeg())], organization="elsewhere")
    assert theirs[0].result == CREATED
    foreign_id = read(stack, name, organization="elsewhere").organization_id
    mine = f"{made.organization_id}/uploads/{name}"
    with object_store(stack) as store:
        for key in (f"{mine}/a.jpg", f"{foreign_id}/uploads/{name}.jpg", f"loose-{name}.jpg"):
            store.put(store.images_bucket, key, data)
        store.put(store.images_bucket, f"{mine}/text.jpg", b"no image")
    assert put_one(stack, name, "a.jpg", object_key=f"{mine}/a.jpg").result == CREATED
    assert put_one(stack, name, "a.jpg", object_key=f"{mine}/a.jpg").result == UNCHANGED
    for key in (
        f"{mine}/missing.jpg",
        f"{foreign_id}/uploads/{name}.jpg",
        f"loose-{name}.jpg",
        f"{made.organization_id}/../{foreign_id}/uploads/{name}.jpg",
        f"{made.organization_id}",
        f"{made.organization_id}/",
        "/",
    ):
        answer = put_one(stack, name, "b.jpg", object_key=key)
        assert (answer.result, answer.reason) == (REJECTED, "OBJECT_NOT_FOUND"), key
    text = put_one(stack, name, "b.jpg", object_key=f"{mine}/text.jpg")
    assert (text.result, text.reason) == (REJECTED, "INVALID_ARGUMENT")
    export = completed(stack, name, include_images=True)
    assert export.image_count == 1
    assert unzip(download(stack, export.id)).read("images/a.jpg") == data


def test_new_classes_are_appended_in_order(stack: Stack) -> None:
    name = unique("classes")
    create_dataset(stack, name, *classes(car="bbox"))
    lane = polyline("lane", (0, 0), (5, 5))
    put(stack, name, [Picture("a.jpg", jpeg(), [lane, bbox("car"), bbox("Car")])])
    put(stack, name, [Picture("b.jpg", jpeg(), [bbox("sign")])], classes=classes(tree="polygon"))
    put(stack, name, [Picture("b.jpg", jpeg(), [bbox("lane")])], classes=classes(car="polygon"))
    found = [(item.name, item.type) for item in read(stack, name).classes]
    assert found == [
        ("car", "bbox"),
        ("lane", "polyline"),
        ("Car", "bbox"),
        ("tree", "polygon"),
        ("sign", "bbox"),
    ]


def test_images_measure_what_is_displayed(stack: Stack) -> None:
    name = unique("exif")
    turned = [Picture(f"{tag}.jpg", jpeg(60, 40, orientation=tag)) for tag in (1, 3, 6, 8)]
    assert {answer.result for answer in put(stack, name, turned)} == {CREATED}
    archive = unzip(download(stack, completed(stack, name, format="coco").id))
    rows = read_json(archive, "annotations/instances_default.json")["images"]
    measured = {row["file_name"]: (row["width"], row["height"]) for row in rows}
    assert measured == {
        "1.jpg": (60, 40),
        "3.jpg": (60, 40),
        "6.jpg": (40, 60),
        "8.jpg": (40, 60),
    }


def test_numbers_stay_when_images_come_again(stack: Stack) -> None:
    name = unique("numbers")

    def coco() -> tuple[dict[str, int], list[tuple[int, int]]]:
        archive = unzip(download(stack, completed(stack, name, format="coco").id))
        value = read_json(archive, "annotations/instances_default.json")
        images = {row["file_name"]: row["id"] for row in value["images"]}
        return images, [(row["id"], row["image_id"]) for row in value["annotations"]]

    put(stack, name, [Picture("m.jpg", jpeg(), [bbox("car"), bbox("car", x=9)])])
    put(stack, name, [Picture("z.jpg", jpeg(), [bbox("car")])])
    images, annotations = coco()
    assert images == {"m.jpg": 1, "z.jpg": 2}
    assert annotations == [(1, 1), (2, 1), (3, 2)]
    put(stack, name, [Picture("m.jpg", jpeg(), [bbox("car"), bbox("car", x=9)])])
    put(stack, name, [Picture("m.jpg", jpeg(seed=8), [bbox("car"), bbox("car", x=9)], "review")])
    assert coco() == (images, annotations)
    # An earlier path comes later, and changed annotations get numbers of their own.
    put(stack, name, [Picture("a.jpg", jpeg(), [bbox("car")])])
    put(stack, name, [Picture("z.jpg", jpeg(), [bbox("car", x=7)])])
    assert coco() == ({"a.jpg": 3, **images}, [(4, 3), (1, 1), (2, 1), (5, 2)])


def test_many_images_in_one_stream(stack: Stack) -> None:
    name = unique("many")
    pictures = [
        Picture(f"{n % 7}/{n:03}.jpg", jpeg(32, 24, seed=n % 40), [bbox("car")] * (n % 2))
        for n in range(300)
    ]
    answers = put(stack, name, pictures)
    assert {answer.result for answer in answers} == {CREATED}
    assert len({answer.image_id for answer in answers}) == 300
    found = read(stack, name)
    assert (found.image_count, found.annotation_count) == (300, 150)
    assert {answer.result for answer in put(stack, name, pictures)} == {UNCHANGED}


def test_streams_side_by_side_share_their_contents(stack: Stack) -> None:
    """Two imports of the same files, in opposite order, into two datasets."""
    pictures = [Picture(f"{n}.jpg", jpeg(33, 25, seed=n), [bbox("car")]) for n in range(60)]
    names = unique("left"), unique("right")
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(put, [stack] * 2, names, [pictures, pictures[::-1]])
        assert all(answer.result == CREATED for answer in (row for rows in answers for row in rows))


def test_annotations_are_completed_and_kept(stack: Stack) -> None:
    name = unique("kept")
    given = bbox("car") | {"attributes": {"é": [1, None]}, "created_by": None}
    put(stack, name, [Picture("a/b.jpg", jpeg(), [given])])
    archive = unzip(download(stack, completed(stack, name).id))
    (kept,) = read_json(archive, "annotations/a/b.jpg.json")["annotations"]
    assert kept.pop("id")
    assert kept == bbox("car") | {"attributes": {"é": [1, None]}, "confidence": 1.0}
    assert json.loads(archive.read("manifest.json"))["annotation_count"] == 1
