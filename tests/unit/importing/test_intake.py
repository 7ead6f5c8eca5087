"""What is looked at before an image is sent: its file, its size, its name."""

import json
import math
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from services.formats.common.declared_size import FileSize, declared, fitted, no_size
from services.formats.common.source import ImportFailed, ImportIssue
from services.importing.dataset import ImportItem, ImportOptions, WrongUsage, read_dataset
from services.importing.issues import FEW, IssueLog
from services.importing.placement import over_the_edge
from services.importing.recognition import recognised
from services.importing.summary import Amount, ImportSummary
from tests.unit.importing.dataset_files import (
    box,
    read_all,
    reasons,
    write_image,
    write_json,
    write_text,
)

W, H = 120, 80


def jpeg(width: int = W, height: int = H) -> bytes:
    file = BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def yolo(root: Path, files: dict[str, bytes], rows: int = 2, **options: Any) -> list[ImportItem]:
    """A dataset of these image files, each with some boxes."""
    for name, data in files.items():
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "images" / name).write_bytes(data)
        write_text(root / "labels" / f"{name.rpartition('.')[0]}.txt", "0 .5 .5 .2 .2\n" * rows)
    write_text(root / "classes.txt", "car\n")
    source = read_dataset("yolo", root / "images", root / "labels", ImportOptions(**options))
    return list(source.items())


BROKEN = {
    "cut.jpg": (jpeg()[:-100], "IMAGE_BREAKS_OFF", "breaks off inside its pixels"),
    "zero.jpg": (b"", "IMAGE_UNREADABLE", "is empty"),
    "html.png": (b"<html></html>", "IMAGE_UNREADABLE", "is HTML"),
    "head.jpg": (jpeg()[:100], "IMAGE_BREAKS_OFF", "breaks off inside its header"),
    "text.tif": (b"hello", "IMAGE_UNREADABLE", "is text"),
    "film.heic": (b"\0\0\0\x18ftypmp42", "IMAGE_UNREADABLE", "is a film"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_in_one_line_with_its_annotations(tmp_path: Path, name: str) -> None:
    data, reason, said = BROKEN[name]
    good, bad = sorted(
        yolo(tmp_path, {name: data, "whole.jpg": jpeg()}), key=lambda item: item.is_left_out
    )
    assert (good.path, len(good.annotations), good.issues) == ("whole.jpg", 2, [])
    (issue,) = bad.issues
    assert (issue.item, issue.reason, issue.images, issue.annotations) == (name, reason, 1, 2)
    assert said in issue.message
    assert issue.message.endswith("skipped with 2 annotations")
    assert bad.annotations == []


def test_a_picture_that_breaks_off_can_be_taken(tmp_path: Path) -> None:
    (item,) = yolo(tmp_path, {"a.jpg": jpeg()[:-100]}, takes_broken=True)
    (issue,) = item.issues
    assert (item.is_left_out, len(item.annotations), issue.images) == (False, 2, 0)
    assert issue.message == "breaks off inside its pixels; taken"
    # What has no size cannot.
    (item,) = yolo(tmp_path, {"a.jpg": jpeg()[:50]}, takes_broken=True)
    assert item.is_left_out


def test_an_extension_of_another_container_is_a_note(tmp_path: Path) -> None:
    (item,) = yolo(tmp_path, {"a.png": jpeg()})
    (issue,) = item.issues
    assert (issue.reason, issue.images, len(item.annotations)) == ("EXTENSION_OTHER", 0, 2)
    assert "is JPEG" in issue.message


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([(-2, -1, 30, 30), (100, 60, 22, 21)], None),
        ([(-40, 10, 50, 20), (5, 5, 5, 5)], "an annotation reaches over the edge by up to 40 pi"),
        ([(90, 60, 95, 75), (50, 40, 119, 79)], "2 annotations .* 65 pixels.* the far corner"),
        ([(500, 500, 20, 20)], "by up to 440 pixels; taken as it stands$"),
    ],
)
def test_boxes_that_reach_far_over_the_edge_are_named(
    boxes: list[tuple[int, ...]], says: str | None
) -> None:
    rows = [{"bounding_box": dict(zip("xywh", box, strict=True))} for box in boxes]
    found = over_the_edge([*rows, {"keypoint": {"x": 999, "y": 0}}], W, H)
    if says is None:
        assert found is None
    else:
        assert found
        assert re.search(says, found)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "images.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(WrongUsage, match="is a ZIP archive; unpack it"):
        read_dataset("coco", file, tmp_path)
    with pytest.raises(ImportFailed, match="is a ZIP archive; unpack it"):
        recognised(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (bytes(500), "holds nothing but zeros"),
        (b"<html>404</html>", "is no JSON: it begins with '<html>"),
        (b'{"x": 1', "is not readable JSON: .* in line 1"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"x": "\xe4"}', "is not JSON in UTF-8"),
        (b"[" + b" " * 2**20 + b"\xe4", r"of the annotations\.$"),
        (b'{"x": NaN}', r"of the annotations\.$"),
    ],
)
def test_what_is_not_recognised_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    for given in (file, tmp_path):
        with pytest.raises(ImportFailed, match=said):
            recognised(given)


