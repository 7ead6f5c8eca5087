"""What a format could not hold, counted while an archive is written."""

from dataclasses import dataclass, field
from typing import Any

FIRST_IDS = 100


@dataclass(slots=True)
class Loss:
    """One kind of loss: how often, and the first ids it met."""

    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, item_id: str) -> None:
        self.count += 1
        if len(self.ids) < FIRST_IDS:
            self.ids.append(item_id)


@dataclass(slots=True)
class LossReport:
    """What a format could not hold: per kind (clamped, degraded, dropped, renamed,
    unannotated) and reason, the number of items and the first hundred ids."""

    losses: dict[str, dict[str, Loss]] = field(default_factory=dict)

    def add(self, kind: str, reason: str, item_id: str) -> None:
        """Counts one item; `reason` is a short sentence that a person reads."""
        self.losses.setdefault(kind, {}).setdefault(reason, Loss()).add(item_id)

    def merge(self, other: "LossReport") -> None:
        """Adds what `other` counted, which comes later in the export's order."""
        for kind, reasons in other.losses.items():
            for reason, loss in reasons.items():
                mine = self.losses.setdefault(kind, {}).setdefault(reason, Loss())
                mine.count += loss.count
                mine.ids.extend(loss.ids[: FIRST_IDS - len(mine.ids)])

    def total(self, kind: str) -> int:
        """How many items a kind of loss met, over all reasons."""
        return sum(loss.count for loss in self.losses.get(kind, {}).values())

    def to_json(self) -> dict[str, Any]:
        return {
            kind: [
                {"reason": reason, "count": loss.count, "ids": loss.ids}
                for reason, loss in sorted(reasons.items())
            ]
            for kind, reasons in sorted(self.losses.items())
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LossReport":
        """The inverse of `to_json`."""
        return cls(
            {
                kind: {row["reason"]: Loss(row["count"], list(row["ids"])) for row in rows}
                for kind, rows in value.items()
            }
        )
