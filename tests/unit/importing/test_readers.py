"""Readers are loaded for the format that is imported, and no other."""

import subprocess
import sys
from pathlib import Path

from tests.unit.importing.dataset_files import write_image, write_json

LOADED = """
import sys
from pathlib import Path
from services.importing.dataset import read_dataset

def loaded():
    return sorted(name for name in sys.modules if name.endswith(".reader"))

print(loaded())
read_dataset("pictograph", Path("images"), Path("annotations"))
print(loaded())
"""


def test_an_import_loads_its_own_reader_alone(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    write_json(tmp_path / "annotations" / "a.json", [])
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "['services.formats.pictograph.reader']"]