def test_a_prefix_and_one_split(tmp_path: Path) -> None:
    files = {"a.jpg": jpeg(), "b.jpg": jpeg()}
    items = yolo(tmp_path, files, prefix="/x/y/", split="valid")
    assert [(item.path, item.split) for item in items] == [
        ("x/y/a.jpg", "val"),
        ("x/y/b.jpg", "val"),
    ]
    wrong: list[dict[str, Any]] = [
        {"prefix": "../x"},
        {"split": "most"},
        {"split": "val", "split_from": tmp_path},
    ]
    for options in wrong:
        with pytest.raises(WrongUsage):
            yolo(tmp_path, files, **options)


def test_sizes_as_sources_write_them() -> None:
    for width, height in ((120, 80), (120.0, 80.0), ("120", " 80 "), ("120.0", "80")):
        assert declared(width, height) == (120, 80)
    none: list[Any] = [0, -1, None, "", "n/a", True, math.nan, math.inf, 10**400, [], 0.2]
    for side in none:
        assert declared(side, 80) is None


def test_sizes_that_are_none_are_named() -> None:
    wrong: list[tuple[Any, Any]] = [
        (-1, 80), ("-1", "80"), (80, 10**400), (80, math.inf), ([], 80), (math.nan, 80),
    ]  # fmt: skip
    for width, height in wrong:
        issue = no_size("a.jpg", width, height)
        assert issue
        assert (issue.reason, issue.item, issue.images) == ("SIZE_UNREADABLE", "a.jpg", 0)
    none: list[tuple[Any, Any]] = [(0, -1), (None, 80), ("", ""), ("0", "5")]
    for width, height in ((120, 80), (" 120 ", 80.2), *none):
        assert no_size("a.jpg", width, height) is None


@pytest.mark.parametrize("format", ["coco", "pascal_voc", "pictograph"])
def test_readers_name_a_size_that_is_none(tmp_path: Path, format: str) -> None:
    write_image(tmp_path / "images" / "a.jpg", W, H)
    given = tmp_path / format
    if format == "pascal_voc":
        size = "<size><width>-5</width><height>9</height></size>"
        write_text(given / "a.xml", f"<annotation><filename>a.jpg</filename>{size}</annotation>")
    elif format == "coco":
        image = {"id": 1, "file_name": "a.jpg", "width": -5, "height": 9}
        write_json(given / "c.json", {"images": [image], "annotations": [], "categories": []})
    else:
        block = {"filename": "a.jpg", "width": -5, "height": 9}
        write_json(given / "a.jpg.json", {"image": block, "annotations": []})
    source = read_dataset(format, tmp_path / "images", given)
    assert reasons(source, read_all(source)) == {"SIZE_UNREADABLE": 1}


