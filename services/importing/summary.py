"""What became of the images and annotations of an import, so that it adds up."""

from collections import Counter
from dataclasses import dataclass, field

from services.formats.common.source import ImportIssue


@dataclass(slots=True)
class Amount:
    """Images with their annotations."""

    images: int = 0
    annotations: int = 0

    def add(self, images: int, annotations: int) -> None:
        """Counts more of them."""
        self.images += images
        self.annotations += annotations


@dataclass(slots=True)
class ImportSummary:
    """Every image and annotation of an import, once each."""

    created: Amount = field(default_factory=Amount)
    #: Whose annotations, status, split or size is another now.
    updated: Amount = field(default_factory=Amount)
    #: Whose path held other bytes before.
    replaced: Amount = field(default_factory=Amount)
    unchanged: Amount = field(default_factory=Amount)
    #: That the server would be sent, in a dry run.
    ready: Amount = field(default_factory=Amount)
    #: Not in the dataset: left out here, or refused by the server.
    passed_over: Amount = field(default_factory=Amount)
    #: Annotations of those that come in with less of their shape than the source says.
    changed: int = 0
    #: Issues by reason, notes too.
    reasons: Counter[str] = field(default_factory=Counter)
    first_rejection: ImportIssue | None = None

    def name(self, issue: ImportIssue) -> None:
        """Counts an issue, and what is left out with it."""
        self.reasons[issue.reason] += 1
        self.passed_over.add(issue.images, issue.annotations)
        self.changed += issue.changed

    @property
    def taken(self) -> int:
        """Images that are now in the dataset as the source has them, or would be."""
        amounts = (self.created, self.updated, self.replaced, self.unchanged, self.ready)
        return sum(amount.images for amount in amounts)

    @property
    def is_complete(self) -> bool:
        """Whether every image and annotation that is meant for import is in, as a whole."""
        return not (self.passed_over.images or self.passed_over.annotations or self.changed)
