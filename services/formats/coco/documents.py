"""The COCO documents that an import is given: one file, or those below a folder.

Layouts: `annotations/instances_<split>.json` (cocodataset.org, Datumaro, CVAT), and
`<split>/_annotations.coco.json` (Roboflow). A document without `annotations` lists images alone
(`image_info_*.json`).
"""

import json
import re
from posixpath import basename, splitext
from typing import Any

import orjson

from services.formats.coco.document import CocoDocument
from services.formats.coco.poses import join_poses
from services.formats.coco.values import kind
from services.formats.common.finder import Annotations, SourceFile
from services.formats.common.source import ImportFailed, ImportIssue
from services.formats.common.split_names import SPLIT_WORDS, split_named

#: Documents that are read at once; more are the files of a format with one for each image.
_MOST = 100
#: JSON files of an export of this project that are no COCO.
_OTHERS = frozenset(("manifest.json",))
_ROBOFLOW = "_annotations.coco"
#: Words in names of documents that say nothing about a split.
_TASKS = frozenset(
    (
        *("instances", "person", "keypoints", "image", "info"),
        *("annotations", "annotation", "labels", "coco", "default", "dev"),
    )
)
#: Documents about something else than objects, by the begin of their names.
OF_OTHER_TASKS = ("captions_", "panoptic_", "stuff_")
#: Digits of a whole number that is read as one.
_DIGITS = 19


class _Refused(Exception):
    """A file that is no COCO document; the message says why, after its name."""


class _Unreadable(_Refused):
    """A file that may be one, and cannot be read."""


def read_documents(annotations: Annotations) -> tuple[list[CocoDocument], list[ImportIssue]]:
    """The documents, and the files that are none although they look like it.

    Raises:
        ImportFailed: there is no document, or the only one cannot be read.
    """
    documents: list[CocoDocument] = []
    refused: list[tuple[SourceFile, _Refused]] = []
    files = _files(annotations)
    for file in files:
        try:
            documents.append(_document(file))
        except _Refused as error:
            refused.append((file, error))
        if len(documents) > _MOST:
            raise _not_found(annotations, len(files))
    if not documents:
        if not 0 < len(refused) <= _MOST:
            raise _not_found(annotations, len(refused))
        file, why = refused[0]
        raise ImportFailed(f"{file} {why}.")
    issues = [
        # Nobody knows how many annotations are in it: at least one is left out.
        ImportIssue(file.where, "DOCUMENT_UNREADABLE", str(why), annotations=1)
        if isinstance(why, _Unreadable)
        else ImportIssue(file.where, "DOCUMENT_LEFT_OUT", str(why))
        for file, why in refused
    ]
    if len(documents) > 1:
        issues += _leave_out_other_tasks(documents)
        join_poses(documents)
    _assign_splits(documents)
    return documents, issues


def _files(annotations: Annotations) -> list[SourceFile]:
    """The files that may be documents, those of the folder itself first."""
    if annotations.file:
        return [annotations.file]
    files = [
        file
        for file in annotations.folder.files_below(".json")
        if basename(file.where) not in _OTHERS
    ]
    return sorted(files, key=lambda file: "/" in file.where)


def _not_found(annotations: Annotations, count: int) -> ImportFailed:
    return ImportFailed(
        f"{annotations} must hold a COCO document, or one for each split; "
        f"JSON files found: {count or 'none'}. Give the file itself."
    )


def _document(file: SourceFile) -> CocoDocument:
    try:
        value = _loaded(file.read())
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from None
    if not isinstance(value, dict):
        raise _Refused(
            f"is no COCO document: it is {kind(value)}, and needs to be an object with "
            "`images`, `annotations` and `categories`"
        )
    lists: list[list[Any]] = []
    for key in ("images", "annotations", "categories"):
        rows = value.pop(key, None)
        if not isinstance(rows, list) and (rows is not None or key == "images"):
            raise _Refused(
                f"is no COCO document: `{key}` must be a list at the top, and is {kind(rows)}"
            )
        lists.append(rows or [])
    images, annotations, categories = lists
    if annotations and not categories:
        raise _Refused("has no categories; add a list `categories` with one for each class")
    return CocoDocument(file, images, annotations, categories, value)


def _loaded(content: bytes) -> Any:
    if not content.strip():
        raise _Unreadable("is empty")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    # Python writes NaN and a byte order mark without a word; both are met in the wild, as are
    # UTF-16 and numbers without end.
    try:
        text = content.decode(json.detect_encoding(content))
        return json.loads(text, parse_int=_whole)
    except json.JSONDecodeError as error:
        where = f"in line {error.lineno}, column {error.colno}"
        raise _Unreadable(f"is not JSON: {error.msg} {where}") from None
    except UnicodeDecodeError:
        raise _Unreadable("is not JSON in UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise _Unreadable("is not read: its lists and objects are nested too deep") from None


def _whole(text: str) -> float:
    return int(text) if len(text) <= _DIGITS else float(text)


def _leave_out_other_tasks(documents: list[CocoDocument]) -> list[ImportIssue]:
    others = [d for d in documents if basename(d.file.where).startswith(OF_OTHER_TASKS)]
    if len(others) < len(documents):
        documents[:] = [document for document in documents if document not in others]
        why = "captions, segments of scenes and the like are not read"
        return [ImportIssue(d.file.where, "DOCUMENT_LEFT_OUT", why) for d in others]
    return []


def _assign_splits(documents: list[CocoDocument]) -> None:
    by_folder: dict[int, str] = {}
    for index, document in enumerate(documents):
        stem = splitext(basename(document.file.where))[0]
        folder = split_named(basename(document.file.folder.place))
        words = set(filter(None, re.split(r"[\W\d_]+", stem.lower())))
        said = {SPLIT_WORDS[word] for word in words & SPLIT_WORDS.keys()}
        if words - _TASKS - SPLIT_WORDS.keys():
            continue
        if len(said) == 1:
            (document.split,) = said
        elif not said and folder:
            by_folder[index] = folder
            if stem == _ROBOFLOW:
                document.split = folder
    # The name of a folder alone says little: several of them do.
    if len(set(by_folder.values())) > 1:
        for index, folder in by_folder.items():
            documents[index].split = folder
