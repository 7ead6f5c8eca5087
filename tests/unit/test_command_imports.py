"""The `cartouche` command loads the gateway and the workers only inside the commands that run
them, which the import contracts cannot see."""

import subprocess
import sys

LOADED = (
    "import sys, services.cli;"
    "print([m for m in sys.modules if m.split('.')[0] in ('gateway', 'workers')])"
)


def test_the_command_starts_without_the_gateway_and_the_workers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
