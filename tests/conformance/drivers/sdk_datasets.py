"""Lists datasets with the official SDK of any generation, and prints what came back.

Runs in the environment of that SDK: `sdk_datasets.py BASE_URL KEY`. What a call raised is printed
by its name.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import pictograph

base_url, key = sys.argv[1:]
client = pictograph.Client(api_key=key, base_url=base_url)


def told(call: Callable[[], Any]) -> Any:
    """Name and number of images of what a call gives."""
    try:
        found = call()
    except Exception as error:
        return type(error).__name__
    rows = found if isinstance(found, list) else [found]
    plain = [row if isinstance(row, dict) else row.model_dump() for row in rows]
    return [[row["name"], row["image_count"], len(row["classes"])] for row in plain]


datasets = client.datasets
results = {"list": told(datasets.list)}
if hasattr(datasets, "iter"):
    results["iter"] = told(lambda: list(datasets.iter(page_size=1)))
if results["list"] and not isinstance(results["list"], str):
    results["get"] = told(lambda: datasets.get(results["list"][0][0]))
print(json.dumps(results))
