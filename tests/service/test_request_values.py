"""Whatever values a request has, the answer says what is wrong with them, and nothing breaks."""

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from cartouche.webhooks.v1 import webhook_service_pb2 as webhooks_pb
from cartouche.webhooks.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.datasets import Picture, bbox, jpeg, put, put_all, read, unique
from tests.exports import completed, details_of, refused, stub
from tests.rpcs import ENDLESS, METHODS
from tests.stack import Production, Stack

pytestmark = pytest.mark.timeout(300)

#: What a caller may be told of its values.
ANSWERS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}

STUBS = {
    "ExportService": ExportServiceStub,
    "CatalogService": CatalogServiceStub,
    "WebhookService": WebhookServiceStub,
}

Path = tuple[FieldDescriptor, ...]


def fields(message: Descriptor, at: Path = ()) -> Iterator[Path]:
    """Every field of a message and of those in it that holds a value."""
    for field in message.fields:
        if field.message_type is not None:
            yield from fields(field.message_type, (*at, field))
        else:
            yield (*at, field)


FIELDS = [(method, path) for method in METHODS.values() for path in fields(method.input_type)]


def title(value: MethodDescriptor | Path | bytes) -> str:
    if isinstance(value, MethodDescriptor):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    return ".".join(field.name for field in value)


def place(message: Message, path: Path) -> tuple[Message, FieldDescriptor]:
    """Where the field of a path lies; lists on the way get an item where they have none."""
    *folders, field = path
    for folder in folders:
        inner = getattr(message, folder.name)
        message = (inner[0] if inner else inner.add()) if folder.is_repeated else inner
    return message, field


def text_of(message: Message, path: Path) -> str:
    """What a field of text holds; of a list, its first item."""
    inner, field = place(message, path)
    value = getattr(inner, field.name)
    return "".join(value[:1]) if field.is_repeated else value


def put_value(message: Message, path: Path, value: Any) -> None:
    inner, field = place(message, path)
    if field.is_repeated:
        getattr(inner, field.name)[:] = [value]
    else:
        setattr(inner, field.name, value)


