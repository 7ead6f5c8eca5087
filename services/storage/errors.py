"""What the object store may raise, and which failure of which client becomes what.

Each error that will come again says what to do about it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from minio.error import InvalidResponseError, S3Error, ServerError
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from urllib3.exceptions import HTTPError

#: These pass, whatever status they come with: the store is busy, or a request was spoilt on its
#: way (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
PASSING = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "ContentSHA256Mismatch",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServerNotInitialized",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
        # The disks of MinIO are full, until somebody makes room.
        "XMinioStorageFull",
    }
)
#: The store would refuse any call of this process: its clock, its credentials or its buckets.
MISCONFIGURED = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "InvalidTokenId",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
CREDENTIALS_ADVICE = "check CARTOUCHE_S3_ACCESS_KEY and CARTOUCHE_S3_SECRET_KEY"
ADVICE = {
    "AccessDenied": "allow these credentials the action on the bucket",
    "ExpiredToken": CREDENTIALS_ADVICE,
    "InvalidAccessKeyId": CREDENTIALS_ADVICE,
    "SignatureDoesNotMatch": CREDENTIALS_ADVICE,
    "AuthorizationHeaderMalformed": "check CARTOUCHE_S3_REGION",
    "PermanentRedirect": "check CARTOUCHE_S3_REGION and CARTOUCHE_S3_ENDPOINT",
    "RequestTimeTooSkewed": "set the clocks of this machine and of the store",
    "NoSuchBucket": "create the bucket, or check CARTOUCHE_S3_IMAGES_BUCKET and _EXPORTS_BUCKET",
    "EntityTooSmall": "every part but the last needs at least 5 MiB",
    "EntityTooLarge": "a part holds at most 5 GiB",
    "InvalidPart": "upload the missing or changed part again",
    "XMinioInvalidObjectName": "choose a key without empty, '.' or '..' segments",
}


class StorageError(Exception):
    """Base of what the object store may raise."""


class ObjectNotFound(StorageError):
    """The bucket has no object of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the object store has no object {key!r}")
        self.key = key


class UploadNotFound(StorageError):
    """The store does not know the multipart upload: completed, aborted or forgotten."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"the object store does not know the multipart upload {upload_id!r}")
        self.upload_id = upload_id


class StorageUnavailable(StorageError):
    """The store is away or overloaded for the moment: try again later.

    `code` is the S3 error code, where it answered.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class DamagedOnItsWay(StorageUnavailable):
    """Other bytes arrived than were sent: to be sent, or read, again."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} was damaged on its way between here and the object store")


class StorageRefused(StorageError):
    """The store refuses, and will refuse again: the message says what to do.

    `code` is the S3 error code, such as `AccessDenied`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CopyRefused(StorageError):
    """The store makes no part of another object: that is gone or was replaced, these credentials
    may not read it, or the store copies no parts at all. To be stored in the ordinary way."""


class StorageMisconfigured(StorageRefused):
    """The store would refuse any call of this process, and others of other processes not."""


def failure(
    status: int,
    code: str,
    message: str,
    bucket: str,
    key: str = "",
    upload_id: str = "",
) -> StorageError:
    """The error that an answer of the store stands for."""
    if code == "NoSuchUpload":
        return UploadNotFound(upload_id)
    if code == "NoSuchKey" or (status == 404 and code == ""):
        return ObjectNotFound(key)
    place = f"{bucket}/{key}" if key else bucket
    if code == "" and status == 501:
        code = "NotImplemented"
    if status >= 500 or status in (408, 429) or code in PASSING:
        return StorageUnavailable(
            f"the object store failed on {place}: {status} {code} {message}", code
        )
    if code == "" and status == 403:
        code = "AccessDenied"
    advice = ADVICE.get(code, "see the log of the store")
    refused = StorageMisconfigured if code in MISCONFIGURED else StorageRefused
    return refused(code, f"the object store refuses {place}: {status} {code} {message}: {advice}")


def unreachable(error: Exception) -> StorageUnavailable:
    """The error for a store that no connection reaches."""
    return StorageUnavailable(f"the object store is not reachable: {error}")


def invalid_key(bucket: str, key: str, error: ValueError) -> StorageRefused:
    """The error for a key that the MinIO SDK takes for none."""
    return StorageRefused("InvalidKey", f"{bucket}/{key}: {error}")


@contextmanager
def sdk_errors(bucket: str, key: str = "") -> Iterator[None]:
    """Turns the errors of the MinIO SDK into ours."""
    try:
        yield
    except S3Error as error:
        status = error.response.status if error.response is not None else 400
        raise failure(status, error.code or "", error.message or "", bucket, key) from error
    except ServerError as error:
        raise failure(error.status_code, "", str(error), bucket, key) from error
    except (HTTPError, OSError) as error:
        raise unreachable(error) from error
    except InvalidResponseError as error:
        # rclone sends its errors as text/xml, which the SDK does not read.
        _raise_told(error, 502, bucket, key)
    except ValueError as error:
        raise invalid_key(bucket, key, error) from error


@contextmanager
def reader_errors(bucket: str, key: str) -> Iterator[None]:
    """Turns the errors of obstore into ours."""
    try:
        yield
    except FileNotFoundError as error:
        _raise_told(error, 404, bucket, key)
    except (PermissionDeniedError, UnauthenticatedError) as error:
        _raise_told(error, 403, bucket, key)
    except BaseError as error:
        _raise_told(error, 503, bucket, key)


def _raise_told(error: Exception, status: int, bucket: str, key: str) -> NoReturn:
    """Raises ours for an error of a client that tells status and code in its text only."""
    text = str(error)
    if found := re.search(r"(?:status|Response) code: (\d{3})", text):
        status = int(found[1])
    code = re.search(r"<Code>(\w+)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    raise failure(
        status,
        code[1] if code else "",
        message[1] if message else text.split("\n")[0],
        bucket,
        key,
    ) from error
