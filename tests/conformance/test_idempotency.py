"""Creating an export again: with an Idempotency-Key, at once, and without one."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conformance.material import ORGANIZATION
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"
AT_ONCE = 12


@pytest.fixture
def http(cartouche: Stack) -> httpx.Client:
    return cartouche.http("owner", ORGANIZATION)


def create(
    http: httpx.Client, body: dict[str, Any], key: str | None = None, agent: str = "curl/8"
) -> httpx.Response:
    headers = {"User-Agent": agent} | ({"Idempotency-Key": key} if key else {})
    return http.post(EXPORTS, content=json.dumps(body), headers=headers)


def listed(http: httpx.Client, dataset: str) -> list[str]:
    rows = http.get(EXPORTS, params={"dataset_name": dataset}).json()
    return [row["name"] for row in rows]


def test_a_key_sent_many_times_at_once_makes_one_export(http: httpx.Client, dataset: str) -> None:
    key, body = uuid.uuid4().hex, {"dataset_name": dataset, "name": "once"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: create(http, body, key), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert len({answer.text for answer in answers}) == 1
    assert listed(http, dataset) == ["once"]


def test_a_replay_is_the_first_answer_until_its_export_is_deleted(
    http: httpx.Client, dataset: str
) -> None:
    """An answer with the id of an export that is gone would help nobody."""
    key, body = uuid.uuid4().hex, {"dataset_name": dataset, "name": "kept", "format": "coco"}
    first = create(http, body, key)
    again = create(http, body, key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert http.delete(f"{EXPORTS}{first.json()['id']}").status_code == 200
    gone = create(http, body, key)
    assert gone.status_code == 409
    assert "is deleted; use a new key" in gone.json()["message"]
    assert listed(http, dataset) == []


def test_a_key_with_another_body_is_a_conflict_that_says_so(
    http: httpx.Client, dataset: str
) -> None:
    key = uuid.uuid4().hex
    assert create(http, {"dataset_name": dataset, "name": "one"}, key).status_code == 201
    answer = create(http, {"dataset_name": dataset, "name": "two"}, key)
    assert answer.status_code == 409
    assert "Idempotency-Key" in answer.json()["detail"]
    assert listed(http, dataset) == ["one"]


def test_different_bodies_of_one_key_at_once_make_one_export(
    http: httpx.Client, dataset: str
) -> None:
    key = uuid.uuid4().hex
    bodies = [{"dataset_name": dataset, "name": f"name {n}"} for n in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda body: create(http, body, key), bodies))
    assert sorted(a.status_code for a in answers) == [201] + [409] * (AT_ONCE - 1)
    assert len(listed(http, dataset)) == 1


def test_a_key_belongs_to_one_organization(cartouche: Stack, http: httpx.Client) -> None:
    key = uuid.uuid4().hex
    body = {"dataset_name": "nowhere", "name": "one"}
    assert create(http, body, key).status_code == 404
    # A refusal is not kept: the request may succeed once its cause is gone.
    assert create(cartouche.http("owner"), body, key).status_code == 404


def test_a_refused_request_may_use_its_key_again(http: httpx.Client, dataset: str) -> None:
    key, body = uuid.uuid4().hex, {"dataset_name": dataset, "name": "late"}
    assert create(http, body | {"format": "bogus"}, key).status_code == 422
    assert create(http, body, key).status_code == 201


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ("pictograph-python-sdk/0.1.0", 201),
        ("pictograph-python/1.0.0", 409),
        ("python-requests/2.34.2", 409),
    ],
)
def test_without_a_key_only_the_first_sdk_may_repeat_itself(
    http: httpx.Client, dataset: str, agent: str, status: int
) -> None:
    body = {"dataset_name": dataset, "name": "twice"}
    first, again = (create(http, body, agent=agent) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, status)
    other = create(http, body | {"include_images": True}, agent=agent)
    assert other.status_code == 409


def test_the_first_sdk_repeats_itself_at_once(http: httpx.Client, dataset: str) -> None:
    body = {"dataset_name": dataset, "name": "twice"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(
            pool.map(
                lambda _: create(http, body, agent="pictograph-python-sdk/0.1.0"), range(AT_ONCE)
            )
        )
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert len({answer.json()["export"]["id"] for answer in answers}) == 1
