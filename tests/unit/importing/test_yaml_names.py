"""Class names in YAML and in lists: taken as written, bounded, or refused by name."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportSource, read_dataset
from tests.unit.importing.dataset_files import shared, write_image, write_text

#: What YAML 1.1 takes for numbers, truth values, dates, times, nothing or a merge.
_PLAIN = """
    02146 no null 1e3 12:30 2024-01-05 yes on ~ .inf 0x1F 1_000 0b1 +1 .5 1.
    NULL True off 2024-01-05T10:00:00Z 190:20:30 = <<
"""
WORDS = _PLAIN.split()


def _read(root: Path, names: str, file: str = "data.yaml") -> ImportSource:
    write_image(root / "images" / "x.jpg")
    write_text(root / "labels" / "x.txt", "0 .5 .5 .5 .5")
    write_text(root / file, names)
    return read_dataset("yolo", root / "images", root / "labels")


@pytest.mark.parametrize("form", ["flow", "block", "by_id", "quoted"])
def test_names_in_yaml_are_text_as_written(tmp_path: Path, form: str) -> None:
    text = {
        "flow": f"names: [{', '.join(WORDS)}]",
        "block": "names:\n" + "".join(f"  - {word}\n" for word in WORDS),
        "by_id": "names:\n" + "".join(f"  {i}: {word}\n" for i, word in enumerate(WORDS)),
        "quoted": "names: [" + ", ".join(f'"{word}"' for word in WORDS) + "]",
    }[form]
    assert [item.name for item in _read(tmp_path, text).classes] == WORDS


def test_the_shared_names(tmp_path: Path) -> None:
    root = shared("import_cases/03-yaml-class-names")
    source = read_dataset("yolo", root / "images", root / "labels")
    assert [item.name for item in source.classes] == WORDS[:6]


def test_an_alias_is_the_value_that_it_names(tmp_path: Path) -> None:
    source = _read(tmp_path, "train: &here images\nval: *here\nnames: [&a cat, dog]\nx: *a\n")
    assert [item.name for item in source.classes] == ["cat", "dog"]


LEVELS = "abcdefghij"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{own}: &{own} [{', '.join(['*' + before] * 9)}]\n" for before, own in pairwise(LEVELS)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB + "names: *j", "class 0 needs a name that is text"),
        (BOMB + "names: {0: *j}", "class 0 needs a name that is text"),
        ("names: &a [*a]", "no anchor|needs a name that is text"),
        ("names: " + "[" * 50_000, "nest"),
        ("names: " + "[" * 100, "nested more than 32 levels"),
        ("names:\n" + "- " * 50_000 + "x", "nest"),
        ("names: {0: a, 0: b}", "twice"),
        ("names: {0: a, 00: b}", "twice"),
        ("names: {1e400: a}", "whole number"),
        (f"names: {{{'9' * 400}: a}}", "whole number"),
        ("names: [a]\nnames: [b]", "twice"),
        ("names: [[a]]", "class 0 needs a name that is text"),
        ("names: [a\0b]", "not allow"),
        ('names: ["a\\0b"]', "class 0 needs a name"),
        ("names: ['']", "class 0 needs a name"),
        ("- a", "needs `names`"),
        ("", "empty"),
        ("{", "line 2"),
        ('train: "C:\\Users\\me"\nnames: [a]', "between double quotes write /"),
        ('names: [a]\nval: "..\\images"', "between double quotes write /"),
    ],
)
def test_a_hostile_data_yaml_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ImportFailed, match=words) as caught:
        _read(tmp_path, text)
    assert "data.yaml" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("file", ["classes.txt", "data.yaml"])
def test_too_many_names_are_refused_at_once(tmp_path: Path, file: str) -> None:
    rows = "\n".join(f"- name {number}" for number in range(100_000))
    started = time.process_time()
    with pytest.raises(ImportFailed, match="100,000 classes"):
        _read(tmp_path, f"names:\n{rows}" if file == "data.yaml" else rows, file)
    # Comparing each name with all before it takes minutes.
    assert time.process_time() - started < 20


def test_ten_thousand_names_are_taken(tmp_path: Path) -> None:
    source = _read(tmp_path, "\n".join(f"name {number}" for number in range(10_000)), "classes.txt")
    assert len(source.classes) == 10_000
