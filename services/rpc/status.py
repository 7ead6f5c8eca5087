"""What a call carries besides its messages: metadata, and the status that tells of an error."""

from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from services.errors import (
    DOMAIN,
    AlreadyExists,
    CartoucheError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WrongState,
)

API_KEY = "x-api-key"
REQUEST_ID = "x-request-id"
STATUS_DETAILS = "grpc-status-details-bin"
RATE_LIMIT = "x-ratelimit-limit"
RATE_LIMIT_REMAINING = "x-ratelimit-remaining"
RATE_LIMIT_RESET = "x-ratelimit-reset"

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
    Unavailable: grpc.StatusCode.UNAVAILABLE,
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
    """An error of the domain as gRPC sends it."""
    code = _CODES[type(error)]
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, Invalid):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=name, description=text)
                    for name, text in error.fields.items()
                ]
            )
        )
    if isinstance(error, RateLimited | QuotaExceeded | Unavailable):
        seconds = int(error.metadata.get("retry_after", "1"))
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds)))
    status = status_pb2.Status(code=code.value[0], message=error.message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    trailing: Metadata = ((STATUS_DETAILS, status.SerializeToString()),)
    if isinstance(error, RateLimited):
        trailing += rate_limit_metadata(
            *(error.metadata[k] for k in ("limit", "remaining", "reset"))
        )
    return code, error.message, trailing


def internal_failure(request_id: str) -> Failure:
    """What a caller hears of an error of ours."""
    message = f"Something went wrong on our side; quote the request id {request_id}."
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=message)
    return grpc.StatusCode.INTERNAL, message, ((STATUS_DETAILS, status.SerializeToString()),)
