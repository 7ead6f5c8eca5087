"""The first start of an embedded Cartouche: the demo dataset, and lines to copy."""

import tempfile
from pathlib import Path

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub

from services.demo.dataset.scenes import DATASET_NAME, IMAGE_COUNT, write
from services.importing.command import import_quietly


def import_demo(server: str, api_key: str) -> None:
    """Imports the demo dataset, unless it is there."""
    with grpc.insecure_channel(server) as channel:
        try:
            found = CatalogServiceStub(channel).GetDataset(
                pb.GetDatasetRequest(dataset_name=DATASET_NAME),
                metadata=(("x-api-key", api_key),),
                timeout=30,
            )
            if found.dataset.image_count >= IMAGE_COUNT:
                return
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
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
