"""`make bench-metrics`: what metrics cost a call, with a Prometheus that scrapes them and without.

Two gateways and two servers on one database, one pair with a metrics port that is read each second,
are called in turns, so that what else the machine does falls on both alike.
"""

import http.client
import sys
import threading
from functools import partial

from tests.bench.latency import Latency, latency, seconds
from tests.needs import object_store_class, postgresql_class, started
from tests.parts import Redis
from tests.processes import free_port
from tests.stack import CartoucheProcess, Production

_PATH = "/api/v1/developer/exports/?limit=1"
_WARM_UP = 100
_EVERY = 1.0


def main(calls: int) -> None:
    """Measures, and prints a table."""
    with (
        started(postgresql_class()) as postgresql,
        started(Redis) as redis,
        started(object_store_class()) as store,
        Production(
            postgresql.create_database(), redis.url, store, name="measured", workers=0
        ) as stack,
    ):
        http_port = free_port()
        # They end with the stack.
        _start_without_metrics(stack, http_port)
        _print(_measured(stack, http_port, calls))


def _start_without_metrics(stack: Production, http_port: int) -> None:
    """A server and a gateway that have no metrics port."""
    grpc_port = free_port()
    env = stack.env | {
        "CARTOUCHE_GRPC_PORT": str(grpc_port),
        "CARTOUCHE_HTTP_PORT": str(http_port),
        "CARTOUCHE_SERVER": f"127.0.0.1:{grpc_port}",
        "CARTOUCHE_METRICS_PORT": "0",
    }
    for command in ("serve", "gateway"):
        name = f"{command}-without"
        stack.processes[name] = CartoucheProcess(name, [command], stack.folder, env)
        stack.processes[name].start()
        stack.processes[name].wait_ready()


def _measured(stack: Production, http_port: int, calls: int) -> dict[str, Latency]:
    ports = {"metrics scraped each second": stack.http_port, "no metrics port": http_port}
    key = stack.key("viewer")
    connections = {
        title: http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for title, port in ports.items()
    }
    found: dict[str, list[float]] = {title: [] for title in ports}

    def call(title: str) -> None:
        connection = connections[title]
        connection.request("GET", _PATH, headers={"X-API-Key": key})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(_EVERY):
            for name in ("serve", "gateway"):
                assert stack.look(name, "/metrics").is_success

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        for number in range(_WARM_UP + calls):
            # Each goes first as often as the other.
            for title in sorted(ports, reverse=bool(number % 2)):
                found[title].append(seconds(partial(call, title)))
    finally:
        ended.set()
        scraper.join()
        for connection in connections.values():
            connection.close()
    return {title: latency(taken[_WARM_UP:]) for title, taken in found.items()}


def _print(measured: dict[str, Latency]) -> None:
    print("| GET …/exports/?limit=1 over REST | p50 ms | p99 ms |\n|---|--:|--:|")
    for title, one in measured.items():
        print(f"| {title} | {one.p50 * 1000:.2f} | {one.p99 * 1000:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
