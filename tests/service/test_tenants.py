"""Nothing of an organization is there for another: every RPC and every path, as every role."""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
import httpx
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.webhooks.v1 import webhook_service_pb2 as webhooks_pb
from cartouche.webhooks.v1.webhook_service_pb2_grpc import WebhookServiceStub
from fastapi.routing import APIRoute
from google.protobuf.message import Message

from gateway import routes, webhooks
from tests.datasets import Picture, bbox, jpeg, put, put_all, read, unique
from tests.exports import completed, create, details_of, download, get, stub, watch
from tests.rpcs import METHODS, call, call_raw
from tests.stack import ROLES, Stack

EXPORTS = "/api/v1/developer/exports"
FOREIGN = "tenants"


@dataclass(frozen=True)
class Names:
    """What requests name: things of one organization, or of nobody."""

    dataset: str
    export: str
    export_id: str
    object_key: str
    sha256: str
    webhook_id: str
    delivery_id: str

    def hidden_in(self, text: str) -> str:
        """The text without what the request named, so that two answers can be compared."""
        for name, value in vars_of(self):
            text = text.replace(value, f"<{name}>")
        return text


def vars_of(names: Names) -> list[tuple[str, str]]:
    return [(name, getattr(names, name)) for name in Names.__dataclass_fields__]


OF_NOBODY = Names(
    unique("tenant"),
    unique("export"),
    str(uuid.uuid4()),
    f"{uuid.uuid4()}/sha256/ab/x",
    "0" * 64,
    str(uuid.uuid4()),
    f"msg_{uuid.uuid4().hex}",
)


@pytest.fixture(scope="module")
def mine(stack: Stack) -> Iterator[Names]:
    """What the first organization has; it is all there in the end."""
    dataset = unique("tenant")
    picture = Picture("a.jpg", jpeg(64, 48, 5), [bbox("car")])
    put_all(stack, dataset, [picture])
    export = completed(stack, dataset, unique("export"), include_images=True)
    sha256 = hashlib.sha256(picture.data).hexdigest()
    key = f"{export.organization_id}/sha256/{sha256[:2]}/{sha256}"
    stub_ = WebhookServiceStub(stack.channel)
    owner: Any = {"metadata": stack.metadata("owner"), "timeout": 30}
    # Nothing is sent to it.
    request = webhooks_pb.CreateWebhookRequest(url="https://127.0.0.1:1/hook")
    webhook = stub_.CreateWebhook(request, **owner).webhook
    stub_.UpdateWebhook(webhooks_pb.UpdateWebhookRequest(id=webhook.id, enabled=False), **owner)
    sent = stub_.TestWebhook(webhooks_pb.TestWebhookRequest(id=webhook.id), **owner)
    yield Names(dataset, export.name, export.id, key, sha256, webhook.id, sent.delivery_id)
    assert get(stack, export.id) == export
    listed = stub_.ListWebhooks(webhooks_pb.ListWebhooksRequest(), **owner).webhooks
    assert webhook.id in [row.id for row in listed]
    stub_.DeleteWebhook(webhooks_pb.DeleteWebhookRequest(id=webhook.id), **owner)


def addressed(request: type[Message]) -> Callable[[Names], list[list[Message]]]:
    """Both ways to address an export."""
    return lambda names: [
        [request(id=names.export_id)],
        [request(by_name=pb.ExportName(dataset_name=names.dataset, name=names.export))],
    ]


def identified(request: type[Message]) -> Callable[[Names], list[list[Message]]]:
    """A webhook by its id."""
    return lambda names: [[request(id=names.webhook_id)]]


def opened(names: Names, **image: Any) -> list[Message]:
    return [
        catalog_pb.PutImagesRequest(open=catalog_pb.PutImagesOpen(dataset_name=names.dataset)),
        *([catalog_pb.PutImagesRequest(image=catalog_pb.PutImage(**image))] if image else []),
    ]


def choice(names: Names) -> dict[str, Any]:
    return {"dataset_name": names.dataset, "name": names.export, "format": "csv"}


