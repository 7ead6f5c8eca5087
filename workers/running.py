"""Running a step under its claim, and taking down in the record how it ended.

Retries, pauses and ends belong to the record, so nothing here raises for them.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from dramatiq.threading import Interrupt

from services.catalog.content import forget_content
from services.errors import Unavailable
from services.exports import claims, endings, progress, removal
from services.exports.claims import Claim, ExportClaim, SegmentClaim
from services.exports.model import Step, archive_key
from services.storage import (
    StorageError,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)
from workers import finish, plan, segment
from workers.context import WorkerContext
from workers.failures import ImageUnusable, PermanentFailure
from workers.leases import ClaimLost, Held
from workers.staging import discard_stage

logger = logging.getLogger(__name__)

#: Errors of our own making are tried again, but not for long.
_MAX_SURPRISES = 3
#: How long the record is asked again for a claim, or to take down how a step ended.
_INSIST = 30.0
#: Seconds before a removal looks again whether everybody has left.
_REMOVAL_PAUSE = 1.0

T = TypeVar("T")


class _Surprise(Exception):
    """An error of our own making; its text is for the log, not for callers."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"an internal error ({type(cause).__name__}), which is in the log")


def run_step(context: WorkerContext, claim: Claim) -> None:
    """Does what was claimed."""
    if isinstance(claim, SegmentClaim):
        _guarded(context, claim, partial(_build, context, claim))
    elif claim.step is Step.plan:
        _guarded(context, claim, partial(_plan, context, claim))
    elif claim.step is Step.finish:
        _guarded(context, claim, partial(_finish, context, claim))
    else:
        _remove(context, claim)


def _plan(context: WorkerContext, claim: ExportClaim, held: Held) -> None:
    """Freezes an export; builds it at once where it is small."""
    planned = plan.plan(context, held, claim)
    if isinstance(planned, plan.SmallPlan):
        completion = finish.build_small(context, held, planned.claim, planned.blocks)
        _complete(context, claim, completion)
        return
    recorded = progress.export_planned(
        context.database,
        claim,
        segments=planned.segments,
        upload_id=planned.upload_id,
        snapshot=planned.snapshot,
        image_count=planned.image_count,
        annotation_count=planned.annotation_count,
    )
    if not recorded:
        context.store.abort_upload(
            archive_key(claim.organization_id, claim.export_id), planned.upload_id
        )
        raise ClaimLost(claim.export_id)


def _build(context: WorkerContext, claim: SegmentClaim, held: Held) -> None:
    result = segment.build_segment(context, held, claim)
    # A segment that is built is not built again because the database is away for a moment.
    counted = _insist(partial(progress.segment_done, context.database, claim, result))
    if counted is progress.Counted.lost:
        raise ClaimLost(claim.export_id)


def _finish(context: WorkerContext, claim: ExportClaim, held: Held) -> None:
    _complete(context, claim, finish.finish(context, held, claim))


def _complete(context: WorkerContext, claim: ExportClaim, completion: endings.Completion) -> None:
    if not endings.complete(context.database, claim, completion, context.settings.retention):
        raise ClaimLost(claim.export_id)
    logger.info(
        "export completed",
        extra={
            "export_id": claim.export_id,
            "image_count": completion.image_count,
            "annotation_count": completion.annotation_count,
            "file_size": completion.file_size,
        },
    )


def _remove(context: WorkerContext, claim: ExportClaim) -> None:
    """Clears the store after an export that was deleted or has ended."""
    with context.leases.hold(claim):
        try:
            if removal.is_busy(context.database, claim):
                _insist(partial(claims.postpone, context.database, claim, _REMOVAL_PAUSE))
            else:
                removal.remove_objects(context.database, context.store, claim)
        except (StorageError, Unavailable) as error:
            pause = _insist(partial(claims.postpone, context.database, claim))
            logger.warning(
                "objects were not removed; it is tried again",
                extra={**_about(claim), "error": str(error), "pause_seconds": pause},
            )
        except Interrupt:
            _insist(partial(claims.release, context.database, claim))
            raise
        except Exception:
            _insist(partial(claims.postpone, context.database, claim))
            logger.exception("a removal failed", extra=_about(claim))


