"""Takes the official SDK 0.1.x through every call of its exports, and prints what came back.

Runs in the environment of that SDK: `sdk_0_1.py SETTINGS`, both in and out as JSON. Up to
0.1.6 exports are addressed by id, later by dataset and name.
"""

import inspect
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from pictograph import Client

settings: dict[str, Any] = json.loads(sys.argv[1])
dataset, pages = settings["dataset"], settings["pages"]
results: dict[str, dict[str, Any]] = {}


def client(key: str, base_url: str = settings["base_url"], retries: int = 3) -> Any:
    """A client with this key."""
    return Client(api_key=key, base_url=base_url, max_retries=retries)


exports = client(settings["owner"]).exports
by_id = "export_id" in inspect.signature(exports.get).parameters


def step(name: str, call: Callable[[], Any]) -> Any:
    """Makes a call and notes its value, or what it raised."""
    try:
        value = call()
    except Exception as error:
        results[name] = {
            "raised": type(error).__name__,
            "message": str(error),
            "status_code": getattr(error, "status_code", None),
        }
        return None
    results[name] = {"value": value}
    return value


def address(export: dict[str, Any]) -> tuple[str, ...]:
    """What this version calls an export by."""
    return (export["id"],) if by_id else (export["dataset_name"], export["name"])


def quick(name: str, **options: Any) -> Any:
    """A new export, asked for often where it is waited for."""
    return exports.create(dataset, name, poll_interval=0.2, timeout=60, **options)


def page_through() -> list[str]:
    """The names of the long list, page by page."""
    names: list[str] = []
    while page := exports.list(dataset_name=pages, limit=400, offset=len(names)):
        names += [row["name"] for row in page]
    return names


def odd_name(name: str) -> dict[str, Any]:
    """An export of this name from its creation to its end."""
    export = quick(name)
    path = exports.download(*address(export), show_progress=False)
    exports.delete(*address(export))
    left = [row["name"] for row in exports.list(dataset_name=dataset)]
    return {"name": export["name"], "path": path, "left": name in left}


first = step(
    "create",
    lambda: quick(
        "first", wait=False, format="coco", class_filter=["car"], status_filter="complete"
    ),
)
second = step("create_wait", lambda: quick("second", include_images=True))
step("create_again", lambda: quick("second", include_images=True, wait=False))
step("wait", lambda: exports.wait_for_completion(*address(first), poll_interval=0.2))
step("get", lambda: exports.get(*address(first)))
step("list", lambda: exports.list(dataset_name=dataset))
step("list_filtered", lambda: exports.list(dataset_name=dataset, status="failed"))
step("list_1000", lambda: [row["name"] for row in exports.list(dataset_name=pages, limit=1000)])
step("pages", page_through)
step("download", lambda: exports.download(*address(second), show_progress=False))
step("download_to", lambda: exports.download(*address(first), "deep/first.zip", False))
broken, endless = settings["broken"], settings["endless"]
step("wait_failed", lambda: exports.wait_for_completion(*address(broken)))
step("wait_too_long", lambda: exports.wait_for_completion(*address(endless), 0.1, 0.3))
for name in settings["names"]:
    step(f"name {name}", partial(odd_name, name))
for name in settings["unaddressable"]:
    step(f"name {name}", partial(quick, name, wait=False))

step("401", lambda: client("pk_live_wrong").exports.list())
viewer = client(settings["viewer"]).exports
step("403", lambda: viewer.create(dataset, "forbidden", wait=False))
step("403_delete", lambda: viewer.delete(*address(second)))
nowhere = {"id": settings["unknown_id"], "dataset_name": dataset, "name": "nowhere"}
step("404", lambda: exports.get(*address(nowhere)))
step("404_dataset", lambda: exports.list(dataset_name="nowhere"))
step("409", lambda: quick("first", wait=False))
step("413", lambda: quick("large", wait=False, class_filter=["x" * 1_100_000]))
step("422", lambda: quick("wrong", wait=False, format="bogus"))
away = client(settings["owner"], settings["away"], retries=0).exports
step("503", lambda: away.list())

step("delete", lambda: exports.delete(*address(first)))
step("deleted", lambda: exports.get(*address(first)))
print(json.dumps(results))
