"""Running a step under its claim, and taking down in the record how it ended.

Retries, pauses and ends belong to the record, so nothing here raises for them.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from dramatiq.threading import Interrupt

from services import logs, metrics, tracing
from services.allocator import trim
from services.catalog.content import forget_content
from services.errors import Unavailable
from services.exports import claims, endings, progress, removal
from services.exports.claims import Claim, ExportClaim, SegmentClaim
from services.exports.endings import Failure, Keeping
from services.exports.model import ErrorCode, Setback, Step, archive_key
from services.storage import StorageError, UploadNotFound
from workers import finish, plan, segment
from workers.budget import STEP, Share, needs
from workers.context import WorkerContext
from workers.failures import Blame, ImageUnusable, OtherMaker, PermanentFailure, blame, setback
from workers.leases import ClaimLost, Held
from workers.proofreading import ArchiveDamaged
from workers.segment_manifest import largest_of
from workers.staging import discard_stage
from workers.versions import made_with

logger = logging.getLogger(__name__)

#: A step that failed this often by errors of our own ends the export.
_MAX_ERRORS = 3
#: A step that killed so many processes of its own ends the export.
MAX_LOST = 3
#: Seconds that the record is asked again to take down how a step ended, and to take a claim back
#: from a worker that shuts down.
_INSIST = 30.0
_FAREWELL = 3.0
#: Seconds before a removal looks again whether everybody has left.
_REMOVAL_PAUSE = 1.0

T = TypeVar("T")


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


def insist(record: Callable[[], T], seconds: float = _INSIST) -> T | None:
    """Asks the record or takes something down in it, for a while even if the database is away.

    None: it stayed away; the lease runs out and another worker takes over.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return record()
        except Unavailable:
            if time.monotonic() > until:
                return None
            time.sleep(0.5)


@contextmanager
def given_back(context: WorkerContext, claim: Claim) -> Iterator[None]:
    """Gives a claim back where the block is interrupted, wherever it is: the worker shuts down, or
    the time limit is over."""
    try:
        yield
    except Interrupt:
        count(claim, "released")
        insist(partial(claims.release, context.database, claim), _FAREWELL)
        raise


@contextmanager
def traced(claim: Claim, traceparent: str) -> Iterator[None]:
    """Every line of the block is of this claim, and a span of it is in the trace of its export."""
    attributes: dict[str, tracing.Value] = {
        "cartouche.export.id": claim.export_id,
        "cartouche.attempt": claim.attempt,
    }
    if isinstance(claim, SegmentClaim):
        attributes["cartouche.segment"] = claim.number
    # What is removed may have been asked for a month ago.
    parent = "" if claim.step is Step.remove else traceparent
    with (
        logs.working_on(claim.request_id, about(claim)),
        tracing.span(f"export {claim.step}", "consumer", parent, attributes),
    ):
        yield


def count(claim: Claim, outcome: str) -> None:
    """Counts how a step ended for this worker."""
    tracing.tell("cartouche.outcome", outcome)
    metrics.STEPS.labels(claim.step, outcome).inc()


def about(claim: Claim) -> dict[str, Any]:
    """What a log line says of a claim."""
    said: dict[str, Any] = {"export_id": claim.export_id, "attempt": claim.attempt}
    if isinstance(claim, SegmentClaim):
        said["segment"] = claim.number
    return said


def _plan(context: WorkerContext, claim: ExportClaim, held: Held, share: Share) -> None:
    """Freezes an export; builds it at once where it is small."""
    planned = plan.plan(context, held, share, claim)
    if isinstance(planned, plan.SmallPlan):
        completion = finish.build_small(context, held, planned.claim, planned.blocks)
        _complete(context, claim, completion)
        return
    if isinstance(planned, plan.BuiltText):
        text = planned.results, planned.staging
        _complete(context, claim, finish.store_built(context, held, planned.claim, *text))
        return
    recorded = progress.export_planned(
        context.database,
        claim,
        segments=planned.segments,
        upload_id=planned.upload_id,
        snapshot=planned.snapshot,
        image_count=planned.image_count,
        annotation_count=planned.annotation_count,
        generation=planned.generation,
    )
    if not recorded:
        context.store.abort_upload(
            archive_key(claim.organization_id, claim.export_id), planned.upload_id
        )
        raise ClaimLost(claim.export_id)


