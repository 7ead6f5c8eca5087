"""Which format a dataset on disk is in, by a look at some of its annotation files."""

import json
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, splitext

from services.formats.coco.documents import OF_OTHER_TASKS
from services.formats.common.annotations import number_of
from services.formats.common.plain_values import shown
from services.formats.common.source import ImportFailed
from services.formats.yolo.lines import is_row, split_lines
from services.importing.walk import Surroundings, files_below, opened, regular

#: Says that the format is to be recognised.
AUTO = "auto"

COCO, PICTOGRAPH, VOC, YOLO = "coco", "pictograph", "pascal_voc", "yolo"

#: Files of one suffix that are looked into.
_SAMPLE = 20
#: Bytes of a file that are looked at, from its start and from its end.
_LOOK = 1024 * 1024
_SUFFIXES = frozenset((".json", ".xml", ".txt", ".yaml", ".yml", ".csv"))
#: Lines of a label file that are looked at.
_LINES = 100
_NAMES = re.compile(rb"^\s*[\"']?names[\"']?\s*:", re.MULTILINE)
_EMPTY_ARRAY = re.compile(rb"\s*\[\s*\]\s*")
_ROOT = re.compile(rb"<(?:[A-Za-z][\w.-]*:)?([A-Za-z]\w*)")
#: Bytes of byte order marks.
_MARKS = b"\xef\xbb\xbf\xff\xfe"
_ONE_FILE = dict.fromkeys((".names", ".labels", ".data", ".txt", ".yaml", ".yml"), YOLO)
#: Formats that are not read, with keys of their JSON that no other has together.
_OTHERS = (
    ("LabelMe", (b'"shapes"', b'"imagePath"')),
    ("Darwin", (b'"item"', b'"annotations"', b'"slots"')),
    ("Datumaro", (b'"items"', b'"categories"', b'"infos"')),
    ("CreateML", (b'"imagefilename"',)),
    ("CreateML", (b'"image"', b'"annotations"', b'"coordinates"')),
    ("VGG Image Annotator", (b'"_via_settings"',)),
    ("VGG Image Annotator", (b'"regions"', b'"shape_attributes"')),
    ("Label Studio JSON", (b'"data"', b'"annotations"', b'"result"')),
    ("Label Studio JSON", (b'"data"', b'"annotations"', b'"file_upload"')),
    ("Label Studio JSON", (b'"annotator"', b'"annotation_id"')),
    ("Supervisely", (b'"objects"', b'"classTitle"')),
    ("Supervisely", (b'"objects"', b'"tags"', b'"size"')),
    ("Scalabel or BDD100K", (b'"labels"', b'"box2d"')),
    ("COCO results, which list no images", (b'"image_id"', b'"category_id"', b'"score"')),
)
#: Formats that are not read, with a line of their text files.
_OTHER_LINES = (
    ("DOTA", re.compile(rb"(?:[-+.\d]+[ \t]+){8}[^\s\d]\S*[ \t]+\d")),
    ("KITTI", re.compile(rb"[A-Za-z]\S*(?:[ \t]+[-+.\de]+){14}")),
    ("VisDrone or MOTChallenge", re.compile(rb"\d+(?:,-?[.\d]+){7,9},?[ \t]*\r?$", re.MULTILINE)),
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A format, and what it was recognised by."""

    format: str
    why: str


def recognised(annotations: Path) -> Recognised:
    """The format of a dataset.

    Args:
        annotations: its annotation file or folder.

    Raises:
        ImportFailed: nothing is recognised, or more than one format.
    """
    around = Surroundings()
    if annotations.is_dir():
        files = [
            (annotations / where, where) for where in files_below(annotations, _SUFFIXES, around)
        ]
        found = _of_files(files)
    elif annotations.exists():
        try:
            regular(annotations)
        except OSError as error:
            raise ImportFailed(f"{annotations} cannot be read: {error.strerror}.") from None
        suffix = annotations.suffix.lower()
        if zipfile.is_zipfile(annotations):
            raise ImportFailed(f"{annotations} is a ZIP archive; unpack it and give its folder.")
        found = {_ONE_FILE[suffix]: annotations.name} if suffix in _ONE_FILE else {}
        files = [(annotations, annotations.name)]
        found = found or _of_files(files)
    else:
        raise ImportFailed(f"{annotations} does not exist; give the annotations of the images.")
    known = {name: why for name, why in found.items() if name in (COCO, PICTOGRAPH, VOC, YOLO)}
    if len(known) == 1:
        ((name, why),) = known.items()
        return Recognised(name, why)
    if known:
        names = " or ".join(f"{name} ({why})" for name, why in known.items())
        raise ImportFailed(f"{annotations} may be {names}; give --format.")
    if found:
        ((name, why), *_) = found.items()
        raise ImportFailed(f"{annotations} looks like {name} ({why}), which is not read.")
    causes = [f"{issue.item} {issue.message}" for issue in around.issues] or _broken_json(files)
    unread = "".join(f" {cause}." for cause in causes[:1])
    raise ImportFailed(
        f"The format of {annotations} was not recognised; give --format and the folder or file of "
        f"the annotations.{unread}"
    )


def _of_files(files: list[tuple[Path, str]]) -> dict[str, str]:
    """What files with their names look like, each format with the first file that does."""
    found: dict[str, str] = {}
    looked: Counter[str] = Counter()
    for file, where in sorted(files, key=lambda row: _rank(row[1])):
        suffix = splitext(where)[1].lower()
        if looked[suffix] >= _SAMPLE:
            continue
        looked[suffix] += 1
        try:
            content = _content(file)
        except OSError:
            continue
        if name := _format_of(suffix, where, content):
            found.setdefault(name, where)
    if COCO in found or (PICTOGRAPH in found and basename(found[PICTOGRAPH]) == "dataset.json"):
        # JSON files of other tools beside the document of all images.
        others = {name for name, _ in _OTHERS}
        found = {name: why for name, why in found.items() if name not in others}
    if COCO in found and PICTOGRAPH in found and basename(found[PICTOGRAPH]) != "dataset.json":
        del found[PICTOGRAPH]
    return found


def _broken_json(files: list[tuple[Path, str]]) -> list[str]:
    """What is wrong with the first of the JSON files that is not readable."""
    found = [row for row in files if splitext(row[1])[1].lower() == ".json"]
    for file, where in sorted(found, key=lambda row: _rank(row[1]))[:_SAMPLE]:
        try:
            with opened(file) as looked:
                content = looked.read(_LOOK + 1)
        except OSError as error:
            return [f"{where} cannot be read: {error.strerror}"]
        if not content.strip():
            return [f"{where} is empty"]
        if not content.strip(b"\0"):
            return [f"{where} holds nothing but zeros: it was not written to its end"]
        if problem := _json_problem(content):
            return [f"{where} {problem}"]
    return []


def _json_problem(content: bytes) -> str | None:
    """Why the begin of a file is not that of JSON; None: it is, or nobody can tell."""
    is_whole = len(content) <= _LOOK
    try:
        text = content.decode(json.detect_encoding(content)).lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        # A begin may end within a character.
        return "is not JSON in UTF-8; save it as UTF-8" if is_whole else None
    if text and text[0] not in "[{":
        return f"is no JSON: it begins with {shown(text[:20])}"
    if not is_whole:
        return None
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"is not readable JSON: {error.msg} in line {error.lineno}"
    except RecursionError:
        return "is not read: its lists and objects are nested too deep"
    return None


def _rank(where: str) -> tuple[bool, bool, str]:
    """What is about a whole dataset comes before the files of single images, and last what no
    reader takes where there is anything else."""
    name = basename(where)
    is_whole = name.startswith(("dataset.", "data.", "_annotations", "instances_"))
    return name.startswith(OF_OTHER_TASKS), not is_whole, where


def _content(file: Path) -> bytes:
    size = regular(file).st_size
    with opened(file) as looked:
        start = looked.read(_LOOK)
        if size > 2 * _LOOK:
            looked.seek(size - _LOOK)
        content = start + looked.read(_LOOK)
    # UTF-16 and UTF-32 are looked at as if they were ASCII.
    return content.replace(b"\0", b"").lstrip(_MARKS)


def _format_of(suffix: str, where: str, content: bytes) -> str | None:
    if suffix == ".json":
        return _of_json(where, content)
    if suffix == ".xml":
        root = _root(content)
        if root.lower() == b"annotation":
            return VOC
        return "CVAT for images" if root == b"annotations" else None
    if suffix == ".txt":
        return _of_text(content)
    if suffix == ".csv":
        return "CSV"
    return YOLO if _NAMES.search(content) else None


def _of_json(where: str, content: bytes) -> str | None:
    def has(*keys: bytes) -> bool:
        return all(key in content for key in keys)

    if basename(where) == "manifest.json":
        return None
    if basename(where) == "dataset.json" and has(b'"classes"'):
        return PICTOGRAPH
    # Of a large document only the start and the end are seen.
    if has(b'"images"') and any(map(has, (b'"categories"', b'"annotations"', b'"file_name"'))):
        return COCO
    for name, keys in _OTHERS:
        if has(*keys):
            return name
    if has(b'"categories"', b'"annotations"'):
        return COCO
    is_array = content.lstrip()[:1] == b"["
    if has(b'"annotations"') or (is_array and (has(b'"name"') or _EMPTY_ARRAY.fullmatch(content))):
        return PICTOGRAPH
    return None


def _of_text(content: bytes) -> str | None:
    """What the first lines of a text are: an object of YOLO says that it is a label file."""
    begin = b"".join(content.splitlines(keepends=True)[:_LINES])
    for name, line in _OTHER_LINES:
        if line.match(begin) or (name == "DOTA" and begin.startswith(b"imagesource:")):
            return name
    rows = split_lines(begin.decode(errors="replace"))
    return YOLO if any(is_row(row) and number_of(row[0]).is_integer() for row in rows) else None


def _root(content: bytes) -> bytes:
    """The name of the first element of XML, without its namespace; empty: there is none."""
    found = _ROOT.search(content)
    return found[1] if found else b""
