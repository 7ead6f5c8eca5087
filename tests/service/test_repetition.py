"""Requests that come twice: idempotency keys, equal requests, races for a name."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import unique
from tests.exports import create, get, refused, watch
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"
SENDERS = 8


def post(stack: Stack, key: str, **body: Any) -> httpx.Response:
    return stack.http("member").post(EXPORTS, json=body, headers={"Idempotency-Key": key})


def race(stack: Stack, dataset: str, names: list[str], **fields: Any) -> list[grpc.StatusCode]:
    """The outcomes of creating exports of these names side by side."""

    def send(name: str) -> grpc.StatusCode:
        try:
            create(stack, dataset, name, **fields)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return grpc.StatusCode.OK

    with ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(send, names))


def test_a_replay_gets_the_first_answer(stack: Stack, scenes: str) -> None:
    key, name = unique("key"), unique("export")
    first = post(stack, key, dataset_name=scenes, name=name, format="coco")
    assert first.status_code == 201
    ended = watch(stack, first.json()["id"])[-1]
    again = post(stack, key, dataset_name=scenes, name=name, format="coco")
    assert (again.status_code, again.content) == (201, first.content)
    over_grpc = create(stack, scenes, name, format="coco", idempotency_key=key)
    assert (over_grpc.id, over_grpc.status) == (ended.id, pb.EXPORT_STATUS_PENDING)
    # An id that is gone is no answer.
    assert stack.http("admin").delete(f"{EXPORTS}{ended.id}").status_code == 200
    gone = post(stack, key, dataset_name=scenes, name=name, format="coco")
    assert (gone.status_code, gone.json()["error"]) == (409, "conflict")
    with refused(grpc.StatusCode.ABORTED, "IDEMPOTENT_EXPORT_DELETED"):
        create(stack, scenes, name, format="coco", idempotency_key=key)
    # The key is the organization's own.
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        create(stack, scenes, name, organization="elsewhere", idempotency_key=key)


def test_a_key_is_for_one_request(stack: Stack, scenes: str) -> None:
    key, name = unique("key"), unique("export")
    made = create(stack, scenes, name, idempotency_key=key)
    for other in (
        {"name": unique("export")},
        {"name": name, "format": "coco"},
        {"name": name, "include_images": True},
        {"name": name, "class_filter": ["car"]},
    ):
        with refused(grpc.StatusCode.ABORTED, "IDEMPOTENCY_KEY_REUSED"):
            create(stack, scenes, idempotency_key=key, **other)
    answer = post(stack, key, dataset_name=scenes, name=name, status_filter="new")
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert "Idempotency-Key" in answer.json()["message"]
    assert get(stack, made.id).name == name


def test_a_refused_request_uses_no_key(stack: Stack, scenes: str) -> None:
    key = unique("key")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "class_filter"):
        create(stack, scenes, idempotency_key=key, class_filter=["Tank"])
    create(stack, scenes, idempotency_key=key, class_filter=["car"])


def test_keys_have_an_end(stack: Stack, scenes: str) -> None:
    assert create(stack, scenes, idempotency_key="k" * 255).id
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "idempotency_key"):
        create(stack, scenes, idempotency_key="k" * 256)
    answer = post(stack, "k" * 256, dataset_name=scenes, name=unique("export"))
    assert answer.status_code == 422


def test_the_same_key_at_the_same_time_makes_one_export(stack: Stack, scenes: str) -> None:
    key, name = unique("key"), unique("export")
    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(
            pool.map(
                lambda _: create(stack, scenes, name, idempotency_key=key),
                range(SENDERS),
            )
        )
    assert answers == [answers[0]] * SENDERS


def test_other_requests_with_the_same_key_at_the_same_time(stack: Stack, scenes: str) -> None:
    key = unique("key")
    codes = race(stack, scenes, [unique("export") for _ in range(SENDERS)], idempotency_key=key)
    assert codes.count(grpc.StatusCode.OK) == 1
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.ABORTED}


def test_one_name_at_the_same_time(stack: Stack, scenes: str) -> None:
    codes = race(stack, scenes, [unique("export")] * SENDERS)
    assert codes.count(grpc.StatusCode.OK) == 1
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.ALREADY_EXISTS}


def test_an_equal_request_sent_again_by_old_clients(stack: Stack, scenes: str) -> None:
    made = create(stack, scenes, class_filter=["car", "car"])
    again = create(stack, scenes, made.name, class_filter=["car"], return_recent_duplicate=True)
    assert again.id == made.id
    others: list[dict[str, Any]] = [
        {"class_filter": ["car"], "format": "coco"},
        {"class_filter": ["person"]},
        {"class_filter": ["car"], "status_filter": "new"},
    ]
    for other in others:
        with refused(grpc.StatusCode.ALREADY_EXISTS, "EXPORT_EXISTS"):
            create(stack, scenes, made.name, return_recent_duplicate=True, **other)
    agent = {"User-Agent": "pictograph-python-sdk/0.1.0"}
    body = {"dataset_name": scenes, "name": made.name, "class_filter": ["car"]}
    sent = stack.http("member").post(EXPORTS, json=body, headers=agent)
    assert (sent.status_code, sent.json()["export"]["id"]) == (201, made.id)