def _build(context: WorkerContext, claim: SegmentClaim, held: Held, share: Share) -> None:
    share.resize(needs(largest_of(claim.manifest_key)), held.check)
    result = segment.build_segment(context, held, claim)
    # A segment that is built is not built again because the database is away for a moment.
    counted = insist(partial(progress.segment_done, context.database, claim, result))
    if counted is progress.Counted.lost:
        raise ClaimLost(claim.export_id)
    metrics.SEGMENTS.inc()


def _finish(context: WorkerContext, claim: ExportClaim, held: Held, share: Share) -> None:
    _complete(context, claim, finish.finish(context, held, share, claim))


def _complete(context: WorkerContext, claim: ExportClaim, completion: endings.Completion) -> None:
    if not endings.complete(context.database, claim, completion, Keeping.of(context.settings)):
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
    with context.leases.hold(claim) as held, given_back(context, claim):
        try:
            if removal.is_busy(context.database, claim):
                insist(partial(claims.wait, context.database, claim, _REMOVAL_PAUSE))
                count(claim, "waits")
            else:
                removal.remove_objects(context.database, context.store, claim, held.check)
                count(claim, "done")
        except ClaimLost:
            count(claim, "lost")
            logger.info("claim lost", extra=about(claim))
        except Exception as error:
            # Nothing but time is lost, so it is tried until it succeeds.
            to_blame = blame(error)
            count(claim, to_blame.name)
            if to_blame is Blame.unfit_worker:
                _give_back(context, claim, error)
            else:
                _postpone(context, claim, error)


def _guarded(context: WorkerContext, claim: Claim, step: Callable[[Held, Share], None]) -> None:
    """Runs a step under its claim, with a share of the memory, and takes down how it ended."""
    if claim.lost >= MAX_LOST:
        count(claim, "given_up")
        _fail(context, claim, _killed(claim))
        return
    with context.leases.hold(claim) as held, given_back(context, claim):
        try:
            with context.budget.share(STEP, held.check) as share:
                try:
                    step(held, share)
                finally:
                    if share.size > STEP:
                        # What was parsed is free by now, and goes back before others take it.
                        trim()
            count(claim, "done")
        except ClaimLost:
            count(claim, "lost")
            logger.info("claim lost", extra=about(claim))
            _discard(context, claim)
            insist(partial(claims.abandon, context.database, claim))
        except UploadNotFound:
            count(claim, "upload_lost")
            _restart(context, claim, Setback.upload_lost)
        except Exception as error:
            _take_down(context, claim, error)


def _take_down(context: WorkerContext, claim: Claim, error: Exception) -> None:
    """Records what a failure means, by who is to blame for it."""
    to_blame = blame(error)
    count(claim, to_blame.name)
    match to_blame:
        case Blame.data:
            assert isinstance(error, PermanentFailure)
            if isinstance(error, ImageUnusable):
                # Else an import would take the bytes for stored, and mend nothing.
                forget = partial(
                    forget_content, context.database, claim.organization_id, error.sha256
                )
                insist(forget)
            _fail(context, claim, Failure(error.code, str(error)))
        case Blame.passing:
            if isinstance(error, OtherMaker) and claim.failures >= error.tries:
                logger.warning(
                    "nobody is left who builds as before",
                    extra={**about(claim), "error": str(error)},
                )
                maker = made_with(_export_of(claim).format)
                _restart(context, claim, Setback.worker_missing, maker=maker)
            else:
                _postpone(context, claim, error)
        case Blame.unfit_worker:
            _give_back(context, claim, error)
        case Blame.poison:
            logger.warning("a step found no memory", extra=about(claim))
            insist(partial(claims.count_death, context.database, claim, Setback.out_of_memory))
        case Blame.ours:
            logger.error("a step failed", exc_info=error, extra=about(claim))
            if claim.errors + 1 >= _MAX_ERRORS:
                _fail(context, claim, _internal(claim))
            elif isinstance(error, ArchiveDamaged) and _export_of(claim).upload_id is not None:
                _restart(context, claim, Setback.archive_damaged, errors=1)
            else:
                insist(partial(claims.count_error, context.database, claim))


