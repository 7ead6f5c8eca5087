"""The words that tools have for the splits of a dataset."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from services.catalog.model import SPLITS
from services.formats.common.source import ImportIssue

#: Each with the split that it means; `train` comes before `val`, and that before `test`.
SPLIT_WORDS = {
    **{name: name for name in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}


#: The reason that names splits of folders.
SPLITS_BY_FOLDER = "SPLITS_BY_FOLDER"
_DIGITS = re.compile(r"\d+$")


def splits_by_folder(paths: Iterable[str]) -> dict[str, str]:
    """The splits that the folders of images are named like, by path. None where not two of them
    differ, as one such name may mean anything."""
    named = ((path, split_of_folders(path)) for path in paths)
    found = {path: split for path, split in named if split}
    return found if len(set(found.values())) > 1 else {}


def split_of_folders(path: str) -> str | None:
    """The split that the outermost of a path's folders that are named like one is named like,
    also with a year behind (`train2017`); None: none of them is."""
    words = (_DIGITS.sub("", folder) for folder in path.split("/")[:-1])
    return next(filter(None, map(split_named, words)), None)


def named_by_folder(splits: Mapping[str, str], root: object) -> list[ImportIssue]:
    """Says that splits were taken from folders below the folder `root`, where some were."""
    if not splits:
        return []
    counts = Counter(splits.values())
    said = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if counts[split])
    message = f"no list says the splits; folders named like splits do: {said}"
    return [ImportIssue(str(root), SPLITS_BY_FOLDER, message)]


def split_named(word: str) -> str | None:
    """The split that a word means, in any case; None: it means none."""
    return SPLIT_WORDS.get(word.strip().lower())
