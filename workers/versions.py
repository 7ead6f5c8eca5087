"""What workers of different versions may do on the same export.

Two things differ: what a worker can read, and which bytes it makes of the same snapshot. What it
cannot read it never claims (`WORK_VERSION`); should it meet such a thing all the same, it leaves
it to others. An export is built by workers that make the same bytes, as long as there are any:
the plan writes down what its worker makes them with, and a worker that has something else gives
the step back. Where nobody takes it, the archive begins again from its snapshot with what there
is, so that an upgrade costs work and no export.
"""

import re
from collections.abc import Mapping
from typing import Any

from services.exports.claims import ExportClaim
from services.formats.registry import FORMATS
from services.work_version import WORK_VERSION
from workers.archive.deflate import DEFLATE
from workers.failures import NewerWork, OtherMaker

#: Tries after which a step is taken for one that nobody is left for, with what its export was
#: begun with: about half a minute by workers of the version that comes, and ten minutes by those
#: of the one that goes, so that both do not begin each other's archives again and again.
_TRIES_OF_NEWER = 6
_TRIES_OF_OLDER = 15


def made_with(format_name: str) -> dict[str, Any]:
    """What shapes an archive's bytes beside its snapshot, as the snapshot keeps it."""
    return {"deflate": DEFLATE, "layout_version": FORMATS[format_name].layout_version}


def version_of(claim: ExportClaim) -> int:
    """The version of the work with which an export was planned: what is written for it must have
    the same one, as workers of that version read it."""
    return int(claim.snapshot.get("version", 1))


def check_version(written: Mapping[str, Any], what: str) -> None:
    """Whether this version knows what another worker wrote; what says no version is of 0.1.

    Raises:
        NewerWork: it does not.
    """
    version = written.get("version", 1)
    if version > WORK_VERSION:
        raise NewerWork(f"{what} has version {version}; this worker knows {WORK_VERSION}")


def check_maker(claim: ExportClaim) -> None:
    """To be called before anything of an export is made that other workers may have begun.

    Raises:
        OtherMaker: this worker would make other bytes than the one that froze the snapshot.
        NewerWork: it would not understand them.
    """
    check_version(claim.snapshot, "the snapshot")
    ours = made_with(claim.format)
    # 0.1 did not say what it had.
    begun = {name: claim.snapshot.get(name, value) for name, value in ours.items()}
    if begun != ours:
        tries = _TRIES_OF_NEWER if _order(ours) > _order(begun) else _TRIES_OF_OLDER
        raise OtherMaker(_said(begun), _said(ours), tries)


def _order(maker: Mapping[str, Any]) -> tuple[int, ...]:
    numbers = map(int, re.findall(r"\d+", str(maker["deflate"])))
    return (int(maker["layout_version"]), *numbers)


def _said(maker: Mapping[str, Any]) -> str:
    return f"layout {maker['layout_version']}, {maker['deflate']}"
