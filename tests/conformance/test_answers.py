"""What every answer has, and that each generation of clients can read every error."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conformance.material import ORGANIZATION, PAGES, UNKNOWN_ID, LongList
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"
#: Role of the key (None: a wrong one, "": none), method, path, body, status.
REFUSALS = (
    ("owner", "POST", "", b"{", 400),
    ("", "GET", "", None, 401),
    (None, "GET", "", None, 401),
    (None, "DELETE", f"{PAGES}/x", None, 401),
    ("viewer", "POST", "", b'{"dataset_name": "pages", "name": "x"}', 403),
    ("viewer", "DELETE", f"{PAGES}/broken", None, 403),
    ("viewer", "POST", "bulk-delete", b'{"export_ids": ["x"]}', 403),
    ("owner", "GET", UNKNOWN_ID, None, 404),
    ("owner", "GET", f"{PAGES}/nowhere", None, 404),
    ("owner", "GET", f"by-name/{PAGES}/nowhere", None, 404),
    ("owner", "GET", f"nowhere?dataset={PAGES}", None, 404),
    ("owner", "GET", "?dataset_name=nowhere", None, 404),
    ("owner", "DELETE", "", None, 405),
    ("owner", "PATCH", f"{PAGES}/broken", None, 405),
    ("owner", "POST", "", b'{"dataset_name": "pages", "name": "row 1"}', 409),
    ("owner", "GET", f"{PAGES}/broken/download", None, 409),
    ("owner", "POST", "", b" " * 2_000_000, 413),
    ("owner", "POST", "", b'{"dataset_name": "pages", "name": ""}', 422),
    ("owner", "POST", "", b'{"dataset_name": "pages", "name": "x", "format": "bmp"}', 422),
    ("owner", "POST", "", b'{"dataset_name": "pages", "name": "x", "class_filter": ["y"]}', 422),
    ("owner", "POST", "", b"[]", 422),
    ("owner", "POST", "bulk-delete", b'{"export_ids": []}', 422),
    ("owner", "GET", "?status=queued", None, 422),
    ("owner", "GET", "?limit=1001", None, 422),
)


def message_0_1(body: Any) -> Any:
    """What SDK 0.1.x tells its user."""
    return body.get("detail", "default")


def message_1_0(body: Any) -> Any:
    """What SDKs from 1.0.0 to 1.61.1 tell their user."""
    return body.get("detail") or body.get("error") or body.get("message")


def message_1_61(body: Any) -> Any:
    """What SDKs from 1.61.5 on tell their user."""
    error = body.get("error")
    if isinstance(error, dict) and error.get("message"):
        return error["message"]
    texts = [body.get(name) for name in ("detail", "error", "message")]
    return next(text for text in texts if isinstance(text, str) and text)


#: Who reads an error how; whoever is no SDK may read as any of them.
READERS: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "curl/8": (message_0_1, message_1_0, message_1_61),
    "pictograph-python-sdk/0.1.0": (message_0_1,),
    "pictograph-python/1.0.0": (message_1_0,),
    "pictograph-python/1.29.0": (message_1_0,),
    "pictograph-python-async/1.29.0": (message_1_0,),
    "pictograph-python/1.61.0": (message_1_0,),
    "pictograph-python/1.61.5": (message_1_61,),
    "pictograph-python/1.69.146": (message_1_61,),
    "pictograph-python/99.0.0": (message_1_61,),
}


@pytest.mark.parametrize(("role", "method", "path", "body", "status"), REFUSALS)
def test_every_refusal_can_be_read_by_every_generation(
    cartouche: Stack,
    long_list: LongList,
    role: str | None,
    method: str,
    path: str,
    body: bytes | None,
    status: int,
) -> None:
    key = cartouche.key(role, ORGANIZATION) if role else "pk_live_wrong" if role is None else ""
    for agent, readers in READERS.items():
        answer = httpx.request(
            method,
            f"{cartouche.base_url}{EXPORTS}{path}",
            content=body,
            headers={"User-Agent": agent} | ({"X-API-Key": key} if key else {}),
            trust_env=False,
        )
        assert answer.status_code == status, answer.text
        assert answer.headers["X-Request-Id"]
        assert answer.headers["Content-Type"] == "application/json"
        # Clients of 0.1.x wait as long as this says, even on 413.
        assert "Retry-After" not in answer.headers
        error = answer.json()
        texts = {reader(error) for reader in readers}
        assert len(texts) == 1, (agent, error)
        # A sentence for people, not a slug.
        assert re.search(r"\w+ \w+ \w+", texts.pop()), (agent, error)
        if isinstance(error["error"], str):
            assert error["message"] == error["detail"]
            assert re.fullmatch(r"[a-z_]+", error["error"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", EXPORTS, 200),
        ("HEAD", EXPORTS, 200),
        ("OPTIONS", EXPORTS, 204),
        ("GET", f"{EXPORTS}{PAGES}/broken", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/healthz", 405),
        ("GET", f"{EXPORTS}%ff", 404),
    ],
)
def test_every_answer_carries_the_request_id(
    cartouche: Stack, long_list: LongList, method: str, path: str, status: int
) -> None:
    http = cartouche.http("viewer", ORGANIZATION)
    answer = http.request(method, path, headers={"X-Request-Id": "of-mine.1"})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (status, "of-mine.1")
    first, second = (http.request(method, path).headers["X-Request-Id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("given", ["", "x" * 300, "a b", "a\tb"])
def test_a_request_id_that_is_none_is_replaced(cartouche: Stack, given: str) -> None:
    answer = cartouche.http("viewer").get("/healthz", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