ANNOTATIONS: list[dict[str, Any]] = [
    {"type": "bbox", "bounding_box": {"x": 10.0, "y": 20.0, "w": 30.0, "h": 6.0}},
    {
        "type": "polygon",
        "polygon": {
            "paths": [[{"x": 1.0, "y": 2.0}, {"x": 30.0, "y": 2.0}, {"x": 9.0, "y": 40.0}]]
        },
    },
    {"type": "polyline", "polyline": {"path": [{"x": 3.0, "y": 4.0}, {"x": 50.0, "y": 6.0}]}},
    {"type": "keypoint", "keypoint": {"x": 100.0, "y": 70.0}},
    {
        "type": "bbox",
        "bounding_box": {"x": 20.0, "y": 20.0, "w": 40.0, "h": 40.0},
        "oriented_box": {"cx": 40.0, "cy": 40.0, "w": 30.0, "h": 10.0, "angle": 30.0},
    },
]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_annotations_of_the_stored_picture_are_turned_with_it(orientation: int) -> None:
    """A mark in the pixels and the point that names it go to the same place."""
    marked = Image.new("L", (W, H))
    exif = marked.getexif()
    exif[0x0112] = orientation
    marked.putpixel((100, 70), 255)
    marked.info["exif"] = exif.tobytes()
    shown = ImageOps.exif_transpose(marked)
    assert shown.size == (H, W)
    value = {"type": "keypoint", "keypoint": {"x": 100.5, "y": 70.5}}
    ((moved,), said) = fitted([value], (W, H), FileSize(H, W, orientation))
    point = moved["keypoint"]
    assert shown.getpixel((int(point["x"]), int(point["y"]))) == 255
    assert said
    assert "turned as its EXIF says" in said
    for annotation in fitted(ANNOTATIONS, (W, H), FileSize(H, W, orientation))[0]:
        points = _points(annotation)
        assert all(0 <= x <= H and 0 <= y <= W for x, y in points)
    turned = fitted(ANNOTATIONS, (W, H), FileSize(H, W, orientation))[0]
    assert (turned[0]["bounding_box"]["w"], turned[0]["bounding_box"]["h"]) == (6, 30)
    sides = turned[4]["oriented_box"]
    # A mirror turns the other way.
    angles = {5: 60.0, 6: 120.0, 7: 240.0, 8: 300.0}
    assert (sides["w"], sides["h"]) == (30, 10)
    assert sides["angle"] == pytest.approx(angles[orientation])


def _points(value: dict[str, Any]) -> list[tuple[float, float]]:
    rows = [
        *(row for ring in value.get("polygon", {}).get("paths", ()) for row in ring),
        *value.get("polyline", {}).get("path", ()),
        *([value["keypoint"]] if "keypoint" in value else ()),
    ]
    return [(row["x"], row["y"]) for row in rows]


@pytest.mark.parametrize(
    ("size", "file", "factor"),
    [
        ((240, 160), FileSize(W, H), 0.5),
        ((60, 40), FileSize(W, H), 2),
        # Turned, but the source speaks of the displayed picture.
        ((160, 240), FileSize(H, W, 6), 0.5),
        # Rounded to whole pixels.
        ((1333, 800), FileSize(667, 400), 0.5),
    ],
)
def test_annotations_of_a_scaled_copy_are_scaled(
    size: tuple[int, int], file: FileSize, factor: float
) -> None:
    moved, said = fitted(ANNOTATIONS, size, file)
    assert said
    assert "scaled" in said
    for one, other in zip(ANNOTATIONS, moved, strict=True):
        if "bounding_box" in one:
            assert box(other) == pytest.approx([side * factor for side in box(one)], rel=2e-3)
        assert [c for point in _points(other) for c in point] == pytest.approx(
            [c * factor for point in _points(one) for c in point], rel=2e-3
        )


