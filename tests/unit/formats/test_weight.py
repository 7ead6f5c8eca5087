"""Names, descriptions and loss tables of the formats load no writer, reader or arithmetic."""

import subprocess
import sys

import pytest

HEAVY = """
import sys, {module}
print([
    name for name in sys.modules
    if name.startswith("services.formats.") and name.endswith((".writer", ".reader"))
    or name.split(".")[0] in ("numpy", "pycocotools")
])
"""


@pytest.mark.parametrize(
    "module", ["services.formats.registry", "services.exports.preview", "services.server"]
)
def test_what_only_names_formats_stays_light(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAVY.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
