"""What the rehearsals share: a Cartouche with datasets and exports, and how it answers."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.datasets import Picture, bbox, noise_jpeg, put_all
from tests.stack import Production

EXPORTS = "/api/v1/developer/exports/"
#: Small parts, so that an export of `IMAGES` pictures has several segments.
SETTINGS = {
    "CARTOUCHE_PART_SIZE": str(5 * 1024 * 1024),
    "CARTOUCHE_LEASE": "5",
    "CARTOUCHE_RECONCILE_INTERVAL": "1",
}
IMAGES = 24


def put_pictures(stack: Production, dataset: str, first: int = 0, count: int = IMAGES) -> None:
    """A dataset of pictures of 0.9 MB, each with an annotation."""
    pictures = [Picture(f"{n:02}.jpg", noise_jpeg(first + n), [bbox("car")]) for n in range(count)]
    put_all(stack, dataset, pictures)


def create(stack: Production, dataset: str, name: str) -> str:
    """Asks for an export with images; its id."""
    body = {"dataset_name": dataset, "name": name, "format": "coco", "include_images": True}
    answer = stack.http("member").post(EXPORTS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def find(stack: Production, dataset: str, name: str) -> dict[str, Any]:
    """The export, or what the gateway answers instead."""
    answer = stack.http("member").get(f"{EXPORTS}{dataset}/{name}")
    return {"code": answer.status_code, **answer.json()}


def ended(stack: Production, dataset: str, name: str, seconds: float = 120) -> dict[str, Any]:
    """The export once it has completed or failed."""
    until(lambda: find(stack, dataset, name).get("status") in ("completed", "failed"), seconds)
    return find(stack, dataset, name)


def download(stack: Production, dataset: str, name: str) -> int:
    """The store's answer at the link of the export."""
    answer = stack.http("member").get(f"{EXPORTS}{dataset}/{name}/download")
    assert answer.status_code == 200, answer.text
    return httpx.get(answer.json()["download_url"], trust_env=False).status_code


def until(true: Callable[[], bool], seconds: float) -> float:
    """Waits; how long it took.

    Raises:
        AssertionError: it did not come about in time.
    """
    began_at = time.monotonic()
    while not true():
        assert time.monotonic() - began_at < seconds, "it did not come about"
        time.sleep(0.1)
    return time.monotonic() - began_at


def say(what: str) -> None:
    """A line of the report."""
    print(what, flush=True)
