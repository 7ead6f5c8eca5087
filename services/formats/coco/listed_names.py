"""Which files the names in COCO documents mean, and which names cannot mean the same one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf
from posixpath import join, normpath, splitext

from services.catalog.names import has_image_extension
from services.formats.common.finder import ImageFinder, SourceFolder
from services.formats.common.name_finder import common_parts, parts_of, percent_decoded
from services.formats.common.split_names import split_of_folders


def paths_of(
    names: Iterable[str], images: ImageFinder, beside: SourceFolder, split: str | None = None
) -> dict[str, str | None]:
    """The path of each name; None: it fits no image, or several. One whose folders contradict
    the path gives way to another name that says more of it.

    Args:
        names: of one document.
        images: all images.
        beside: the folder of the document.
        split: of the document: of images of one name it means that in the folder of its split.
    """
    paths = {name: path_of(name, images, beside, split) for name in names}
    roots = {_root_of(name, path) for name, path in paths.items() if path} - {None}
    if len(roots) == 1:
        # Where the others lie is where this one lies, though its name alone fits several.
        (root,) = roots
        for name in (name for name, path in paths.items() if path is None):
            beneath = f"{root}{'/'.join(parts_of(_spelled(name)))}"
            paths[name] = beneath if beneath in images else None
    most: dict[str, int] = {}
    for name, path in paths.items():
        if path is not None:
            most[path] = max(most.get(path, 0), _shared_parts(name, path))
    return {
        name: None if path and _agreement(name, path) < most[path] else path
        for name, path in paths.items()
    }


def contested(
    listings: Sequence[tuple[SourceFolder, dict[str, str | None]]], images: ImageFinder
) -> dict[tuple[str, str], str]:
    """Names of different images that fall on one file, with their paths, and another name of
    that file. A name that is the file's own is none of them.

    Names are of one image where each is the end of the longest, in the same case: `a.jpg` and
    `train/a.jpg` are, `d1/a.jpg` and `d2/a.jpg`, or `a.jpg` and `a.JPG`, are not.

    Args:
        listings: the folder of each document, with the paths of its names.
        images: all images.
    """
    by_path: dict[str, dict[str, list[SourceFolder]]] = defaultdict(dict)
    for folder, paths in listings:
        for name, path in paths.items():
            if path is not None:
                by_path[path].setdefault(name, []).append(folder)
    found: dict[tuple[str, str], str] = {}
    for path, names in by_path.items():
        if len(names) == 1 or _are_of_one(names):
            continue
        place = f"{images.folder.place}/{path}"
        own = [
            name
            for name, folders in names.items()
            if parts_of(name) == path.split("/")
            or any(normpath(join(folder.place, name)) == place for folder in folders)
        ]
        first, second, *_ = [*own, *(name for name in names if name not in own)]
        for name in names.keys() - own:
            found[path, name] = second if name == first else first
    return found


def path_of(name: str, images: ImageFinder, beside: SourceFolder, split: str | None) -> str | None:
    """The path of one name, which may lack the extension, as `paths_of` finds it."""

    def is_of_split(path: str) -> bool:
        return split is not None and split_of_folders(path) == split

    found = images.find(name, beside, is_of_split)
    if found is None and not has_image_extension(name):
        return images.find_stem(name, beside, is_of_split)
    return found


def _root_of(name: str, path: str) -> str | None:
    """What the path has above the whole name; None: it does not end in it."""
    whole = "/".join(parts_of(_spelled(name)))
    return path.removesuffix(whole) if f"/{path}".endswith(f"/{whole}") else None


def _agreement(name: str, path: str) -> float:
    """How many parts a name shares with a path; without end where no part differs."""
    count = _shared_parts(name, path)
    return inf if count in (len(parts_of(_spelled(name))), len(path.split("/"))) else count


def _shared_parts(name: str, path: str) -> int:
    name = _spelled(name)
    return common_parts(name, path if has_image_extension(name) else splitext(path)[0])


def _spelled(name: str) -> str:
    return percent_decoded(name).strip()


def _are_of_one(names: Iterable[str]) -> bool:
    """Whether every name is the end of the longest."""
    spelled = [_spelled(name) for name in names]
    if not all(map(has_image_extension, spelled)):
        spelled = [splitext(name)[0] if has_image_extension(name) else name for name in spelled]
    parts = [parts_of(name) for name in spelled]
    longest = max(parts, key=len)
    return all(part == longest[len(longest) - len(part) :] for part in parts)
