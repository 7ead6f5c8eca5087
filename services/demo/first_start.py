"""The first start of an embedded Cartouche: the demo dataset, and lines to copy."""

import tempfile
from contextlib import suppress
from pathlib import Path

from services.demo.dataset.scenes import DATASET_NAME, IMAGE_COUNT, write
from services.errors import NotFound
from services.importing.catalog import open_catalog
from services.importing.command import import_quietly
from services.importing.endpoint import Endpoint


def import_demo(server: Endpoint, api_key: str) -> None:
    """Imports the demo dataset, unless it is there.

    Raises:
        CartoucheError: the server refuses, or is away.
    """
    with open_catalog(server, api_key) as catalog, suppress(NotFound):
        if catalog.dataset(DATASET_NAME).image_count >= IMAGE_COUNT:
            return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        import_quietly(server, api_key, DATASET_NAME, Path(folder))


def welcome(base_url: str, server: str, keys: Path) -> str:
    """What to try first, to copy and paste."""
    url = f"{base_url}/api/v1/developer/exports"
    return f"""\
Cartouche serves REST at {base_url} (docs at {base_url}/docs) and gRPC at {server}.
API keys lie in {keys}. Try:

  export KEY=$(python3 -c 'import json; print(json.load(open("{keys}"))["owner"])')
  curl -X POST {url}/ -H "X-API-Key: $KEY" -H "Content-Type: application/json" \\
    -d '{{"dataset_name": "{DATASET_NAME}", "name": "first", "include_images": true}}'
  curl {url}/{DATASET_NAME}/first -H "X-API-Key: $KEY"
  curl {url}/{DATASET_NAME}/first/download -H "X-API-Key: $KEY"
"""
