"""VOC in any declared encoding; what is not readable is named, and ends nothing."""

import time
from pathlib import Path

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportItem, ImportSource, read_dataset
from tests.unit.importing.dataset_files import read_all, reasons, write_image, write_text

BODY = (
    "<annotation><filename>{stem}.jpg</filename><object><name>{name}</name><bndbox><xmin>1</xmin>"
    "<ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>"
)


def _write(root: Path, stem: str, content: bytes) -> None:
    write_image(root / "images" / f"{stem}.jpg")
    (root / "xml").mkdir(exist_ok=True)
    (root / "xml" / f"{stem}.xml").write_bytes(content)


def _read(root: Path) -> tuple[ImportSource, list[ImportItem]]:
    source = read_dataset("pascal_voc", root / "images", root / "xml")
    return source, read_all(source)


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("gb2312", "gb2312", "汽车"),
        # Of the larger set that goes by the same name.
        ("GB2312", "gbk", "镕汽车"),
        ("gbk", "gbk", "汽车"),
        ("GB18030", "gb18030", "汽车😀"),
        ("big5", "big5", "汽車"),
        ("Shift_JIS", "cp932", "①車"),
        ("euc-jp", "euc-jp", "車"),
        ("EUC-KR", "cp949", "자동차"),
        ("windows-1251", "windows-1251", "машина"),
        ("koi8-r", "koi8-r", "машина"),
        ("ISO-8859-1", "latin-1", "größe"),
        ("iso-8859-15", "iso-8859-15", "größe€"),
        ("windows-1252", "windows-1252", "größe€"),
        ("us-ascii", "ascii", "car"),
        ("US-ASCII", "utf-8", "größe"),
        ("UTF-8", "utf-8-sig", "größe"),
        ("utf8", "utf-8", "größe"),
        ("UTF-16", "utf-16", "größe"),
        ("UTF-16", "utf-16-le", "größe"),
        ("utf-16", "utf-16-be", "größe"),
        # What the mark says counts.
        ("utf-8", "utf-16", "größe"),
        ("UTF-32", "utf-32", "größe"),
        ("", "utf-8", "größe"),
        ("", "utf-8-sig", "größe"),
        ("", "utf-16", "größe"),
    ],
)
def test_any_declared_encoding(tmp_path: Path, declared: str, encoding: str, name: str) -> None:
    head = f"<?xml version='1.0' encoding='{declared}' standalone='yes'?>\n" if declared else ""
    _write(tmp_path, "a", (head + BODY.format(stem="a", name=name)).encode(encoding))
    source, (item,) = _read(tmp_path)
    assert [annotation["name"] for annotation in item.annotations] == [name]
    assert [item.name for item in source.classes] == [name]
    assert not reasons(source, [item])


BOMB = (
    "<!DOCTYPE annotation [<!ENTITY a 'xxxxxxxxxx'>"
    + "".join(f"<!ENTITY {b} '&{a};&{a};&{a};&{a};&{a};&{a};'>" for a, b in ("ab", "bc", "cd"))
    + "]>"
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<annotation>", "no element found in line 1"),
        (b"<html></html>", "root is <html>"),
        (b"\x89PNG\r\n\x1a\n", "declares no encoding and is not UTF-8"),
        ("<annotation>\u00e9</annotation>".encode("latin-1"), "declares no encoding"),
        (b"<?xml version='1.0' encoding='klingon'?><annotation/>", "klingon, which is not known"),
        (b"<?xml version='1.0' encoding='rot13'?><annotation/>", "rot13, which is none"),
        (b"<?xml version='1.0' encoding='idna'?><annotation/>", "idna, which is not known"),
        (b"<?xml version='1.0' encoding='utf-8'?><annotation>\xff</annotation>", "keep to it"),
        (BOMB.encode() + b"<annotation>&d;</annotation>", "declares entities"),
        (b"<annotation>&#xD800;</annotation>", "reference to invalid character"),
        (b"<annotation>\0</annotation>", "not readable XML"),
        (b"<annotation>" + b"<a>" * 200_000, "no element found"),
    ],
)
def test_one_bad_file_is_named_and_the_others_come_in(
    tmp_path: Path, content: bytes, words: str
) -> None:
    _write(tmp_path, "bad", content)
    _write(tmp_path, "good", BODY.format(stem="good", name="car").encode())
    source, (item,) = _read(tmp_path)
    assert (item.path, len(item.annotations)) == ("good.jpg", 1)
    (issue,) = source.issues
    # Without its annotations the image would come in as one without objects.
    assert (issue.item, issue.reason, issue.images) == ("bad.xml", "XML_UNREADABLE", 1)
    assert words in issue.message
    assert len(issue.message) < 200


@pytest.mark.parametrize("tag", ["Annotation", "ANNOTATION", "annotation"])
def test_the_root_is_known_in_any_case(tmp_path: Path, tag: str) -> None:
    text = BODY.format(stem="a", name="car")
    for part in ("<annotation", "</annotation"):
        text = text.replace(f"{part}>", f"{part[: -len('annotation')]}{tag}>")
    _write(tmp_path, "a", text.encode())
    source, (item,) = _read(tmp_path)
    assert len(item.annotations) == 1
    assert not reasons(source, [item])


def test_depth_costs_nothing(tmp_path: Path) -> None:
    deep = "<a>" * 200_000 + "</a>" * 200_000
    body = BODY.format(stem="a", name="car").replace("<object>", f"<object>{deep}")
    _write(tmp_path, "a", body.encode())
    started = time.process_time()
    _, (item,) = _read(tmp_path)
    assert len(item.annotations) == 1
    assert time.process_time() - started < 20


def test_without_any_readable_file(tmp_path: Path) -> None:
    _write(tmp_path, "a", b"<annotation>")
    with pytest.raises(ImportFailed, match=r"a\.xml is not readable XML"):
        _read(tmp_path)


def test_names_that_no_class_can_have_cost_their_object(tmp_path: Path) -> None:
    _write(tmp_path, "a", BODY.format(stem="a", name="x" * 121).encode())
    _write(tmp_path, "b", BODY.format(stem="b", name="car").encode())
    source, items = _read(tmp_path)
    assert [len(item.annotations) for item in items] == [0, 1]
    assert reasons(source, items) == {"CLASS_NAME_UNFIT": 1}


def test_splits_beside_the_annotations(tmp_path: Path) -> None:
    for stem in "abc":
        _write(tmp_path, stem, BODY.format(stem=stem, name="car").encode())
    write_text(tmp_path / "ImageSets" / "Main" / "train.txt", "a\n\n")
    write_text(tmp_path / "ImageSets" / "Main" / "val.txt", "b\ngone\n")
    write_text(tmp_path / "ImageSets" / "Main" / "car_train.txt", "a 1\nc -1\n")
    _, items = _read(tmp_path)
    assert {item.path: item.split for item in items} == {
        "a.jpg": "train",
        "b.jpg": "val",
        "c.jpg": None,
    }


def test_the_folder_of_a_whole_dataset(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "a.jpg")
    write_image(tmp_path / "SegmentationClass" / "a.png")
    write_text(tmp_path / "Annotations" / "a.xml", BODY.format(stem="a", name="car"))
    write_text(tmp_path / "ImageSets" / "Main" / "test.txt", "a\n")
    source = read_dataset("pascal_voc", tmp_path, tmp_path)
    (item,) = read_all(source)
    assert (item.path, item.split) == ("JPEGImages/a.jpg", "test")
    assert reasons(source, [item]) == {"MASKS_LEFT_OUT": 1}
