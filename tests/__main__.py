"""`make test`: every test, in two lanes side by side.

Most tests wait for servers, so two lanes take little more time than the longer one. Each starts
its own servers, on ports that the other does not use.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from tests.processes import PORTS

TESTS = Path(__file__).parent
#: Folders of tests; about equal in time.
LANES = (
    ("service", "deploy", "load"),
    ("faults", "conformance", "oracles", "fuzz", "unit", "console"),
)


def main() -> int:
    """Runs both lanes; prints the first one's report as it comes, then the other's.

    Ends with 0 where every test of both passed.
    """
    left = {path.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    if left := left.difference(*LANES):
        raise SystemExit(f"tests/__main__.py names no lane for: {', '.join(sorted(left))}")
    with tempfile.TemporaryFile() as report:
        shown, waiting = _start(0, None), _start(1, report)
        try:
            codes = [shown.wait(), waiting.wait()]
        finally:
            for lane in (shown, waiting):
                lane.terminate()
                lane.wait()
            report.seek(0)
            sys.stdout.write(report.read().decode(errors="replace"))
            sys.stdout.flush()
    return max(codes)


def _start(lane: int, report: IO[bytes] | None) -> subprocess.Popen[bytes]:
    first, last = PORTS
    share = (last - first) // len(LANES)
    ports = f"{first + lane * share}-{first + (lane + 1) * share}"
    folders = [str(TESTS / name) for name in LANES[lane] if (TESTS / name).is_dir()]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *folders],
        env=os.environ | {"CARTOUCHE_TEST_PORTS": ports},
        stdout=report,
        stderr=subprocess.STDOUT if report else None,
    )


if __name__ == "__main__":
    sys.exit(main())
