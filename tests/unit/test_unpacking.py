"""Unpacking: everything below the folder, nothing beside it."""

import io
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import CartoucheError
from services.exporting.unpacking import unpack

UNSAFE = [
    "../a", "a/../../b", "/etc/passwd", "..", "a\\..\\..\\b", "C:/a", "c:a", "//server/share",
    "a/b/../../../c",
]  # fmt: skip
PARTS = st.one_of(
    st.sampled_from(["..", ".", "", "a", "C:", "\\", "..\\..", "\0", "~", "a b"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)


def archive(*entries: tuple[str, bytes], mode: int = 0) -> io.BytesIO:
    """A ZIP whose entries are named as they are given."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name, data in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            target.writestr(info, data)
    return made


def written(made: io.BytesIO, folder: Path) -> Path:
    """The archive in a file."""
    file = folder / "archive.zip"
    file.write_bytes(made.getvalue())
    return file


def everything(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_written(tmp_path: Path) -> None:
    file = written(archive(("a.txt", b"1"), ("b/c/d.txt", b"22")), tmp_path)
    assert unpack(file, tmp_path / "new" / "folder") == 2
    assert (tmp_path / "new" / "folder" / "b" / "c" / "d.txt").read_bytes() == b"22"


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leads_out_stops_all(name: str, tmp_path: Path) -> None:
    file = written(archive(("good.txt", b"1"), (name, b"2")), tmp_path)
    with pytest.raises(CartoucheError, match="nothing was unpacked"):
        unpack(file, tmp_path / "folder")
    assert everything(tmp_path) == {"archive.zip"}


@given(st.lists(PARTS, min_size=1, max_size=5).map("/".join))
def test_no_name_leads_out(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    place = tmp_path_factory.mktemp("unpacking")
    file = written(archive((name, b"2")), place)
    with suppress(CartoucheError, OSError):
        unpack(file, place / "folder")
    outside = [path for path in everything(place) if not path.startswith("folder/")]
    assert outside == ["archive.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(kind: int, tmp_path: Path) -> None:
    file = written(archive(("link", b"/etc"), mode=kind | 0o644), tmp_path)
    with pytest.raises(CartoucheError, match="is no plain file"):
        unpack(file, tmp_path / "folder")


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "folder" / "b").symlink_to(tmp_path / "outside")
    file = written(archive(("b/c.txt", b"1")), tmp_path)
    with pytest.raises(CartoucheError, match="leads out of the folder"):
        unpack(file, tmp_path / "folder")
    assert everything(tmp_path / "outside") == set()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("mine")
    file = written(archive(("b.txt", b"1"), ("a.txt", b"2")), tmp_path)
    with pytest.raises(CartoucheError, match="is there already"):
        unpack(file, tmp_path / "folder")
    assert (tmp_path / "folder" / "a.txt").read_text() == "mine"
    assert everything(tmp_path / "folder") == {"a.txt"}


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    file = tmp_path / "archive.zip"
    file.write_bytes(b"nothing")
    with pytest.raises(CartoucheError, match="is damaged"):
        unpack(file, tmp_path / "folder")
