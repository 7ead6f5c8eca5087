"""ARCHITECTURE.md, README.md and the registry say the same as the code."""

import re
from pathlib import Path

from gateway.dialects import FORMATS as GATEWAY_FORMATS
from services.formats.registry import FORMATS

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
ROOMS = {
    room.rstrip("/") for room in re.findall(r"^\| `([a-z/]+/)` \|", ARCHITECTURE, re.MULTILINE)
}


def test_every_room_is_on_the_page_and_there() -> None:
    floors = {f"services/{path.parent.name}" for path in ROOT.glob("services/*/__init__.py")}
    assert floors <= ROOMS
    assert {room for room in ROOMS if not (ROOT / room).is_dir()} <= {"deploy"}


def test_paths_on_the_pages_exist() -> None:
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"):
        named = re.findall(
            r"`((?:services|workers|gateway|tests)/[\w/]+\.py)`", (ROOT / page).read_text()
        )
        assert [path for path in named if not (ROOT / path).is_file()] == [], page


def test_the_readme_describes_the_formats_there_are() -> None:
    rows = re.findall(
        r"^\| `(\w+)`(?: \(default\))? \| ([^|]*?) \| ([^|]*?) ?\|$",
        (ROOT / "README.md").read_text().split("## Formats")[1].split("\n## ")[0],
        re.MULTILINE,
    )
    assert rows == [(f.name, f.description, f.cannot_hold) for f in FORMATS.values()]


def test_the_gateway_knows_the_same_formats() -> None:
    assert set(GATEWAY_FORMATS) == set(FORMATS)
