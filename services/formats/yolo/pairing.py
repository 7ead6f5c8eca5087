"""Which label file of a YOLO dataset is of which image."""

import re
from collections import defaultdict
from collections.abc import Sequence
from posixpath import basename, splitext
from typing import Literal

from services.catalog.names import folded, has_image_extension
from services.formats.common.annotations import number_of
from services.formats.common.finder import ImageFinder, SourceFile, SourceFolder
from services.formats.common.source import ImportFailed
from services.formats.common.source_files import in_folders_named
from services.formats.yolo.lines import FARTHEST, is_row, lines_of
from services.formats.yolo.names import is_list

#: Words of folders that say of what kind files are, and not which.
_OF_KINDS = frozenset(
    (
        *("images", "image", "img", "imgs", "jpegimages"),
        *("labels", "label", "annotations", "annotation", "txt"),
    )
)
#: What parts the words of a folder, as in `labels_val` and `train-images`.
_BETWEEN = re.compile(r"[-_ .]+")


def pair(images: ImageFinder, root: SourceFolder) -> tuple[dict[str, SourceFile], list[SourceFile]]:
    """Label files by image, and those of no image.

    Args:
        images: all images.
        root: the folder of the annotations.
    """
    texts = [file for file in root.files_below(".txt") if not is_list(file)]
    files = {file.where: file for file in in_folders_named("labels", texts)}
    for file in list(files.values()):
        # Such as `.TXT`, where there is no `.txt`.
        files.setdefault(f"{splitext(file.where)[0]}.txt", file)
    labels: dict[str, SourceFile] = {}
    folder, image_folder = f"{root.place}/", images.folder.place
    for path in images.paths:
        stem = splitext(path)[0]
        image = f"{image_folder}/{stem}"
        options = [
            stem,
            f"labels/{stem}",
            # The last folder of that name, as Ultralytics does.
            "/labels/".join(image.rsplit("/images/", 1)).removeprefix(folder),
            image.removeprefix(folder),
        ]
        if images.find_stem(basename(stem)) == path:
            options.append(basename(stem))
        label = next((f"{option}.txt" for option in options if f"{option}.txt" in files), None)
        if label:
            labels[path] = files[label]
    others = {file.where: file for file in texts if file.where not in files}
    for path in images.paths if others else ():
        # Beside the image, though other labels have folders of their own.
        beside = others.get(f"{image_folder}/{splitext(path)[0]}.txt".removeprefix(folder))
        if beside and path not in labels and _is_label(beside):
            labels[path] = beside
    elsewhere = {where: _has_labels(file) for where, file in others.items()}
    unused = [f for where, f in files.items() if where == f.where]
    # What cannot be read may still be the labels of an image, but need not be any.
    for found in (unused, [file for where, file in others.items() if elsewhere[where] != "none"]):
        used = {label.where for label in labels.values()}
        left = [file for file in found if file.where not in used]
        if left:
            labels |= _pair_by_words(images, [p for p in images.paths if p not in labels], left)
    used = {label.where for label in labels.values()}
    unused += [file for where, file in others.items() if elsewhere[where] == "some"]
    return labels, [file for file in unused if file.where not in used]


def _pair_by_words(
    images: ImageFinder, paths: list[str], files: list[SourceFile]
) -> dict[str, SourceFile]:
    """Labels of images that have none yet: of the same folders but for those that only say what
    is in them, in any case and composition, each the only one."""
    without = frozenset(paths)
    by_words: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_words[_words(splitext(path)[0])].append(path)
    of_words: dict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        # Names of other bytes than UTF-8 are called so among the images, too.
        where = file.where.encode(errors="surrogateescape").decode(errors="backslashreplace")
        stem = splitext(where)[0]
        of_words[_words(splitext(stem)[0] if has_image_extension(stem) else stem)].append(file)
    found: dict[str, SourceFile] = {}
    for words, labels in of_words.items():
        fitting = by_words.get(words, [])
        if not fitting and "/" not in words:
            fitting = [path for path in (images.find_stem(words),) if path in without]
        if len(fitting) == len(labels) == 1:
            ((path,), (label,)) = fitting, labels
            found[path] = label
    return found


def _words(stem: str) -> str:
    *folders, name = folded(stem).split("/")
    # A name without such a word stays as it is.
    told = [
        "-".join(word for word in words if word not in _OF_KINDS)
        if _OF_KINDS.intersection(words := _BETWEEN.split(folder))
        else folder
        for folder in folders
    ]
    return "/".join([*filter(None, told), name])


def _is_label(file: SourceFile) -> bool:
    """Whether a text has rows of objects, and nothing else."""
    try:
        rows = [words for words in lines_of(file) if words]
    except ImportFailed:
        return False
    return bool(rows) and all(map(is_row, rows))


def _has_labels(file: SourceFile) -> Literal["some", "none", "unknown"]:
    """Whether a text outside the folders of labels has rows of objects: class ids, and parts of
    an image's sides, as tables of other numbers are not."""
    try:
        rows = lines_of(file)
    except ImportFailed:
        return "unknown"
    return "some" if any(map(_is_object, rows)) else "none"


def _is_object(words: Sequence[str]) -> bool:
    return (
        is_row(words)
        and words[0].isdecimal()
        and all(abs(number_of(word)) <= FARTHEST for word in words[1:5])
    )