def _killed(claim: Claim) -> Failure:
    return Failure(
        ErrorCode.worker_lost,
        f"The export was given up: {claim.lost} processes died that worked on nothing else, most "
        "likely because a part of it takes more memory than a worker has. Export fewer images at "
        "once, or without the largest annotations.",
    )


def _internal(claim: Claim) -> Failure:
    return Failure(
        ErrorCode.internal,
        "The export was given up after an error on our side. Retry it; if that fails too, quote "
        f"the request id {claim.request_id or claim.export_id}.",
    )


def _give_back(context: WorkerContext, claim: Claim, error: Exception) -> None:
    """Nobody but this worker is to blame: others take the step."""
    context.fitness.lose(error)
    insist(partial(claims.release, context.database, claim))


def _discard(context: WorkerContext, claim: Claim) -> None:
    """Removes what a lost claim staged; the export, and its clearing up, may be over already."""
    try:
        # An answer that was lost can look like a lost claim.
        if isinstance(claim, ExportClaim) or not progress.is_recorded(context.database, claim):
            discard_stage(context.store, claim)
    except (StorageError, Unavailable) as error:
        logger.warning(
            "what a lost claim staged was not removed", extra={**about(claim), "error": str(error)}
        )


def _postpone(context: WorkerContext, claim: Claim, error: Exception) -> None:
    pause = insist(partial(claims.postpone, context.database, claim, setback(error)))
    logger.warning(
        "a step is tried again",
        extra={**about(claim), "error": str(error), "pause_seconds": pause},
    )


def _fail(context: WorkerContext, claim: Claim, failure: Failure) -> None:
    keeping = Keeping.of(context.settings)
    failed = insist(partial(endings.fail_claimed, context.database, claim, failure, keeping))
    if isinstance(claim, SegmentClaim):
        insist(partial(claims.abandon, context.database, claim))
    if failed:
        logger.warning(
            "export failed",
            extra={
                **about(claim),
                "error_code": failure.code,
                "error_message": failure.message,
            },
        )


def _restart(
    context: WorkerContext,
    claim: Claim,
    why: Setback,
    *,
    errors: int = 0,
    maker: Mapping[str, Any] | None = None,
) -> None:
    """The archive begins again, from the same snapshot: the store forgot the upload or damaged the
    archive, or nobody makes the bytes of its maker any more, and there is another `maker`."""
    export = _export_of(claim)
    assert export.upload_id is not None
    key = archive_key(export.organization_id, export.export_id)
    try:
        upload_id = context.store.create_upload(key)
        restarted = endings.restart_archive(
            context.database,
            claim,
            export.upload_id,
            upload_id,
            why,
            errors=errors,
            snapshot={**export.snapshot, **maker} if maker else None,
        )
        if not restarted:
            context.store.abort_upload(key, upload_id)
            insist(partial(claims.abandon, context.database, claim))
            return
        if maker:
            context.store.abort_upload(key, export.upload_id)
    except Exception as error:
        _take_down(context, claim, error)
        return
    logger.warning("the archive begins again", extra=about(claim))


def _export_of(claim: Claim) -> ExportClaim:
    return claim.export if isinstance(claim, SegmentClaim) else claim