def test_what_a_copy_of_100_pixels_is_rounded_to_is_a_copy() -> None:
    """160 * 100 / 199 is 80.4; each side is scaled by its own factor, so that edges stay edges."""
    rows = [{"bounding_box": {"x": 0.0, "y": 0.0, "w": 199.0, "h": 160.0}}]
    ((moved,), said) = fitted(rows, (199, 160), FileSize(100, 80))
    assert said
    assert "scaled" in said
    assert box(moved) == pytest.approx((0, 0, 100, 80))


def test_a_turned_and_scaled_copy_is_both() -> None:
    ((moved,), said) = fitted([ANNOTATIONS[0]], (2 * W, 2 * H), FileSize(H, W, 6))
    assert box(moved) == (H - 13, 5, 3, 15)
    assert said
    assert "turned as its EXIF says, and scaled" in said


@pytest.mark.parametrize("size", [(W, H + 1), (H, W), (W + 1, H), (300, 80), (2 * W - 2, 2 * H)])
def test_any_other_size_is_named_and_nothing_moved(size: tuple[int, int]) -> None:
    moved, said = fitted(ANNOTATIONS, size, FileSize(W, H))
    assert moved == ANNOTATIONS
    assert said
    assert f"{size[0]} x {size[1]}" in said
    assert "taken as they stand" in said


def test_the_size_of_the_file_needs_no_words() -> None:
    assert fitted(ANNOTATIONS, (H, W), FileSize(H, W, 6)) == (ANNOTATIONS, None)


