"""A full disk is called one by answers and health checks, until there is room."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.datasets import unique
from tests.disks import SmallDisk
from tests.exports import completed, refused, stub
from tests.stack import Embedded
from tests.waiting import until

EXPORTS = "/api/v1/developer/exports"
DATASET = "street-scenes"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of its own, of 64 MiB."""
    try:
        made = SmallDisk(tmp_path / "disk", 64)
    except OSError as error:
        pytest.skip(str(error))
    yield made
    made.remove()


def test_a_full_disk(disk: SmallDisk) -> None:
    with Embedded("full", {"CARTOUCHE_HOME": str(disk.folder / "home")}) as stack:
        completed(stack, DATASET)
        health: Any = HealthStub(stack.channel)
        asked = HealthCheckRequest(service="cartouche.exports.v1.ExportService")

        def is_ready() -> bool:
            answer = httpx.get(f"{stack.base_url}/readyz", trust_env=False)
            serves = health.Check(asked, timeout=10).status == HealthCheckResponse.SERVING
            return answer.status_code == 200 and serves

        def is_unready() -> bool:
            answer = httpx.get(f"{stack.base_url}/readyz", trust_env=False)
            serves = health.Check(asked, timeout=10).status == HealthCheckResponse.SERVING
            return answer.status_code == 503 and not serves

        until(is_ready)
        disk.fill()
        request = pb.CreateExportRequest(dataset_name=DATASET, name=unique("full"))

        def create() -> None:
            # What is left in pages that SQLite has already may take one or two.
            for _ in range(2_000):
                request.name = unique("full")
                stub(stack).CreateExport(request, metadata=stack.metadata("member"), timeout=30)

        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL") as error:
            create()
        assert "disk" in (error().details() or "")
        answer = stack.http("member").post(
            f"{EXPORTS}/", json={"dataset_name": DATASET, "name": unique("full")}
        )
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert "disk" in answer.json()["message"]
        assert answer.headers["Retry-After"]
        until(is_unready)
        # What only reads goes on, and the process is alive.
        assert stack.http("viewer").get(f"{EXPORTS}/").status_code == 200
        assert httpx.get(f"{stack.base_url}/healthz", trust_env=False).status_code == 200
        disk.empty()
        until(is_ready)
        completed(stack, DATASET)