def _guarded(context: WorkerContext, claim: Claim, step: Callable[[Held], None]) -> None:
    """Runs a step under its claim, and takes down how it ended."""
    if claim.lost >= claims.MAX_LOST:
        _fail(
            context,
            claim,
            f"The export was given up: {claim.lost} workers died while they worked on it, most "
            "likely out of memory. Export fewer images at once, or give the workers more memory.",
        )
        return
    with context.leases.hold(claim) as held:
        try:
            step(held)
        except ClaimLost:
            logger.info("claim lost", extra=_about(claim))
            _discard(context, claim)
            _insist(partial(claims.abandon, context.database, claim))
        except ImageUnusable as error:
            # Else an import would take the bytes for stored, and mend nothing.
            _insist(partial(forget_content, context.database, claim.organization_id, error.sha256))
            _fail(context, claim, str(error))
        except PermanentFailure as error:
            _fail(context, claim, str(error))
        except StorageRefused as error:
            _fail(context, claim, f"The object store refused the work: {error}")
        except UploadNotFound:
            _restart(context, claim)
        except (StorageUnavailable, Unavailable) as error:
            _postpone(context, claim, error, claims.MAX_FAILURES)
        except Interrupt:
            # The worker shuts down, or the time limit is over.
            _insist(partial(claims.release, context.database, claim))
            raise
        except Exception as error:
            logger.exception("a step failed", extra=_about(claim))
            _postpone(context, claim, _Surprise(error), _MAX_SURPRISES)


def _discard(context: WorkerContext, claim: Claim) -> None:
    """Removes what a lost claim staged; the export, and its clearing up, may be over already."""
    try:
        # An answer that was lost can look like a lost claim.
        if isinstance(claim, ExportClaim) or not progress.is_recorded(context.database, claim):
            discard_stage(context.store, claim)
    except (StorageError, Unavailable) as error:
        logger.warning(
            "what a lost claim staged was not removed", extra={**_about(claim), "error": str(error)}
        )


def _postpone(context: WorkerContext, claim: Claim, error: Exception, most: int) -> None:
    if claim.failures >= most:
        _fail(
            context,
            claim,
            f"The export was given up after {claim.failures + 1} attempts, the last of which "
            f"ended so: {error}. Create the export again once that is mended.",
        )
        return
    pause = _insist(partial(claims.postpone, context.database, claim))
    logger.warning(
        "a step is tried again",
        extra={**_about(claim), "error": str(error), "pause_seconds": pause},
    )


def _fail(context: WorkerContext, claim: Claim, message: str) -> None:
    failed = _insist(partial(endings.fail_claimed, context.database, claim, message))
    if isinstance(claim, SegmentClaim):
        _insist(partial(claims.abandon, context.database, claim))
    if failed:
        logger.warning("export failed", extra={**_about(claim), "error_message": message})


def _restart(context: WorkerContext, claim: Claim) -> None:
    """The store forgot the upload: the archive begins again, the snapshot stays."""
    export = _export_of(claim)
    assert export.upload_id is not None
    key = archive_key(export.organization_id, export.export_id)
    try:
        upload_id = context.store.create_upload(key)
        restarted = endings.restart_archive(context.database, claim, export.upload_id, upload_id)
        if not restarted:
            context.store.abort_upload(key, upload_id)
            _insist(partial(claims.abandon, context.database, claim))
            return
    except (StorageError, Unavailable) as error:
        _postpone(context, claim, error, claims.MAX_FAILURES)
        return
    logger.warning("the store forgot the upload; the archive begins again", extra=_about(claim))


def _insist(record: Callable[[], T]) -> T | None:
    """Asks the record or takes something down in it, for a while even if the database is away.

    None: it stayed away; the lease runs out and another worker takes over.
    """
    until = time.monotonic() + _INSIST
    while True:
        try:
            return record()
        except Unavailable:
            if time.monotonic() > until:
                return None
            time.sleep(0.5)


def _export_of(claim: Claim) -> ExportClaim:
    return claim.export if isinstance(claim, SegmentClaim) else claim


def _about(claim: Claim) -> dict[str, Any]:
    about: dict[str, Any] = {"export_id": claim.export_id, "attempt": claim.attempt}
    if isinstance(claim, SegmentClaim):
        about["segment"] = claim.number
    return about
