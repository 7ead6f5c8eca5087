"""Where the issues of an import go: the first few of each reason are shown, all are reported."""

from collections import Counter
from collections.abc import Callable
from typing import IO

import orjson

from services.formats.common.source import ImportIssue

#: Issues of one reason that are shown.
FEW = 5


class IssueLog:
    """Takes every issue as it comes."""

    def __init__(self, show: Callable[[str], None], report: IO[bytes] | None = None) -> None:
        """Args:
        show: shows a line to people.
        report: gets all of them as JSON lines.
        """
        self._show = show
        self._report = report
        self._shown: Counter[str] = Counter()
        #: How many were not shown.
        self.hidden = 0

    def take(self, issue: ImportIssue) -> None:
        """Shows the issue, where few of its kind were shown, and reports it."""
        if self._report:
            row = {
                "reason": issue.reason,
                "item": _encodable(issue.item),
                "message": _encodable(issue.message),
                "images": issue.images,
                "annotations": issue.annotations,
                "changed": issue.changed,
            }
            self._report.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        if self._shown[issue.reason] < FEW:
            self._shown[issue.reason] += 1
            self._show(f"{issue.reason} {issue.item}: {issue.message}")
        else:
            self.hidden += 1


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
