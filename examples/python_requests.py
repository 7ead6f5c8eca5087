"""The Exports API with nothing but requests.

Run it:

    pip install requests
    CARTOUCHE_API_KEY=pk_live_… python examples/python_requests.py street-scenes
"""

import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

NAME = "example with requests"
URL = os.environ.get("CARTOUCHE_URL", "http://127.0.0.1:8080") + "/api/v1/developer/exports/"

dataset = sys.argv[1]
session = requests.Session()
session.headers["X-API-Key"] = os.environ["CARTOUCHE_API_KEY"]
one = f"{URL}{quote(dataset, safe='')}/{quote(NAME, safe='')}"


def call(method: str, url: str, **options: Any) -> Any:
    """The answer's JSON; an error ends the program with the server's own words."""
    response = session.request(method, url, timeout=30, **options)
    if not response.ok:
        message, request_id = response.json()["message"], response.headers["X-Request-Id"]
        sys.exit(f"{response.status_code}: {message} (request {request_id})")
    return response.json()


# With a key of its own the request may be sent again, should its answer be lost.
export = call(
    "POST",
    URL,
    json={"dataset_name": dataset, "name": NAME, "format": "coco", "include_images": True},
    headers={"Idempotency-Key": uuid.uuid4().hex},
)
while export["status"] in ("pending", "processing"):
    time.sleep(0.5)
    export = call("GET", one)
if export["status"] == "failed":
    sys.exit(export["error_message"])
print(f"{NAME}: {export['image_count']} images, {export['annotation_count']} annotations")

# The link needs no API key, and gets none: it leads to the object store.
link = call("GET", f"{one}/download")["download_url"]
with requests.get(link, stream=True, timeout=60) as archive:
    archive.raise_for_status()
    Path("requests.zip").write_bytes(archive.content)
print(f"requests.zip: {Path('requests.zip').stat().st_size} bytes")

for row in call("GET", URL, params={"dataset_name": dataset, "limit": 10}):
    print(f"{row['created_at']} {row['status']:10} {row['name']}")

print(call("DELETE", one)["message"])
