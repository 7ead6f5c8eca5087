"""The words that tools have for the splits of a dataset."""

from services.catalog.model import SPLITS

#: Each with the split that it means; `train` comes before `val`, and that before `test`.
SPLIT_WORDS = {
    **{name: name for name in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
}


def split_named(word: str) -> str | None:
    """The split that a word means, in any case; None: it means none."""
    return SPLIT_WORDS.get(word.strip().lower())
