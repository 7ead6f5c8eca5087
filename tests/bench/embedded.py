"""`cartouche run` with its embedded store beside the plain script on the same store, and a REST
call beside the gRPC call that it becomes.

Both exports read the same images from the same store, in turns, so that what else the machine does
falls on both alike. Cartouche also writes annotations and a manifest, and checks the stored
archive before it says that the export is completed; the plain script does not.
"""

import statistics
import tempfile
from pathlib import Path

from tests.bench.drawing import draw
from tests.bench.rows import Row, main
from tests.bench.subjects import subjects


def rows(quick: bool) -> list[Row]:
    """Of 2,000 images, or 250."""
    images, rounds, calls = (250, 1, 500) if quick else (2_000, 5, 2_000)
    with tempfile.TemporaryDirectory(prefix="cartouche-bench-") as folder:
        files = draw(Path(folder), images)
        with subjects(files) as found:
            _, embedded = found
            runs = [(embedded.cartouche(), embedded.plain()) for _ in range(rounds)]
            measured = [
                Row(
                    f"export, {images:,} x 98 KB, {embedded.title}: seconds / plain script's",
                    f"{statistics.median(a.seconds / b.seconds for a, b in runs):.2f} x "
                    f"({statistics.median(a.seconds for a, _ in runs):.2f} s)",
                )
            ]
            for subject in found:
                rest, grpc = subject.latencies(calls)
                measured.append(
                    Row(
                        f"list of one export over REST / over gRPC, p50 and p99, {subject.title}",
                        f"{rest.p50 / grpc.p50:.2f} x and {rest.p99 / grpc.p99:.2f} x "
                        f"({rest.p50 * 1000:.1f} and {rest.p99 * 1000:.1f} ms)",
                    )
                )
    return measured


if __name__ == "__main__":
    main("embedded", __doc__, rows)
