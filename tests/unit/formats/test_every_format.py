"""What holds for every format, whatever the annotations."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.writer import Tally
from services.formats.manifest import MANIFEST_PATH, README_PATH
from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, assemble, box, image, info, keypoint
from tests.unit.formats.generated import HEIGHT, WIDTH, annotation_lists

_FILTERS = st.lists(st.sampled_from([c.name for c in CLASSES]), unique=True, max_size=3)
_SPLITS = st.sampled_from(["train", "val", "test", None])


def read(export: ExportInfo, files: dict[str, bytes]) -> Tally:
    """What the format's own check of a finished archive counts."""
    images = annotations = 0
    for path, content in files.items():
        if path not in (MANIFEST_PATH, README_PATH):
            lines = content.split(b"\n")
            tally = FORMATS[export.format].writer.read(path, iter(lines), export)
            images += tally.image_count
            annotations += tally.annotation_count
    return Tally(images, annotations)


def numbered(
    lists: Iterable[list[dict[str, Any]]], splits: Iterator[str | None]
) -> list[ExportImage]:
    images, first = [], 1
    for number, annotations in enumerate(lists, 1):
        fields = {"split": next(splits)}
        images.append(image(annotations, number, first, (WIDTH, HEIGHT), **fields))
        first += len(annotations)
    return images


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25)
@given(
    lists=st.lists(annotation_lists(), max_size=3),
    class_filter=_FILTERS,
    organize_by_split=st.booleans(),
    data=st.data(),
)
def test_an_archive_is_read_as_it_was_written(
    name: str,
    lists: list[list[dict[str, Any]]],
    class_filter: list[str],
    organize_by_split: bool,
    data: st.DataObject,
) -> None:
    export = info(name, class_filter=tuple(class_filter), organize_by_split=organize_by_split)
    images = numbered(lists, iter(lambda: data.draw(_SPLITS), 0))
    files, rendered = assemble(export, images)
    assert read(export, files) == Tally(len(images), rendered.annotation_count)
    assert assemble(export, images)[0] == files
    for path in [*files, *(FORMATS[name].writer.image_path(one, export) for one in images)]:
        assert not path.startswith("/")
        assert ".." not in path.split("/")


@pytest.mark.parametrize("name", FORMATS)
def test_splits_are_top_folders(name: str) -> None:
    export = info(name, organize_by_split=True)
    images = numbered([[box("a", 1, 1, 5, 5)]] * 4, iter(["train", "val", "test", None]))
    paths = [FORMATS[name].writer.image_path(one, export) for one in images]
    assert [path.split("/")[0] for path in paths] == ["train", "valid", "test", "train"]


@pytest.mark.parametrize("name", FORMATS)
def test_documents_do_not_depend_on_earlier_exports(name: str) -> None:
    """One format object serves every export of a worker."""
    one = [image([box("a", 1, 1, 5, 5), keypoint("b", "nose", 3, 3, 1)])]
    everything, filtered = info(name), info(name, class_filter=("car",))
    first = assemble(everything, one)[0]
    assert assemble(filtered, one)[0] != first
    assert assemble(everything, one)[0] == first


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_breaks_off_is_noticed(name: str) -> None:
    export = info(name)
    files, _ = assemble(export, [image([box("a", 1, 1, 50, 50), box("b", 2, 2, 60, 60)])])
    whole = read(export, files)
    cut = 0
    for path, content in files.items():
        if path.endswith((".json", ".xml", ".csv")) and path != MANIFEST_PATH:
            cut += 1
            try:
                found = read(export, {**files, path: content[: len(content) * 2 // 3]})
            except (ValueError, LookupError, TypeError):
                continue
            assert found != whole, f"nobody noticed that {path} breaks off"
    assert cut or name.startswith("yolo") or name == "dota"
