"""Who is to blame for what a step raises."""

import errno

import pytest

from services.errors import Unavailable
from services.exports.model import ErrorCode
from services.storage import UploadNotFound
from services.storage.errors import failure, unreachable
from workers.failures import Blame, ImageUnusable, PermanentFailure, blame


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "SlowDown", Blame.passing),
        (500, "InternalError", Blame.passing),
        (502, "", Blame.passing),
        (429, "", Blame.passing),
        (409, "OperationAborted", Blame.passing),
        (409, "ConditionalRequestConflict", Blame.passing),
        (400, "IncompleteBody", Blame.passing),
        (400, "BadDigest", Blame.passing),
        (400, "RequestTimeout", Blame.passing),
        (400, "XMinioStorageFull", Blame.passing),
        (403, "RequestTimeTooSkewed", Blame.unfit_worker),
        (403, "InvalidAccessKeyId", Blame.unfit_worker),
        (403, "SignatureDoesNotMatch", Blame.unfit_worker),
        (403, "AccessDenied", Blame.unfit_worker),
        (403, "", Blame.unfit_worker),
        (400, "ExpiredToken", Blame.unfit_worker),
        (404, "NoSuchBucket", Blame.unfit_worker),
        (400, "EntityTooSmall", Blame.ours),
        (400, "InvalidPart", Blame.ours),
    ],
)
def test_what_the_store_says(status: int, code: str, expected: Blame) -> None:
    assert blame(failure(status, code, "", "bucket", "key")) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermanentFailure(ErrorCode.selection_empty, ""), Blame.data),
        (ImageUnusable("", "a" * 64), Blame.data),
        (unreachable(TimeoutError()), Blame.passing),
        (Unavailable("DATABASE_UNAVAILABLE", "", {}), Blame.passing),
        (OSError(errno.ENOSPC, ""), Blame.unfit_worker),
        (OSError(errno.EROFS, ""), Blame.unfit_worker),
        (OSError(errno.EMFILE, ""), Blame.unfit_worker),
        (MemoryError(), Blame.poison),
        (UploadNotFound("upload"), Blame.ours),
        (ValueError(), Blame.ours),
        (ZeroDivisionError(), Blame.ours),
    ],
)
def test_what_else_goes_wrong(error: Exception, expected: Blame) -> None:
    assert blame(error) is expected
