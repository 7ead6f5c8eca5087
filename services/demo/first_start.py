"""The first start of an embedded Cartouche: the demo dataset, and lines to copy."""

import shlex
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


def print_key(keys: Path) -> str:
    """The command that prints the owner's key of a file of keys."""
    program = 'import json, sys; print(json.load(open(sys.argv[1]))["owner"])'
    return f"python3 -c '{program}' {shlex.quote(str(keys))}"


def farewell(program: str, home: Path, base_url: str) -> str:
    """How to see in the console what the demo has made; the demo's own gateway has ended.

    Args:
        program: how `cartouche` was called.
        home: where the demo's state lies.
        base_url: where a gateway that is started with the same settings answers.
    """
    return f"""\

See it in the console, at {base_url}/ while this runs:
  CARTOUCHE_HOME={shlex.quote(str(home))} {shlex.quote(program)} run
It asks for an API key; this prints the owner's:
  {print_key(home / "keys.json")}"""


def welcome(base_url: str, server: str, keys: Path, *, has_console: bool) -> str:
    """What to try first, to copy and paste; the console's address first of all."""
    url = f"{base_url}/api/v1/developer/exports"
    console = f"""\
Console: {base_url}/
It asks for an API key; this prints the owner's:

  {print_key(keys)}

"""
    return f"""\
{console if has_console else ""}\
REST: {base_url} (docs at {base_url}/docs), gRPC: {server}, API keys: {keys}
Try:

  export KEY=$({print_key(keys)})
  curl -X POST {url}/ -H "X-API-Key: $KEY" -H "Content-Type: application/json" \\
    -d '{{"dataset_name": "{DATASET_NAME}", "name": "first", "include_images": true}}'
  curl {url}/{DATASET_NAME}/first -H "X-API-Key: $KEY"
  curl {url}/{DATASET_NAME}/first/download -H "X-API-Key: $KEY"
"""
