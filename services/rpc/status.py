"""What a call carries besides its messages: metadata, and the status that tells of an error."""

from itertools import islice
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from services.errors import (
    DOMAIN,
    AlreadyExists,
    CartoucheError,
    Conflict,
    DiskFull,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WrongState,
)

API_KEY = "x-api-key"
REQUEST_ID = "x-request-id"
STATUS_DETAILS = "grpc-status-details-bin"
KEY_ROLE = "x-api-key-role"
RATE_LIMIT = "x-ratelimit-limit"
RATE_LIMIT_REMAINING = "x-ratelimit-remaining"
RATE_LIMIT_RESET = "x-ratelimit-reset"

#: Bytes of trailing metadata. gRPC clients take 8 KiB of it by default, other entries included.
_MAX_TRAILING = 7_000
#: Bytes of a value of the metadata: those that the protos allow for a name.
_MAX_TOLD = 400
#: No text is cut to fewer bytes.
_LEAST_ROOM = 20
#: Wrong fields, and values of the metadata, that are told.
_MOST = 20
#: What stays as it is in a message: printable ASCII but the percent sign.
_PLAIN = "".join(map(chr, range(32, 127))).replace("%", "")

Metadata = tuple[tuple[str, str | bytes], ...]
#: Code, message, and trailing metadata with the details.
Failure = tuple[grpc.StatusCode, str, Metadata]

_CODES: dict[type[CartoucheError], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    Conflict: grpc.StatusCode.ABORTED,
    RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    DiskFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
}


def rate_limit_metadata(limit: object, remaining: object, reset: object) -> Metadata:
    """What a key may still do, as every answer to a limited key says it."""
    return (
        (RATE_LIMIT, str(limit)),
        (RATE_LIMIT_REMAINING, str(remaining)),
        (RATE_LIMIT_RESET, str(reset)),
    )


def failure_of(error: CartoucheError, request_id: str) -> Failure:
    """An error of the domain as gRPC sends it, its texts cut where they would not arrive."""
    room = _MAX_TRAILING
    while True:
        code, message, trailing = _failure(error, request_id, room)
        if _size(message, trailing) <= _MAX_TRAILING or room < _LEAST_ROOM:
            return code, message, trailing
        room = room * 3 // 4


def _failure(error: CartoucheError, request_id: str, room: int) -> Failure:
    """The same with no text of more than `room` bytes."""
    code, message = _CODES[type(error)], _cut(error.message, room)
    told = {
        _cut(name, room): _cut(value, min(room, _MAX_TOLD))
        for name, value in islice(error.metadata.items(), _MOST)
    }
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=told),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, Invalid):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=_cut(name, room), description=_cut(text, room)
                    )
                    for name, text in islice(error.fields.items(), _MOST)
                ]
            )
        )
    if isinstance(error, RateLimited | QuotaExceeded | Overloaded | Unavailable):
        seconds = int(error.metadata.get("retry_after", "1"))
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds)))
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    trailing: Metadata = ((STATUS_DETAILS, status.SerializeToString()),)
    if isinstance(error, RateLimited):
        trailing += rate_limit_metadata(
            *(error.metadata[k] for k in ("limit", "remaining", "reset"))
        )
    return code, message, trailing


def _cut(text: str, room: int) -> str:
    data = text.encode()
    return text if len(data) <= room else data[:room].decode(errors="ignore") + "…"


def _size(message: str, trailing: Metadata) -> int:
    """Bytes on the wire: the message is percent-encoded, binary values are in base64."""
    values = (len(v) * 4 // 3 if isinstance(v, bytes) else len(v) for _, v in trailing)
    return len(quote(message, safe=_PLAIN)) + sum(values)


def internal_failure(request_id: str) -> Failure:
    """What a caller hears of an error of ours."""
    message = f"Something went wrong on our side; quote the request id {request_id}."
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=message)
    return grpc.StatusCode.INTERNAL, message, ((STATUS_DETAILS, status.SerializeToString()),)
