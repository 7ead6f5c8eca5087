"""What a format could not hold, counted while an archive is written."""

from dataclasses import dataclass, field
from typing import Any

from services.formats.common.losses import Loss

FIRST_IDS = 100


@dataclass(slots=True)
class LossCount:
    """One kind of loss: its code, how often, and the first ids it met."""

    #: Empty where an older Cartouche counted.
    code: str = ""
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

    losses: dict[str, dict[str, LossCount]] = field(default_factory=dict)

    def add(self, loss: Loss, item_id: str, **details: str) -> None:
        """Counts one item; `details` are what the row's sentence leaves open."""
        reason = loss.sentence.format(**details) if details else loss.sentence
        reasons = self.losses.setdefault(loss.kind.value, {})
        found = reasons.get(reason)
        if found is None:
            found = reasons[reason] = LossCount(loss.code)
        found.add(item_id)

    def merge(self, other: "LossReport") -> None:
        """Adds what `other` counted, which comes later in the export's order."""
        for kind, reasons in other.losses.items():
            for reason, loss in reasons.items():
                mine = self.losses.setdefault(kind, {}).setdefault(reason, LossCount())
                mine.code = mine.code or loss.code
                mine.count += loss.count
                mine.ids.extend(loss.ids[: FIRST_IDS - len(mine.ids)])

    def total(self, kind: str) -> int:
        """How many items a kind of loss met, over all reasons."""
        return sum(loss.count for loss in self.losses.get(kind, {}).values())

    def to_json(self) -> dict[str, Any]:
        """Rows by kind, in the order of their reasons."""
        return {
            kind: [
                {"code": loss.code, "reason": reason, "count": loss.count, "ids": loss.ids}
                for reason, loss in sorted(reasons.items())
            ]
            for kind, reasons in sorted(self.losses.items())
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LossReport":
        """The inverse of `to_json`; also of the form that had no codes."""
        return cls(
            {
                kind: {
                    row["reason"]: LossCount(row.get("code", ""), row["count"], list(row["ids"]))
                    for row in rows
                }
                for kind, rows in value.items()
            }
        )