TEXTS = st.text(max_size=40) | st.text(min_size=1).map(lambda text: (text * 3_000)[:3_000])
VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
}


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """What a field may hold on the wire."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary() | TEXTS.map(str.encode)
    return VALUES[field.cpp_type]


@dataclass(frozen=True)
class Target:
    """A server on PostgreSQL, and requests of it that are as they should be."""

    stack: Production
    dataset: str
    requests: dict[str, list[Message]]

    def request(self, method: MethodDescriptor) -> list[Message]:
        """The messages of a call, fresh; what it makes gets a new name."""
        given = self.requests.get(method.name, [GetMessageClass(method.input_type)()])
        messages = [type(message).FromString(message.SerializeToString()) for message in given]
        if isinstance(messages[0], pb.CreateExportRequest | catalog_pb.CreateDatasetRequest):
            messages[0].name = unique("made")
        return messages

    def call(self, method: MethodDescriptor, messages: list[Message]) -> None:
        """Makes a call, and looks at how it ends."""
        service = STUBS[method.containing_service.name](self.stack.channel)
        request = iter(messages) if method.client_streaming else messages[0]
        try:
            answer = getattr(service, method.name)(
                request, metadata=self.stack.metadata(), timeout=60
            )
            if method.name in ENDLESS:
                next(answer)
                answer.cancel()
            elif method.server_streaming:
                list(answer)
            return
        except grpc.RpcError as error:
            refusal = error
        assert refusal.code() in ANSWERS, refusal
        info, _ = details_of(refusal)
        assert info.domain == "cartouche"


@pytest.fixture(scope="module")
def target(production: Production) -> Target:
    """Requests that would go through, so that a value meets all that is behind the checks."""
    dataset = unique("values")
    put_all(production, dataset, [Picture("a.jpg", jpeg(), [bbox("car")])])
    export = completed(production, dataset)
    image = catalog_pb.PutImage(
        path="b.jpg",
        status="new",
        split="train",
        object_key=f"{export.organization_id}/no-such-object",
    )
    joint = catalog_pb.Skeleton(
        nodes=[catalog_pb.SkeletonNode(name="head", x=0.5, y=0.5)],
        edges=[catalog_pb.SkeletonEdge(**{"from": 0, "to": 0})],
    )
    select = catalog_pb.ClassAttribute(name="colour", type="select", values=["red"])
    item = catalog_pb.DatasetClass(
        name="dog", type="keypoint", color="#00ff00", attributes=[select], skeleton=joint
    )
    choice: dict[str, Any] = {
        "dataset_name": dataset,
        "format": "csv",
        "class_filter": ["car"],
        "status_filter": "new",
    }
    by_name = pb.ExportName(dataset_name=dataset, name=export.name)
    opening = catalog_pb.PutImagesOpen(dataset_name=dataset, create_dataset=True, classes=[item])
    # Nothing is sent to it.
    stub_ = WebhookServiceStub(production.channel)
    webhook = stub_.CreateWebhook(
        webhooks_pb.CreateWebhookRequest(url="https://127.0.0.1:1/hook", events=["export.failed"]),
        metadata=production.metadata(),
        timeout=30,
    ).webhook.id
    return Target(
        production,
        dataset,
        {
            "CreateExport": [pb.CreateExportRequest(**choice)],
            "PreviewExport": [pb.PreviewExportRequest(name="new", **choice)],
            "GetExport": [pb.GetExportRequest(by_name=by_name)],
            "WatchExport": [pb.WatchExportRequest(by_name=by_name)],
            "GetDownloadUrl": [pb.GetDownloadUrlRequest(by_name=by_name)],
            "DeleteExport": [
                pb.DeleteExportRequest(by_name=pb.ExportName(dataset_name=dataset, name="none"))
            ],
            "BulkDeleteExports": [pb.BulkDeleteExportsRequest(export_ids=["none"])],
            "ListExports": [pb.ListExportsRequest(dataset_name=dataset, formats=["csv"])],
            "WatchExports": [
                pb.WatchExportsRequest(page=pb.ListExportsRequest(dataset_name=dataset))
            ],
            "UpdateWebhook": [webhooks_pb.UpdateWebhookRequest(id=webhook, set_events=True)],
            "ListDeliveries": [webhooks_pb.ListDeliveriesRequest(webhook_id=webhook)],
            "CreateDataset": [catalog_pb.CreateDatasetRequest(classes=[item])],
            "GetDataset": [catalog_pb.GetDatasetRequest(dataset_name=dataset)],
            "PutImages": [
                catalog_pb.PutImagesRequest(open=opening),
                catalog_pb.PutImagesRequest(image=image),
            ],
        },
    )


@pytest.mark.parametrize(("method", "path"), FIELDS, ids=title)
def test_no_value_breaks_a_call(target: Target, method: MethodDescriptor, path: Path) -> None:
    """Of every field of every request, on PostgreSQL, which refuses more than SQLite."""
    position = 1 if path[0].name in ("image", "chunk") else 0

    @settings(max_examples=15)
    @given(values(path[-1]), st.booleans())
    def check(value: Any, is_appended: bool) -> None:
        messages = target.request(method)
        if is_appended and isinstance(value, str):
            value = text_of(messages[position], path) + value
        put_value(messages[position], path, value)
        target.call(method, messages)

    if path[-1].type == FieldDescriptor.TYPE_STRING:
        for text in ("\0", "\x01", "\ufffe", "x" * 1_025):
            check = example(text, True)(example(text, False)(check))
    if path[-1].type == FieldDescriptor.TYPE_DOUBLE:
        for number in (math.nan, math.inf, -math.inf):
            check = example(number, False)(check)
    check()


@pytest.mark.parametrize(
    ("method", "data"),
    [
        *((method, b"\xff") for method in METHODS.values()),
        # A text that is not UTF-8.
        (METHODS["GetDataset"], b"\x0a\x01\xff"),
    ],
    ids=title,
)
def test_bytes_that_are_no_message_are_refused(
    stack: Stack, method: MethodDescriptor, data: bytes
) -> None:
    kind = "stream" if method.client_streaming else "unary"
    kind += "_stream" if method.server_streaming else "_unary"
    call = getattr(stack.channel, kind)(f"/{method.containing_service.full_name}/{method.name}")
    request = iter([data]) if method.client_streaming else data
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        answer = call(request, metadata=stack.metadata(), timeout=30)
        if method.server_streaming:
            list(answer)


def of_classes(stack: Stack, *items: catalog_pb.DatasetClass) -> None:
    CatalogServiceStub(stack.channel).CreateDataset(
        catalog_pb.CreateDatasetRequest(name=unique("limits"), classes=items),
        metadata=stack.metadata("member"),
        timeout=60,
    )


def of_skeleton(stack: Stack, *nodes: catalog_pb.SkeletonNode) -> None:
    skeleton = catalog_pb.Skeleton(nodes=nodes)
    of_classes(stack, catalog_pb.DatasetClass(name="a", type="keypoint", skeleton=skeleton))


def of_attribute(stack: Stack, **values: Any) -> None:
    attributes = [catalog_pb.ClassAttribute(**values)]
    of_classes(stack, catalog_pb.DatasetClass(name="a", attributes=attributes))


def of_list(stack: Stack, **values: Any) -> None:
    stub(stack).ListExports(
        pb.ListExportsRequest(**values), metadata=stack.metadata("viewer"), timeout=30
    )


def of_export(stack: Stack, **values: Any) -> None:
    stub(stack).PreviewExport(
        pb.PreviewExportRequest(**values), metadata=stack.metadata("viewer"), timeout=60
    )


Limit = Callable[[Stack], None]
NODE = catalog_pb.SkeletonNode
LIMITS: list[tuple[str, Limit, Limit | None]] = [
    (
        "classes[0].name",
        lambda stack: of_classes(stack, catalog_pb.DatasetClass(name="x" * 121)),
        lambda stack: of_classes(stack, catalog_pb.DatasetClass(name="x" * 120)),
    ),
    (
        "classes[0].color",
        lambda stack: of_classes(stack, catalog_pb.DatasetClass(name="a", color="x" * 33)),
        lambda stack: of_classes(stack, catalog_pb.DatasetClass(name="a", color="x" * 32)),
    ),
    (
        "classes[0].attributes",
        lambda stack: of_classes(
            stack,
            catalog_pb.DatasetClass(name="a", attributes=[catalog_pb.ClassAttribute()] * 101),
        ),
        None,
    ),
    (
        "classes[0].attributes[0].name",
        lambda stack: of_attribute(stack, name="x" * 121),
        lambda stack: of_attribute(stack, name="x" * 120),
    ),
    (
        "classes[0].attributes[0].values",
        lambda stack: of_attribute(stack, name="a", values=["x"] * 1_001),
        lambda stack: of_attribute(stack, name="a", values=["x"] * 1_000),
    ),
    (
        "classes[0].attributes[0].values[1]",
        lambda stack: of_attribute(stack, name="a", values=["x", "x" * 256]),
        lambda stack: of_attribute(stack, name="a", values=["x", "x" * 255]),
    ),
    (
        "classes[0].skeleton.nodes",
        lambda stack: of_skeleton(stack, *(NODE(name=str(n)) for n in range(1_001))),
        lambda stack: of_skeleton(stack, *(NODE(name=str(n)) for n in range(1_000))),
    ),
    (
        "classes[0].skeleton.nodes[0].name",
        lambda stack: of_skeleton(stack, NODE(name="x" * 121)),
        lambda stack: of_skeleton(stack, NODE(name="x" * 120)),
    ),
    (
        "classes[0].skeleton.nodes[1].y",
        lambda stack: of_skeleton(stack, NODE(name="a"), NODE(name="b", y=float("nan"))),
        None,
    ),
    (
        "classes[0].skeleton.nodes[0].x",
        lambda stack: of_skeleton(stack, NODE(name="a", x=float("-inf"))),
        None,
    ),
    (
        "formats",
        lambda stack: of_list(stack, formats=["coco"] * 101),
        lambda stack: of_list(stack, formats=["coco"] * 100),
    ),
    (
        "formats[1]",
        lambda stack: of_list(stack, formats=["coco", "\0"]),
        None,
    ),
    (
        "formats[2]",
        lambda stack: of_list(stack, formats=["coco", "csv", "cocoa"]),
        lambda stack: of_list(stack, formats=["coco", "csv", "yolo"]),
    ),
    (
        "class_filter",
        lambda stack: of_export(stack, dataset_name="x", class_filter=["x"] * 10_001),
        None,
    ),
    ("dataset_name", lambda stack: of_list(stack, dataset_name="ä" * 513), None),
]


@pytest.mark.parametrize(("field", "beyond", "within"), LIMITS, ids=[row[0] for row in LIMITS])
def test_limits(stack: Stack, field: str, beyond: Limit, within: Limit | None) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
        beyond(stack)
    if within is not None:
        within(stack)


def test_an_image_with_a_bad_text_does_not_end_the_import(stack: Stack) -> None:
    name = unique("bad-text")
    pictures = [
        Picture("a\0.jpg", jpeg()),
        Picture("b.jpg", sha256="\0"),
        Picture("c.jpg", object_key="\0"),
        Picture("d.jpg", jpeg(), status="\0"),
        Picture("e.jpg", jpeg()),
    ]
    lines = put(stack, name, [Picture("a\nb.jpg", jpeg()), Picture("c.jpg", jpeg(), [bbox("\n")])])
    for answer, field in zip(lines, ("path", "annotations[0].name"), strict=True):
        assert answer.result == catalog_pb.PUT_IMAGE_RESULT_REJECTED
        assert answer.message.startswith(f"{field}: ")
    *bad, good = put(stack, name, pictures)
    for answer, field in zip(bad, ("path", "sha256", "object_key", "status"), strict=True):
        assert answer.result == catalog_pb.PUT_IMAGE_RESULT_REJECTED
        assert answer.message.startswith(f"{field}: has the character NUL")
    assert good.result == catalog_pb.PUT_IMAGE_RESULT_CREATED
    assert read(stack, name).image_count == 1


def test_a_request_of_many_megabytes_is_refused(stack: Stack) -> None:
    """Before it is parsed: each of its two million classes would take a hundred bytes."""
    call: Any = stack.channel.unary_unary("/cartouche.catalog.v1.CatalogService/CreateDataset")
    for metadata, code, reason in (
        ((), grpc.StatusCode.UNAUTHENTICATED, "API_KEY_MISSING"),
        (stack.metadata("member"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ):
        with refused(code, reason):
            call(b"\x12\0" * 2_500_000, metadata=metadata, timeout=30)


def test_an_image_of_impossible_size_is_rejected(stack: Stack) -> None:
    """A TIFF header can say more than an integer column holds."""
    tags = {256: 3_000_000_000, 257: 1, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: 1, 279: 9}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    header = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(100)
    answer = put(stack, unique("impossible"), [Picture("a.tif", header.ljust(300, b"\0"))])[0]
    assert answer.result == catalog_pb.PUT_IMAGE_RESULT_REJECTED
    assert answer.message.startswith("image: says that it has 3,000,000,000 x 1 pixels")


def test_an_error_with_much_to_say_arrives(stack: Stack, scenes: str) -> None:
    """Clients take no more than some KiB of it."""
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "format", "class_filter"
    ) as error:
        of_export(
            stack,
            dataset_name=scenes,
            format="漢" * 300,
            class_filter=["ä%" * 300 + str(n) for n in range(500)],
        )
    _, violations = details_of(error())
    assert violations["class_filter"].startswith(f"'{'ä%' * 30}…', ")
    assert "and 495 more " in violations["class_filter"]
    assert len(violations["class_filter"]) < 2_000