#: For each method, calls that name something. `test_every_rpc_is_here` holds the table to the
#: services.
CALLS: dict[str, Callable[[Names], list[list[Message]]]] = {
    "CreateExport": lambda names: [
        [pb.CreateExportRequest(**choice(names))],
        [pb.CreateExportRequest(**choice(names), class_filter=["car", "nothing"])],
        [pb.CreateExportRequest(**choice(names), return_recent_duplicate=True)],
    ],
    "PreviewExport": lambda names: [[pb.PreviewExportRequest(**choice(names))]],
    "GetExport": addressed(pb.GetExportRequest),
    "ListExports": lambda names: [
        [pb.ListExportsRequest(dataset_name=names.dataset)],
        [pb.ListExportsRequest()],
    ],
    "WatchExport": addressed(pb.WatchExportRequest),
    "WatchExports": lambda names: [
        [pb.WatchExportsRequest()],
        [pb.WatchExportsRequest(page=pb.ListExportsRequest(dataset_name=names.dataset))],
    ],
    "ListFormats": lambda names: [[pb.ListFormatsRequest()]],
    "GetDownloadUrl": addressed(pb.GetDownloadUrlRequest),
    "RetryExport": addressed(pb.RetryExportRequest),
    "CancelExport": addressed(pb.CancelExportRequest),
    "DeleteExport": addressed(pb.DeleteExportRequest),
    "BulkDeleteExports": lambda names: [
        [pb.BulkDeleteExportsRequest(export_ids=[names.export_id])]
    ],
    # In an organization of its own: a name that it makes is there from then on.
    "CreateDataset": lambda names: [[catalog_pb.CreateDatasetRequest(name="")]],
    "GetDataset": lambda names: [[catalog_pb.GetDatasetRequest(dataset_name=names.dataset)]],
    "DeleteImages": lambda names: [
        [catalog_pb.DeleteImagesRequest(dataset_name=names.dataset, paths=["a.jpg", "b.jpg"])]
    ],
    "DeleteDataset": lambda names: [[catalog_pb.DeleteDatasetRequest(dataset_name=names.dataset)]],
    "ListDatasets": lambda names: [[catalog_pb.ListDatasetsRequest()]],
    "ListWebhooks": lambda names: [[webhooks_pb.ListWebhooksRequest()]],
    # In an organization of its own, as above: it would be there from then on.
    "CreateWebhook": lambda names: [[webhooks_pb.CreateWebhookRequest(url="")]],
    **{
        name: identified(kind)
        for name, kind in {
            "UpdateWebhook": webhooks_pb.UpdateWebhookRequest,
            "DeleteWebhook": webhooks_pb.DeleteWebhookRequest,
            "RotateWebhookSecret": webhooks_pb.RotateWebhookSecretRequest,
            "TestWebhook": webhooks_pb.TestWebhookRequest,
        }.items()
    },
    "GetCallbackSecret": lambda names: [[webhooks_pb.GetCallbackSecretRequest()]],
    "ListDeliveries": lambda names: [
        [webhooks_pb.ListDeliveriesRequest(webhook_id=names.webhook_id)]
    ],
    "RedeliverMessage": lambda names: [[webhooks_pb.RedeliverMessageRequest(id=names.delivery_id)]],
    "PutImages": lambda names: [opened(names), opened(names, path="a.jpg", sha256=names.sha256)],
}


def said(stack: Stack, name: str, requests: list[Message], metadata: Any) -> str:
    """All that a call tells its caller."""
    try:
        answers = call(stack, METHODS[name], requests, metadata)
    except grpc.RpcError as error:
        info, violations = details_of(error)
        return f"{error.code()} {error.details()} {info} {violations}"
    return f"OK {answers}"


def test_every_rpc_is_here() -> None:
    assert CALLS.keys() == METHODS.keys()


@pytest.mark.parametrize("role", ROLES)
def test_rpcs_say_of_foreign_things_what_they_say_of_nothing(
    stack: Stack, mine: Names, role: str
) -> None:
    metadata = stack.metadata(role, FOREIGN)
    for name, requests in CALLS.items():
        for foreign, nobody in zip(requests(mine), requests(OF_NOBODY), strict=True):
            answer = said(stack, name, foreign, metadata)
            assert mine.hidden_in(answer) == OF_NOBODY.hidden_in(
                said(stack, name, nobody, metadata)
            )
            # What the caller did not name, it does not learn.
            for _, value in vars_of(mine):
                assert value not in answer or value in str(foreign), (name, answer)


