"""Takes the official SDK 1.x through every call of its exports, and prints what came back.

Runs in the environment of that SDK: `sdk_1.py SETTINGS`, both in and out as JSON. The
setting `mode` chooses the synchronous or the asynchronous client.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pictograph

settings: dict[str, Any] = json.loads(sys.argv[1])
dataset, pages = settings["dataset"], settings["pages"]
results: dict[str, dict[str, Any]] = {}


def client(key: str, base_url: str = settings["base_url"], retries: int = 3) -> Any:
    """A client with this key."""
    make = pictograph.AsyncClient if settings["mode"] == "async" else pictograph.Client
    return make(api_key=key, base_url=base_url, max_retries=retries)


async def finish(value: Any) -> Any:
    """The value of a call of either client."""
    return await value if inspect.isawaitable(value) else value


async def collect(pager: Any) -> list[Any]:
    """Every item of the pager of either client."""
    if hasattr(pager, "__aiter__"):
        return [item async for item in pager]
    return list(pager)


def plain(value: Any) -> Any:
    """Models and paths as JSON holds them."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value if value is None or isinstance(value, dict | bool | int) else str(value)


async def step(name: str, call: Callable[[], Any]) -> Any:
    """Makes a call and notes its value, or what it raised."""
    try:
        value = await finish(call())
    except Exception as error:
        results[name] = {
            "raised": type(error).__name__,
            "message": getattr(error, "message", str(error)),
            "status_code": getattr(error, "status_code", None),
            "code": getattr(error, "code", None),
            "request_id": getattr(error, "request_id", None),
            "field_errors": getattr(error, "field_errors", None),
        }
        return None
    results[name] = {"value": plain(value)}
    return value


async def main() -> None:
    """Every call, in an order that lets later ones use earlier ones."""
    exports = client(settings["owner"]).exports

    def quick(name: str, **options: Any) -> Any:
        return exports.create(dataset, name, poll_interval=0.1, timeout=60, **options)

    async def names(rows: Any) -> list[str]:
        return [row.name for row in await finish(rows)]

    async def odd_name(name: str) -> dict[str, Any]:
        export = await finish(quick(name))
        found = await finish(exports.get(dataset, name))
        path = await finish(exports.download(dataset, name, f"odd/{export.id}.zip"))
        await finish(exports.delete(dataset, name))
        left = name in await names(exports.list(dataset_name=dataset))
        same = found.id == export.id
        return {"name": export.name, "same": same, "path": str(path), "left": left}

    first = await step(
        "create",
        lambda: quick(
            "first", wait=False, format="coco", class_filter=["car"], status_filter="complete"
        ),
    )
    second = await step("create_wait", lambda: quick("second", include_images=True))
    await step("wait", lambda: exports.wait_for_completion(dataset, "first", poll_interval=0.1))
    await step("get", lambda: exports.get(dataset, "first"))
    await step("list", lambda: exports.list(dataset_name=dataset))
    await step("list_filtered", lambda: exports.list(dataset_name=dataset, status="failed"))
    await step("list_1000", lambda: names(exports.list(dataset_name=pages, limit=1000)))
    await step("pages", lambda: names(collect(exports.iter(dataset_name=pages, page_size=400))))
    await step("download", lambda: exports.download(dataset, "second", "second.zip"))
    if hasattr(exports, "get_by_id"):
        await step("by_id", lambda: exports.get_by_id(first.id))
        await step("by_id_download", lambda: exports.download_by_id(first.id, "deep/first.zip"))
        await step("by_id_404", lambda: exports.get_by_id(settings["unknown_id"]))
    broken, endless = settings["broken"]["name"], settings["endless"]["name"]
    await step("wait_failed", lambda: exports.wait_for_completion(pages, broken))
    await step(
        "wait_too_long",
        lambda: exports.wait_for_completion(pages, endless, poll_interval=0.1, timeout=0.3),
    )
    for name in settings["names"]:
        await step(f"name {name}", partial(odd_name, name))
    for name in settings["unaddressable"]:
        await step(f"name {name}", partial(quick, name, wait=False))

    await step("401", lambda: client("pk_live_wrong").exports.list())
    viewer = client(settings["viewer"]).exports
    await step("403", lambda: viewer.create(dataset, "forbidden", wait=False))
    await step("403_delete", lambda: viewer.delete(dataset, "second"))
    await step("404", lambda: exports.get(dataset, "nowhere"))
    await step("404_dataset", lambda: exports.list(dataset_name="nowhere"))
    await step("409", lambda: quick("first", wait=False))
    await step("413", lambda: quick("large", wait=False, class_filter=["x" * 1_100_000]))
    await step("422", lambda: quick("wrong", wait=False, format="bogus"))
    away = client(settings["owner"], settings["away"], retries=0).exports
    await step("503", lambda: away.list())

    await step("delete", lambda: exports.delete(dataset, "first"))
    await step("deleted", lambda: exports.get(dataset, "first"))
    if hasattr(exports, "bulk_delete"):
        ids = [second.id, second.id, settings["unknown_id"]]
        await step("bulk_delete", lambda: exports.bulk_delete(ids))
        await step("bulk_deleted", lambda: names(exports.list(dataset_name=dataset)))
        await step("bulk_delete_none", lambda: exports.bulk_delete([]))


asyncio.run(main())
print(json.dumps(results))
