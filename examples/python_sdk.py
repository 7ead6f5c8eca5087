"""The official SDK against Cartouche: only the base URL is new.

Run it:

    pip install pictograph
    CARTOUCHE_API_KEY=pk_live_… python examples/python_sdk.py street-scenes
"""

import os
import sys
from pathlib import Path

from pictograph import Client
from pictograph.exceptions import ConflictError, NotFoundError

NAME = "example with the SDK"

dataset = sys.argv[1]
client = Client(
    api_key=os.environ["CARTOUCHE_API_KEY"],
    base_url=os.environ.get("CARTOUCHE_URL", "http://127.0.0.1:8080"),
)

try:
    export = client.exports.create(dataset, NAME, format="coco", include_images=True)
except ConflictError:
    # An earlier run got no further than this.
    export = client.exports.wait_for_completion(dataset, NAME)
print(f"{export.name}: {export.image_count} images, {export.annotation_count} annotations")

archive = client.exports.download(dataset, NAME, Path("sdk.zip"))
print(f"{archive}: {archive.stat().st_size} bytes")

for row in client.exports.iter(dataset_name=dataset):
    print(f"{row.created_at:%Y-%m-%d %H:%M} {row.status:10} {row.name}")

client.exports.delete(dataset, NAME)
try:
    client.exports.get(dataset, NAME)
except NotFoundError as error:
    print(f"It is gone: {error.message}")
