"""How long a GET takes while archives are built, beside the same GET on an idle Cartouche."""

import http.client
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from tests.datasets import unique
from tests.load.burst import EXPORTS
from tests.load.tenants import Tenant, large_dataset
from tests.stack import Stack

#: Seconds between two GETs of one reader.
_PACE = 0.02
#: Exports of another organization that are under way while the GETs are measured.
_UNDER_WAY = 4
FORMATS = ("coco", "yolo", "pascal_voc", "csv")


@dataclass(frozen=True)
class Latencies:
    """Of one kind of call, in seconds."""

    seconds: list[float]

    @property
    def p50(self) -> float:
        """Half of the calls took at most this long."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """99 of 100 calls took at most this long."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[98]

    def __str__(self) -> str:
        return (
            f"p50 {self.p50 * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms, "
            f"worst {max(self.seconds) * 1000:.0f} ms of {len(self.seconds):,}"
        )


def measure_gets(stack: Stack, tenant: Tenant, export: str, seconds: float) -> Latencies:
    """GETs of one export, one after another on a connection that stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.http_port, timeout=30)
    path = f"{EXPORTS}/{tenant.dataset}/{export}"
    found: list[float] = []
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            started = time.perf_counter()
            connection.request("GET", path, headers={"X-API-Key": tenant.key})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            found.append(time.perf_counter() - started)
            time.sleep(_PACE)
    finally:
        connection.close()
    return Latencies(found)


def while_building(
    stack: Stack, builder: Tenant, images: int, measure: Callable[[], Latencies]
) -> tuple[Latencies, int]:
    """What `measure` gives while exports of `images` large images are built all the time, and how
    many of them were completed meanwhile."""
    dataset = large_dataset(stack, builder, images)
    stop = threading.Event()
    done: list[str] = []

    def build() -> None:
        with httpx.Client(
            base_url=stack.base_url,
            headers={"X-API-Key": builder.key},
            timeout=60,
            trust_env=False,
        ) as client:
            for number in range(1_000_000):
                if stop.is_set():
                    return
                name = unique("pressure")
                body = {
                    "dataset_name": dataset,
                    "name": name,
                    "format": FORMATS[number % len(FORMATS)],
                    "include_images": True,
                }
                client.post(f"{EXPORTS}/", json=body).raise_for_status()
                while not stop.is_set():
                    export = client.get(f"{EXPORTS}/{dataset}/{name}").json()
                    assert export["status"] != "failed", export
                    if export["status"] == "completed":
                        done.append(name)
                        client.delete(f"{EXPORTS}/{dataset}/{name}").raise_for_status()
                        break
                    time.sleep(0.2)

    builders = [threading.Thread(target=build) for _ in range(_UNDER_WAY)]
    for thread in builders:
        thread.start()
    try:
        time.sleep(2)
        return measure(), len(done)
    finally:
        stop.set()
        for thread in builders:
            thread.join()