def test_without_a_key_every_rpc_says_one_thing(stack: Stack, mine: Names) -> None:
    for metadata in ((), (("x-api-key", "pk_live_" + "x" * 32),)):
        answers = {
            said(stack, name, request, metadata)
            for name, requests in CALLS.items()
            for names in (mine, OF_NOBODY)
            for request in requests(names)
        }
        assert len(answers) == 1
        (answer,) = answers
        assert answer.startswith("StatusCode.UNAUTHENTICATED")
        # Nor does it matter what is sent.
        for method in METHODS.values():
            with pytest.raises(grpc.RpcError) as refused:
                call_raw(stack, method, [b"\xff"], metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_what_others_make_changes_no_answer(stack: Stack) -> None:
    """Not even a count, with things of one's own beside it."""
    dataset = unique("own")
    put_all(stack, dataset, [Picture("a.jpg", jpeg(), [bbox("car")])], organization=FOREIGN)
    watch(stack, create(stack, dataset, organization=FOREIGN).id, FOREIGN)
    own = replace(OF_NOBODY, dataset=dataset)

    def answers() -> list[str]:
        """But what changes something."""
        metadata = stack.metadata("viewer", FOREIGN)
        http = stack.http("viewer", FOREIGN)
        found = [
            said(stack, name, requests, metadata)
            for name, calls in CALLS.items()
            for names in (own, OF_NOBODY)
            for requests in calls(names)
        ]
        return found + [
            f"{path} {answer.status_code} {answer.text}"
            for path in (f"{EXPORTS}/", f"{EXPORTS}/?dataset_name={dataset}", f"{EXPORTS}/?limit=1")
            for answer in (http.get(path),)
        ]

    before = answers()
    assert any(dataset in answer for answer in before)
    put_all(stack, unique("tenant"), [Picture("a.jpg", jpeg(seed=7), [bbox("car")])])
    # Of the same name, too.
    put_all(stack, dataset, [Picture(f"{n}.jpg", jpeg(seed=n), [bbox("dog")]) for n in range(3)])
    completed(stack, dataset)
    assert answers() == before


def test_bytes_of_another_organization_are_not_taken_as_ones_own(stack: Stack, mine: Names) -> None:
    """Neither by their hash nor by where they lie."""
    dataset = unique("theirs")
    for names in (mine, OF_NOBODY):
        opening = catalog_pb.PutImagesOpen(dataset_name=dataset, create_dataset=True)
        (answer,) = call(
            stack,
            METHODS["PutImages"],
            [
                catalog_pb.PutImagesRequest(open=opening),
                *Picture("hash.jpg", sha256=names.sha256).requests(),
            ],
            stack.metadata("owner", FOREIGN),
        )
        assert answer.result == catalog_pb.PUT_IMAGE_RESULT_CONTENT_NEEDED
    own = read(stack, dataset, organization=FOREIGN).organization_id
    keys = [mine.object_key, OF_NOBODY.object_key, f"{own}/../{mine.object_key}"]
    pictures = [Picture(f"{n}.jpg", object_key=key) for n, key in enumerate(keys)]
    answers = put(stack, dataset, pictures, organization=FOREIGN)
    assert [answer.reason for answer in answers] == ["OBJECT_NOT_FOUND"] * 3


def paths(names: Names) -> Iterator[tuple[str, str, Any]]:
    """Every route of the gateway on these names: method, path and body."""
    filled = {
        "{dataset_name}": names.dataset,
        "{dataset_name:path}": f"{names.dataset}/",
        "{export_name}": names.export,
        "{address:path}": f"{names.dataset}/{names.export}/",
        "{webhook_id}": names.webhook_id,
        "{delivery_id}": names.delivery_id,
    }
    body = {"dataset_name": names.dataset, "name": names.export}
    for route in (*routes.router().routes, *webhooks.router().routes):
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            path = route.path
            for parameter, value in filled.items():
                path = path.replace(parameter, value)
            forms = [path]
            if "{export}" in path:
                forms = [
                    path.replace("{export}", names.export_id),
                    path.replace("{export}", names.export) + f"?dataset={names.dataset}",
                ]
            for form in forms:
                assert "{" not in form, form
                ids = {"export_ids": [names.export_id]}
                yield method, form, ids if "bulk-delete" in form else body
    yield "GET", f"{EXPORTS}/?dataset_name={names.dataset}", None


def test_there_are_routes() -> None:
    """That of FastAPI's own is where the gateway keeps them."""
    assert len(list(paths(OF_NOBODY))) > 30


def answered(answer: httpx.Response, names: Names) -> tuple[int, str]:
    return answer.status_code, names.hidden_in(answer.text)


@pytest.mark.parametrize("role", ROLES)
def test_paths_say_of_foreign_things_what_they_say_of_nothing(
    stack: Stack, mine: Names, role: str
) -> None:
    http = stack.http(role, FOREIGN)
    for (method, path, body), (_, other, other_body) in zip(
        paths(mine), paths(OF_NOBODY), strict=True
    ):
        answer = http.request(method, path, json=body)
        assert answered(answer, mine) == answered(
            http.request(method, other, json=other_body), OF_NOBODY
        )
        if "preview" not in path and method != "GET":
            assert answer.status_code in (200, 403, 404, 405) or path.rstrip("/").endswith(
                "webhooks"
            )
        for _, value in vars_of(mine):
            assert value not in answer.text or value in f"{path} {body}"


def test_without_a_key_every_path_says_one_thing(stack: Stack, mine: Names) -> None:
    for headers in ({}, {"X-API-Key": "pk_live_" + "x" * 32}):
        texts = set()
        for names in (mine, OF_NOBODY):
            for method, path, body in paths(names):
                answer = httpx.request(
                    method, stack.base_url + path, json=body, headers=headers, trust_env=False
                )
                if answer.status_code == 405:
                    # Of the form of the path, whoever asks.
                    assert path.endswith(f"{names.dataset}/{names.export}/")
                    continue
                assert answer.status_code == 401, (method, path, answer.text)
                # The SDKs' own forms get it in their own envelope.
                texts.add(answer.json()["detail"])
        assert len(texts) == 1


def test_a_link_opens_one_object_for_reading_until_it_ends(stack: Stack, mine: Names) -> None:
    link = stub(stack).GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=mine.export_id), metadata=stack.metadata("viewer"), timeout=30
    )
    url = link.download_url
    whole = download(stack, mine.export_id)

    def asked(method: str, address: str = url) -> int:
        return httpx.request(method, address, trust_env=False, timeout=30, content=b"").status_code

    assert asked("GET") == 200
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert asked(method) >= 400
    assert asked("DELETE", url.partition("?")[0]) >= 400
    # Nor is there anything beside it.
    key = url.partition("?")[0].rsplit("/", 1)[1]
    bucket = url.partition(f"/{mine.object_key.partition('/')[0]}/")[0]
    query = url.partition("?")[2]
    for address in (
        url.replace(mine.export_id, str(uuid.uuid4())),
        url.replace(key, "manifest.json"),
        f"{bucket}?{query}",
        f"{bucket}?list-type=2&{query}",
        f"{url}&partNumber=1",
        re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=604800", url),
        re.sub(r"(X-Amz-Signature=)[0-9a-f]{4}", r"\g<1>0000", url),
        url.partition("?")[0],
    ):
        assert asked("GET", address) >= 400, address
    assert link.expires_at.seconds > 0
    assert download(stack, mine.export_id) == whole


def test_names_are_compared_whole() -> None:
    """The comparison above sees what it should."""
    other = replace(OF_NOBODY, dataset="else")
    assert OF_NOBODY.hidden_in(OF_NOBODY.dataset) == other.hidden_in("else") == "<dataset>"
    assert OF_NOBODY.hidden_in("else") != other.hidden_in("else")
