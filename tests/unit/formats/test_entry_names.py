"""No two entries of an archive share a name, whatever the images are called."""

import re
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from services.catalog.names import archive_name, folded, folders_of, name_key, safe_name
from services.formats import manifest
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.registry import FORMATS
from tests.unit.formats.archives import image, info
from workers.entry_names import EntryNames, clash

_STEMS = st.one_of(
    st.sampled_from(
        ["cam", "CAM", "default", "default_", "shot", ".hidden", "a~1", "_annotations.coco", "é"]
    ),
    st.text("aAb.~12 _é/", min_size=1, max_size=5),
)
_EXTENSIONS = st.sampled_from(["", "", ".jpg", ".JPG", ".png", ".json", ".txt", ".xml", ".0001"])
PATHS = st.lists(st.builds("{}{}".format, _STEMS, _EXTENSIONS), min_size=1, max_size=4).map(
    "/".join
)
SPLITS = ("train", "val", "test", None)


def images_of(paths: Sequence[str]) -> list[ExportImage]:
    """Images with the archive names that the catalog gives them (`services.catalog.images`)."""
    folders = {folder for path in paths for folder in folders_of(folded(safe_name(path)))}
    seen: set[str] = set()
    found = []
    for number, path in enumerate(sorted(paths), 1):
        key = name_key(path)
        collides = key in seen or folded(safe_name(path)) in folders
        seen.add(key)
        name = archive_name(path, number, collides)
        split = SPLITS[number % 4]
        found.append(image(number=number, first=number, path=path, name=name, split=split))
    return found


def entries(images: Sequence[ExportImage], export: ExportInfo) -> list[str]:
    """The names of all entries of an archive."""
    writer = FORMATS[export.format].writer
    documents = [document.path for document in writer.documents(export)]
    found = [manifest.MANIFEST_PATH, manifest.README_PATH, *documents]
    for one in images:
        files = [path for path, _ in writer.render(one, export).files]
        assert [*writer.file_paths(one, export)] == files
        found += [writer.image_path(one, export), *files]
    return found


def caseless(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(paths=st.sets(PATHS, max_size=12), organize_by_split=st.booleans())
@example(
    paths={"cam/frame", "cam/frame2", ".hidden", "cam", "shot.json", "shot.jpg"},
    organize_by_split=True,
)
@example(paths={"cam", "CAM/a.jpg", "cam~1", "x.0001", "X.0001/b"}, organize_by_split=True)
@example(paths={"frame", "frame.jpg/cam"}, organize_by_split=False)
@example(
    paths={"_annotations.coco.json", "train/_Annotations.COCO.json", "labels.txt"},
    organize_by_split=True,
)
def test_every_entry_has_a_name_of_its_own(
    name: str, paths: set[str], organize_by_split: bool
) -> None:
    # A folder that is called like a numbered file is left to the plan, which refuses.
    folders = {part for path in paths for part in safe_name(path).split("/")[:-1]}
    assume(not any(re.search(r"~[0-9]+(\.[^.]*)?$", folder) for folder in folders))
    found = entries(images_of([*paths]), info(name, organize_by_split=organize_by_split))
    keys = [caseless(entry) for entry in found]
    assert len(set(keys)) == len(keys)
    assert not {folder for key in keys for folder in folders_of(key)} & set(keys)
    assert not EntryNames(found).suspects()
    for entry in found:
        stem = entry.rpartition("/")[2].rpartition(".")[0] or entry.rpartition("/")[2]
        assert stem.strip(".")


def test_names_without_an_extension_keep_them() -> None:
    one, two = images_of(["cam/frame", "cam/frame.0002.png"])
    yolo, coco = FORMATS["yolo"].writer, FORMATS["coco"].writer
    assert coco.image_path(one, info("coco")) == "images/cam/frame"
    assert yolo.image_path(one, info("yolo")) == "images/val/cam_frame~1"
    assert [*yolo.file_paths(one, info("yolo"))] == ["labels/val/cam_frame~1.txt"]
    assert [*yolo.file_paths(two, info("yolo"))] == ["labels/test/cam_frame.0002~2.txt"]


@settings(deadline=None)
@given(st.lists(PATHS, max_size=30))
def test_a_clash_is_found_whatever_lies_between(names: list[str]) -> None:
    keys = [folded(name) for name in names]
    clashes = len(set(keys)) < len(keys) or {f for key in keys for f in folders_of(key)} & {*keys}
    suspects = EntryNames(names).suspects()
    assert bool(suspects) == bool(clashes)
    found = clash(names, suspects)
    assert (found is not None) == bool(clashes)
    if found is not None:
        first, second = map(folded, found)
        assert first == second or first in folders_of(second)


def test_many_folders_are_not_forgotten() -> None:
    names = [f"{number}/x" for number in range(5000)]
    assert not EntryNames(names).suspects()
    assert clash([*names, "7"], EntryNames([*names, "7"]).suspects()) == ("7", "7/x")


def test_a_suspicion_alone_is_no_clash() -> None:
    assert clash(["a", "b/c"], frozenset({hash("a"), hash("b")})) is None
