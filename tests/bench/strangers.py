"""`make bench-timing`: whether the time of an answer tells a foreign name from an unknown one.

Pairs of calls by a key of another organization: one names what there is, the other what there is
not, in random order, so that whatever else the machine does falls on both alike. Two figures say
whether they differ: the sign test (how likely so many pairs would lean to one side by chance), and
the difference of the medians beside how far the calls of one kind lie apart.
"""

import argparse
import math
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.exports.v1 import export_service_pb2 as pb
from google.protobuf.message import Message

from tests.bench.drawing import machine
from tests.datasets import Picture, bbox, jpeg, put_all, unique
from tests.exports import completed
from tests.fuzz.ports import STACKS
from tests.rpcs import METHODS, call
from tests.stack import Stack

#: Pairs are believed to differ from here on: of a thousand runs of sixteen rows, one or two say so
#: by chance.
DOUBT = 1e-4
_WARM_UP = 50


@dataclass(frozen=True)
class Comparison:
    """Seconds of calls, pair by pair."""

    foreign: Sequence[float]
    unknown: Sequence[float]

    @property
    def difference(self) -> float:
        """Seconds by which the median of the foreign ones is longer."""
        return statistics.median(self.foreign) - statistics.median(self.unknown)

    @property
    def spread(self) -> float:
        """Seconds between the quartiles of calls of one kind."""
        low, _, high = statistics.quantiles(self.unknown, n=4)
        return high - low

    @property
    def chance(self) -> float:
        """How likely it is that pairs lean to one side as far as these, where nothing differs:
        the sign test, two-sided, by the normal approximation."""
        signs = [a > b for a, b in zip(self.foreign, self.unknown, strict=True) if a != b]
        if not signs:
            return 1.0
        away = abs(sum(signs) - len(signs) / 2) / math.sqrt(len(signs) / 4)
        return math.erfc(away / math.sqrt(2))


Make = Callable[[], Message]


def compare(
    send: Callable[[Message], None], foreign: Make, unknown: Make, pairs: int
) -> Comparison:
    """Sends both messages of each pair, in random order."""
    chance, times = random.Random(1), ([0.0] * pairs, [0.0] * pairs)
    for number in range(-_WARM_UP, pairs):
        for kind in chance.sample((0, 1), 2):
            message = (foreign, unknown)[kind]()
            started = time.perf_counter()
            send(message)
            took = time.perf_counter() - started
            if number >= 0:
                times[kind][number] = took
    return Comparison(*times)


def stranger(stack: Stack, method: str) -> Callable[[Message], None]:
    """Calls a method with the key of an organization that has nothing."""
    metadata = stack.metadata("owner", "stranger")

    def send(message: Message) -> None:
        try:
            call(stack, METHODS[method], [message], metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return
            raise
        raise AssertionError(f"{method} has found something")

    return send


def questions(stack: Stack) -> dict[str, tuple[Message, Make]]:
    """For each method, a message that names what another organization has, and one that names
    nothing, each time another of the same length."""
    dataset, name = unique("timing"), unique("export")
    put_all(stack, dataset, [Picture(f"{n}.jpg", jpeg(seed=n), [bbox("car")]) for n in range(50)])
    export = completed(stack, dataset, name)

    def other(text: str) -> str:
        return uuid.uuid4().hex[: len(text)].ljust(len(text), "x")

    def choice(dataset: str) -> dict[str, Any]:
        return {"dataset_name": dataset, "name": name, "format": "csv"}

    return {
        "GetExport": (
            pb.GetExportRequest(id=export.id),
            lambda: pb.GetExportRequest(id=str(uuid.uuid4())),
        ),
        "GetDownloadUrl": (
            pb.GetDownloadUrlRequest(by_name=pb.ExportName(dataset_name=dataset, name=name)),
            lambda: pb.GetDownloadUrlRequest(
                by_name=pb.ExportName(dataset_name=other(dataset), name=name)
            ),
        ),
        "ListExports": (
            pb.ListExportsRequest(dataset_name=dataset),
            lambda: pb.ListExportsRequest(dataset_name=other(dataset)),
        ),
        "CreateExport": (
            pb.CreateExportRequest(**choice(dataset)),
            lambda: pb.CreateExportRequest(**choice(other(dataset))),
        ),
        "PreviewExport": (
            pb.PreviewExportRequest(**choice(dataset)),
            lambda: pb.PreviewExportRequest(**choice(other(dataset))),
        ),
        "DeleteExport": (
            pb.DeleteExportRequest(id=export.id),
            lambda: pb.DeleteExportRequest(id=str(uuid.uuid4())),
        ),
        "GetDataset": (
            catalog_pb.GetDatasetRequest(dataset_name=dataset),
            lambda: catalog_pb.GetDatasetRequest(dataset_name=other(dataset)),
        ),
        "DeleteDataset": (
            catalog_pb.DeleteDatasetRequest(dataset_name=dataset),
            lambda: catalog_pb.DeleteDatasetRequest(dataset_name=other(dataset)),
        ),
    }


def _same(message: Message) -> Message:
    return message


def main() -> int:
    """Measures, prints a table, and ends with 1 where some method tells."""
    parser = argparse.ArgumentParser(prog="make bench-timing", description=__doc__)
    parser.add_argument("--pairs", type=int, default=2_000, help="of calls of each method")
    parser.add_argument("--on", nargs="*", choices=[*STACKS], default=[*STACKS])
    given = parser.parse_args()
    print(machine())
    telling: list[str] = []
    for on in given.on:
        with STACKS[on]() as stack:
            print(f"\n{stack.name}: medians of foreign and unknown, spread, sign test")
            for method, (foreign, unknown) in questions(stack).items():
                send = stranger(stack, method)
                found = compare(send, partial(_same, foreign), unknown, given.pairs)
                print(
                    f"{method:16} {statistics.median(found.foreign) * 1e3:7.3f} ms "
                    f"{statistics.median(found.unknown) * 1e3:7.3f} ms "
                    f"{found.spread * 1e3:7.3f} ms  p = {found.chance:.3f}",
                    flush=True,
                )
                if found.chance < DOUBT:
                    telling.append(f"{stack.name} {method}")
    print(f"\n{'told apart by time: ' + ', '.join(telling) if telling else 'none is told apart'}")
    return 1 if telling else 0


if __name__ == "__main__":
    sys.exit(main())
