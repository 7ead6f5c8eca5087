"""What has changed on a page of exports since somebody saw it."""

from dataclasses import dataclass

from services.exports.model import Export, ExportPage


@dataclass(frozen=True, slots=True)
class Difference:
    """Exports that are new on the page or have changed, and ids of those that have left it."""

    exports: tuple[Export, ...]
    gone: tuple[str, ...]


class SeenPage:
    """A page as it was seen last."""

    def __init__(self, page: ExportPage) -> None:
        self._versions = _versions(page)
        self._total = page.total

    def replace(self, page: ExportPage) -> Difference | None:
        """Takes another look for the last one; what is different, None: nothing."""
        versions = _versions(page)
        if versions == self._versions and page.total == self._total:
            return None
        changed = tuple(
            export for export in page.exports if self._versions.get(export.id) != export.version
        )
        gone = tuple(self._versions.keys() - versions.keys())
        self._versions, self._total = versions, page.total
        return Difference(changed, gone)


def _versions(page: ExportPage) -> dict[str, int]:
    return {export.id: export.version for export in page.exports}
