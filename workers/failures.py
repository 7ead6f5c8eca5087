"""How a step can end other than well, and who is to blame: the one place that tells."""

import errno
from enum import Enum, auto

from services.database.failures import is_of_another_schema
from services.errors import Unavailable
from services.exports.model import ErrorCode, Setback
from services.storage import StorageError, StorageMisconfigured, StorageUnavailable

#: Of this machine: no space, no quota, a read-only disk, no more open files.
_MACHINE = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)


class PermanentFailure(Exception):
    """Trying again would change nothing; the message names the cause and what to do."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class ImageUnusable(PermanentFailure):
    """The bytes of an image, which once had this SHA-256, are missing or others."""

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(ErrorCode.image_unusable, message)
        self.sha256 = sha256


class NewerWork(Exception):
    """Another worker wrote what this version does not know: others take the step."""


class OtherMaker(Exception):
    """The export was begun by a worker that makes other bytes of it: mixed, they would depend on
    who built what. Such a worker may come; after so many `tries` it is not waited for."""

    def __init__(self, begun: str, ours: str, tries: int) -> None:
        super().__init__(f"the export was begun with {begun}; this worker has {ours}")
        self.tries = tries


class Blame(Enum):
    """Who is to blame for a failure, and so what comes next."""

    #: What was asked for: the export fails at once, with a sentence that names it.
    data = auto()
    #: Nobody; it passes: tried again with growing pauses until the export's deadline.
    passing = auto()
    #: This worker: it gives everything back, and takes no step until it can work again.
    unfit_worker = auto()
    #: The step itself, which takes more memory than there is: tried again alone, a few times.
    poison = auto()
    #: An error of our own making: tried again, but not for long.
    ours = auto()


def setback(error: Exception) -> Setback:
    """What a passing failure is called, where the work is tried again."""
    match error:
        case StorageError():
            return Setback.store_unavailable
        case Unavailable():
            return Setback.database_unavailable
        case OtherMaker() | NewerWork():
            return Setback.worker_missing
    return Setback.internal


def blame(error: Exception) -> Blame:
    """Who is to blame for what a step raised."""
    match error:
        case PermanentFailure():
            return Blame.data
        case StorageUnavailable() | Unavailable() | OtherMaker() | NewerWork():
            return Blame.passing
        case StorageMisconfigured():
            return Blame.unfit_worker
        case StorageError():
            return Blame.ours
        case OSError() if error.errno in _MACHINE:
            return Blame.unfit_worker
        case MemoryError():
            return Blame.poison
    return Blame.unfit_worker if is_of_another_schema(error) else Blame.ours