@pytest.mark.parametrize("format", ["coco", "pascal_voc"])
def test_readers_tell_the_size_that_a_source_declares(tmp_path: Path, format: str) -> None:
    write_image(tmp_path / "images" / "turned.jpg", W, H, orientation=6)
    write_image(tmp_path / "images" / "scaled.jpg", W // 2, H // 2)
    names = ("turned", "scaled")
    given = tmp_path / "xml"
    for name in names:
        write_text(
            given / f"{name}.xml",
            f"<annotation><filename>{name}.jpg</filename><size><width>{W}</width>"
            f"<height>{H}</height></size><object><name>car</name><bndbox><xmin>10</xmin>"
            "<ymin>20</ymin><xmax>50</xmax><ymax>40</ymax></bndbox></object></annotation>",
        )
    if format == "coco":
        row = {"category_id": 1, "bbox": [10, 20, 40, 20]}
        images = [
            {"id": n, "file_name": f"{name}.jpg", "width": W, "height": H}
            for n, name in enumerate(names)
        ]
        document = {
            "images": images,
            "categories": [{"id": 1, "name": "car"}],
            "annotations": [{"id": n, "image_id": n, **row} for n in range(2)],
        }
        given = write_json(tmp_path / "c.json", document)
    items = {i.path: i for i in read_all(read_dataset(format, tmp_path / "images", given))}
    assert box(items["turned.jpg"].annotations[0]) == (H - 40, 10, 20, 40)
    assert box(items["scaled.jpg"].annotations[0]) == (5, 10, 20, 10)
    assert [[i.reason for i in item.issues] for item in items.values()] == [["SIZE_DIFFERS"]] * 2


def test_few_issues_of_a_kind_are_shown_and_all_reported() -> None:
    shown: list[str] = []
    report = BytesIO()
    log = IssueLog(shown.append, report)
    for number in range(FEW + 3):
        log.take(ImportIssue(f"{number}\udcff", "SOME", "is so", 1, 2))
    log.take(ImportIssue("x", "OTHER", "is so"))
    assert len(shown) == FEW + 1
    assert log.hidden == 3
    rows = [json.loads(line) for line in report.getvalue().splitlines()]
    assert len(rows) == FEW + 4
    assert rows[0] == {
        "reason": "SOME", "item": "0\\udcff", "message": "is so", "images": 1, "annotations": 2,
        "changed": 0,
    }  # fmt: skip


def test_a_summary_is_not_complete_where_a_shape_was_cut() -> None:
    summary = ImportSummary()
    summary.created.add(1, 1)
    summary.name(ImportIssue("a", "RING_UNREADABLE", "is so", changed=1))
    assert (summary.is_complete, summary.changed, summary.passed_over) == (False, 1, Amount())


def test_a_summary_is_complete_where_nothing_is_left_out() -> None:
    summary = ImportSummary()
    summary.created.add(2, 5)
    summary.name(ImportIssue("a", "NOTE", "is so"))
    assert (summary.is_complete, summary.taken) == (True, 2)
    summary.name(ImportIssue("a", "LEFT", "is so", annotations=1))
    assert not summary.is_complete
    assert summary.reasons == {"NOTE": 1, "LEFT": 1}


COCO: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
XML = "<?xml version='1.0'?>\n<annotation><object/></annotation>"
LAYOUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "one document": ("coco", {"c.json": COCO}),
    "Roboflow COCO": ("coco", {"train/_annotations.coco.json": COCO, "README.txt": "words"}),
    "a document beside others": ("coco", {"a.json": COCO, "manifest.json": {"annotations": []}}),
    "a large document": (
        "coco",
        {
            "c.json": {
                "images": [{"file_name": "x" * 3_000_000}],
                "categories": [],
                "z": "z" * 2**21,
            }
        },
    ),
    "UTF-16 COCO": ("coco", {"a.json": json.dumps(COCO).encode("utf-16")}),
    "UTF-32 COCO": ("coco", {"a.json": json.dumps(COCO).encode("utf-32-be")}),
    "COCO without images": ("coco", {"a.json": {"annotations": [], "categories": []}}),
    "VOC of a namespace": (
        "pascal_voc",
        {"a.xml": '<v:annotation xmlns:v="urn:voc"></v:annotation>'},
    ),
    "VOC beside a list": ("pascal_voc", {"a.xml": XML, "names.json": [{"file": "a.jpg"}]}),
    "VOC with a capital": ("pascal_voc", {"a.xml": "<Annotation><object/></Annotation>"}),
    "VOC": ("pascal_voc", {"Annotations/a.xml": XML, "ImageSets/Main/train.txt": "a\n"}),
    "UTF-16 VOC": ("pascal_voc", {"a.xml": XML.encode("utf-16")}),
    "data.yaml": ("yolo", {"data.yaml": "train: x\nnames: [a]\n", "labels/a.txt": ""}),
    "labels": ("yolo", {"a.txt": "", "b.txt": "0 .5 .5 1e-1 .25\r\n", "classes.txt": "car\n"}),
    "an export": ("pictograph", {"dataset.json": {"classes": []}, "annotations/a.json": []}),
    "arrays": ("pictograph", {"a.json": [], "b.json": [{"name": "car"}]}),
    "objects": ("pictograph", {"a.json": {"image": {}, "annotations": []}}),
}


