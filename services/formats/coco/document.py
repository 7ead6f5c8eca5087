"""One COCO document, as it was read."""

from dataclasses import dataclass, field
from typing import Any

from services.formats.common.finder import SourceFile


@dataclass(slots=True)
class CocoDocument:
    """A document whose lists are lists; what their rows are is not yet known."""

    file: SourceFile
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]
    #: What else stands at the top.
    rest: dict[str, Any] = field(default_factory=dict)
    #: What its name or folder says.
    split: str | None = None

    def __str__(self) -> str:
        return str(self.file)
