"""Which split an image belongs to, as lists beside a dataset say it."""

import csv
import io
import json
from pathlib import Path
from posixpath import splitext

from services.catalog.model import SPLITS
from services.formats.common.name_finder import NameFinder
from services.formats.common.plain_values import shown
from services.formats.common.source import ImportFailed, ImportIssue
from services.formats.common.source_files import decoded
from services.formats.common.split_names import SPLIT_WORDS, split_named, split_of_folders
from services.importing.walk import opened


class Splits:
    """Splits by image, named by path, file name or either without its extension."""

    def __init__(self, entries: list[tuple[str, str]]) -> None:
        self.issues: list[ImportIssue] = []
        self._entries = dict.fromkeys(entries)

    def assign(self, paths: list[str], root: str) -> dict[str, str]:
        """The split of each path that has one; names that fit no path become issues.

        Args:
            paths: relative to `root`.
            root: an absolute place.
        """
        finders = NameFinder(paths, root), NameFinder(paths, root, lambda path: splitext(path)[0])
        result: dict[str, str] = {}
        for name, split in self._entries:
            found = next(filter(None, (finder.fitting(name) for finder in finders)), [])
            if len(found) > 1:
                # The list of a split means the image in the folder of that split.
                found = [path for path in found if split_of_folders(path) == split] or found
            if len(found) != 1:
                fits = f"fits {len(found)} images" if found else "fits no image"
                self.issues.append(
                    ImportIssue(name, "SPLIT_WITHOUT_IMAGE", f"stands in {split}, but {fits}")
                )
            elif (first := result.setdefault(found[0], split)) != split:
                message = f"stands in {first} and in {split}; {first} was taken"
                self.issues.append(ImportIssue(found[0], "SPLIT_TWICE", message))
        return result


def read_splits(source: Path) -> Splits:
    """Splits from a folder with train.txt, val.txt or test.txt, each a list of images, or
    from a file: CSV rows of path and split, JSON `{path: split}` or `[{path, split}]`.

    Raises:
        ImportFailed: the source is missing or cannot be read.
    """
    try:
        if source.is_dir():
            return Splits(_from_folder(source))
        text = _text(source)
    except OSError as error:
        raise ImportFailed(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ImportFailed(f"{source} is not UTF-8; save it as UTF-8.") from None
    try:
        entries = _from_json(source, text) if source.suffix == ".json" else _from_csv(text)
    except csv.Error as error:
        raise ImportFailed(f"{source} is not CSV: {error}.") from None
    if not entries:
        raise ImportFailed(f"{source} names no image; give rows of path and split.")
    return Splits([(name, _split(source, word)) for name, word in entries])


def _from_folder(folder: Path) -> list[tuple[str, str]]:
    lists = [(folder / f"{word}.txt", split) for word, split in SPLIT_WORDS.items()]
    found = [(file, split) for file, split in lists if file.is_file()]
    if not found:
        raise ImportFailed(f"{folder} has no train.txt, val.txt or test.txt; give their folder.")
    # `train` first: it wins where an image stands in two lists.
    found.sort(key=lambda entry: SPLITS.index(entry[1]))
    return [
        (line.strip(), split)
        for file, split in found
        for line in _text(file).splitlines()
        if line.strip()
    ]


def _text(file: Path) -> str:
    with opened(file) as content:
        return decoded(content.read())


def _from_json(source: Path, text: str) -> list[tuple[str, str]]:
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            return [(str(path), str(split)) for path, split in value.items() if split is not None]
        return [(str(row["path"]), str(row["split"])) for row in value if row["split"] is not None]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ImportFailed(
            f'{source} must be {{"path": "split"}} or [{{"path": …, "split": …}}].'
        ) from None


def _from_csv(text: str) -> list[tuple[str, str]]:
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if len(row) >= 2]
    if rows and [cell.strip().lower() for cell in rows[0][:2]] == ["path", "split"]:
        rows = rows[1:]
    return [(path, split) for path, split, *_ in rows if split.strip()]


def _split(source: Path, word: str) -> str:
    split = split_named(word)
    if split is None:
        raise ImportFailed(
            f"{source}: {shown(word)} is no split; use {', '.join(SPLITS)} or nothing."
        )
    return split
