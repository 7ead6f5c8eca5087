"""What is asked over REST: one export, over 32 connections, beside a FastAPI route that calls a
method which does nothing (`bare.py`); and the pages of a long list."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from tests.bench.latency import seconds
from tests.bench.load import rate
from tests.bench.rows import Row, main
from tests.bench.subjects import servers
from tests.processes import Process, environment, free_port
from tests.stack import Production

CONNECTIONS = 32
EXPORTS = 100_000
PAGE = 100
DATASET = "asked"


def rows(quick: bool) -> list[Row]:
    """Measures each in turns."""
    rounds, lasting, exports = (3, 1.0, 20_000) if quick else (5, 5.0, EXPORTS)
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-asking", workers=0
            )
        )
        export_id = _fill(stack, exports)
        bare_port = running.enter_context(_bare())
        key = stack.key("viewer")
        mine, bare = [], []
        for _ in range(rounds):
            bare.append(asyncio.run(rate(bare_port, "/nothing", key, CONNECTIONS, lasting)))
            path = f"/api/v1/developer/exports/{export_id}"
            mine.append(asyncio.run(rate(stack.http_port, path, key, CONNECTIONS, lasting)))
        last = exports // PAGE
        pages = {number: _page(stack, number) for number in (1, last // 2, last)}
        taken: dict[int, list[float]] = {number: [] for number in pages}
        for _ in range(3 * rounds):
            for number, ask in pages.items():
                taken[number].append(seconds(ask))
    share = statistics.median(m / b for m, b in zip(mine, bare, strict=True))
    first, middle, end = (statistics.median(found) for found in taken.values())
    return [
        Row(
            f"bare FastAPI route that calls an empty gRPC method, {CONNECTIONS} connections",
            f"{statistics.median(bare):,.0f} answers/s",
        ),
        Row(
            f"GET of one export, {CONNECTIONS} connections",
            f"{share:.2f} of bare ({statistics.median(mine):,.0f} answers/s)",
            ">= 0.80 of bare",
            share >= 0.8,
        ),
        Row(f"list of {exports:,} exports, page 1 of {PAGE}", f"{first * 1000:.1f} ms"),
        Row(f"the same, page {last // 2:,}", f"{middle / first:.2f} x page 1"),
        Row(
            f"the same, page {last:,}",
            f"{end / first:.2f} x page 1 ({end * 1000:.1f} ms)",
            "<= 3.00 x page 1",
            end <= 3 * first,
        ),
    ]


def _fill(stack: Production, exports: int) -> str:
    """Makes exports of an empty dataset, all but one of them straight in the record; the id of the
    newest."""
    metadata = stack.metadata("owner")
    CatalogServiceStub(stack.channel).CreateDataset(
        catalog_pb.CreateDatasetRequest(name=DATASET), metadata=metadata, timeout=30
    )
    request = pb.CreateExportRequest(dataset_name=DATASET, name="the newest", format="coco")
    answer = ExportServiceStub(stack.channel).CreateExport(request, metadata=metadata, timeout=30)
    with psycopg.connect(stack.env["CARTOUCHE_DATABASE_URL"], autocommit=True) as connection:
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'exports'"
            " AND column_name NOT IN ('id', 'name', 'created_at')"
        ).fetchall()
        others = ", ".join(f'"{name}"' for (name,) in columns)
        connection.execute(
            f"INSERT INTO exports (id, name, created_at, {others})"
            f" SELECT gen_random_uuid(), 'export ' || n, created_at - n, {others}"
            f" FROM exports, generate_series(1, {exports - 1}) n"
        )
        connection.execute("VACUUM ANALYZE exports")
    return answer.export.id


def _page(stack: Production, number: int) -> Callable[[], None]:
    client = stack.http("viewer")
    query = {"limit": PAGE, "offset": (number - 1) * PAGE}

    def ask() -> None:
        answer = client.get("/api/v1/developer/exports/", params=query)
        assert len(answer.json()) == PAGE, answer.text

    ask()
    return ask


@contextmanager
def _bare() -> Iterator[int]:
    """The port of the route to be compared with."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        server, port = free_port(), free_port()
        for name, words in (
            ("server", [str(server)]),
            ("gateway", [str(port), f"127.0.0.1:{server}"]),
        ):
            command = [sys.executable, "-m", "tests.bench.bare", name, *words]
            process = Process(name, command, folder, environment())
            process.start()
            running.callback(process.kill)
            process.wait_until(lambda process=process: "ready" in process.printed(), 60)  # type: ignore[misc]
        yield port


if __name__ == "__main__":
    main("asking", __doc__, rows)