def _laid_out(root: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        if isinstance(content, bytes):
            (root / name).write_bytes(content)
        elif isinstance(content, str):
            write_text(root / name, content)
        else:
            write_json(root / name, content)
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_recognised(tmp_path: Path, layout: str) -> None:
    format, files = LAYOUTS[layout]
    found = recognised(_laid_out(tmp_path, files))
    assert found.format == format
    assert found.why in files


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "not recognised"),
        ({"a.txt": "words and words"}, "not recognised"),
        ({"a.xml": "<annotations/>"}, "CVAT for images"),
        ({"a.json": {"shapes": [], "imagePath": "a.jpg"}}, "LabelMe"),
        ({"a.json": [{"image_id": 1, "category_id": 1, "score": 0.5}]}, "COCO results"),
        ({"a.xml": XML, "a.txt": "0 .5 .5 .5 .5"}, r"may be .* or .*; give --format"),
    ],
)
def test_what_is_not_recognised_says_so(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    with pytest.raises(ImportFailed, match=said):
        recognised(_laid_out(tmp_path, files))
    with pytest.raises(ImportFailed, match="does not exist"):
        recognised(tmp_path / "gone")


#: What other tools write, each as far as it tells who wrote it.
OTHER_TOOLS: dict[str, dict[str, Any]] = {
    "CreateML": {
        "_annotations.createml.json": [
            {
                "image": "a.jpg",
                "annotations": [
                    {"label": "car", "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}}
                ],
            }
        ]
    },
    "Label Studio JSON": {
        "project.json": [
            {
                "id": 1,
                "annotations": [{"id": 1, "result": [{"type": "rectanglelabels", "value": {}}]}],
                "data": {"image": "/data/upload/1/a.jpg"},
            }
        ]
    },
    "VGG Image Annotator": {
        "via.json": {
            "a.jpg9": {
                "filename": "a.jpg",
                "regions": [{"shape_attributes": {"name": "rect"}, "region_attributes": {}}],
            }
        }
    },
    "Supervisely": {
        "ann/a.jpg.json": {"tags": [], "size": {"height": 8, "width": 9}, "objects": []}
    },
    "Scalabel or BDD100K": {"a.json": [{"name": "a.jpg", "labels": [{"box2d": {"x1": 1}}]}]},
    "DOTA": {"labelTxt/a.txt": "1.0 1.0 20.0 1.0 20.0 20.0 1.0 20.0 plane 0\n"},
    "DOTA (labelTxt": {"labelTxt/a.txt": "imagesource:GoogleEarth\ngsd:0.1\n"},
    "KITTI": {
        "label_2/a.txt": "Truck 0.00 0 -1.57 59.4 15.4 62.7 18.2 2.8 2.6 12.3 0.4 1.4 69.4 -1.56\n"
    },
    "VisDrone or MOTChallenge": {"annotations/a.txt": "684,8,273,116,0,0,0,0\n"},
    "CSV": {"_annotations.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\n"},
}


@pytest.mark.parametrize("tool", OTHER_TOOLS)
def test_what_other_tools_write_is_called_by_their_name(tmp_path: Path, tool: str) -> None:
    """And never taken for a format that is read, which would leave all of it out."""
    laid_out = _laid_out(tmp_path, OTHER_TOOLS[tool])
    with pytest.raises(ImportFailed, match=re.escape(f"looks like {tool}")):
        recognised(laid_out)


@pytest.mark.parametrize("tool", OTHER_TOOLS)
def test_what_other_tools_write_beside_a_dataset_is_passed_over(tmp_path: Path, tool: str) -> None:
    files = OTHER_TOOLS[tool] | {"annotations/instances_train.json": COCO}
    assert recognised(_laid_out(tmp_path, files)).format == "coco"


@pytest.mark.parametrize("mark", [" ", "\t", ", ", ",", ";"])
@pytest.mark.parametrize("class_id", ["0", "12", "0.0", "3.000000"])
@pytest.mark.parametrize("before", ["", "\n", "# made by hand\n", "0 nan 0.5 0.1 0.1\n"])
def test_a_label_file_is_recognised_however_it_is_written(
    tmp_path: Path, mark: str, class_id: str, before: str
) -> None:
    row = mark.join((class_id, ".5", "0.5", "1e-1", "0.25"))
    assert recognised(_laid_out(tmp_path, {"a.txt": f"{before}{row}\r\n"})).format == "yolo"


@pytest.mark.parametrize(
    ("name", "format"),
    [("c.json", "coco"), ("data.yaml", "yolo"), ("obj.names", "yolo"), ("classes.txt", "yolo")],
)
def test_a_file_says_its_format(tmp_path: Path, name: str, format: str) -> None:
    file = _laid_out(tmp_path, {name: COCO if name == "c.json" else "car\n"}) / name
    assert recognised(file).format == format
