"""Errors: from google.rpc.Status to HTTP.

A status is recognised by its code and by the (reason, domain) of its ErrorInfo, never by
the text of its message. Only messages of the domain `cartouche` are passed on: they are
written for the caller. How an answer is worded per client is the dialect's affair.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "cartouche"

_DETAILS = "grpc-status-details-bin"
_AGAIN = "Try again in a few seconds."


@dataclass
class Problem(Exception):
    """An HTTP error answer: status, slug, message and details, and headers of its own."""

    status: int
    slug: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.slug}: {self.message}"


#: HTTP status and slug of the errors that the server raises itself (domain `cartouche`).
_OURS: Mapping[grpc.StatusCode, tuple[int, str]] = {
    grpc.StatusCode.UNAUTHENTICATED: (401, "invalid_api_key"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "forbidden"),
    grpc.StatusCode.NOT_FOUND: (404, "not_found"),
    grpc.StatusCode.ALREADY_EXISTS: (409, "conflict"),
    grpc.StatusCode.FAILED_PRECONDITION: (409, "conflict"),
    grpc.StatusCode.ABORTED: (409, "conflict"),
    grpc.StatusCode.INVALID_ARGUMENT: (422, "validation_error"),
    grpc.StatusCode.UNAVAILABLE: (503, "unavailable"),
}

#: The same for a reason that says more than its code.
_OURS_BY_REASON: Mapping[str, tuple[int, str]] = {
    "RATE_LIMITED": (429, "rate_limit_exceeded"),
    "QUOTA_EXCEEDED": (429, "quota_exceeded"),
    "OVERLOADED": (429, "overloaded"),
    "DISK_FULL": (503, "unavailable"),
}

_AWAY = (503, "unavailable", f"The export service cannot be reached at the moment. {_AGAIN}")
#: HTTP status, slug and message of what goes wrong on the way to the server.
_ON_THE_WAY: Mapping[grpc.StatusCode, tuple[int, str, str]] = {
    grpc.StatusCode.UNAVAILABLE: _AWAY,
    # Of a call that reached a server at the moment at which it began to shut down. Nobody else
    # cancels one: a client that goes away ends its request here.
    grpc.StatusCode.CANCELLED: _AWAY,
    # The server sheds load: a limit on calls at once, not on those of one key.
    grpc.StatusCode.RESOURCE_EXHAUSTED: (
        503,
        "unavailable",
        f"The export service is busy at the moment. {_AGAIN}",
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        504,
        "timeout",
        f"The export service did not answer in time. {_AGAIN}",
    ),
}


def from_rpc(error: grpc.aio.AioRpcError, request_id: str) -> Problem:
    """The HTTP error of a failed call."""
    code = error.code()
    info, fields, retry = _details(error.trailing_metadata())
    known = None
    if info is not None and info.domain == DOMAIN:
        known = _OURS_BY_REASON.get(info.reason) or _OURS.get(code)
    if info is None or known is None:
        if code not in _ON_THE_WAY:
            return internal(request_id)
        status, slug, message = _ON_THE_WAY[code]
        return Problem(status, slug, message, headers={"Retry-After": "2"} if status == 503 else {})
    status, slug = known
    details = {name: value for name, value in info.metadata.items() if value}
    problem = Problem(status, slug, error.details() or slug, details)
    if fields:
        problem.details["errors"] = fields
    if status == 401:
        problem.headers["WWW-Authenticate"] = CHALLENGE
    if status in (429, 503):
        seconds = retry if retry is not None else 2
        problem.headers["Retry-After"] = str(seconds)
        problem.details["retry_after"] = seconds
    return problem


CHALLENGE = 'ApiKey realm="cartouche", header="X-API-Key"'


def no_api_key() -> Problem:
    """A request without an API key."""
    return Problem(
        401,
        "invalid_api_key",
        "No API key was sent. Put yours into the X-API-Key header.",
        headers={"WWW-Authenticate": CHALLENGE},
    )


def malformed_api_key() -> Problem:
    """A request whose API key cannot be one."""
    return Problem(
        401,
        "invalid_api_key",
        "The API key in the X-API-Key header is malformed. Keys begin with pk_live_.",
        headers={"WWW-Authenticate": CHALLENGE},
    )


def not_json(reason: str) -> Problem:
    """A body that is no JSON."""
    return Problem(
        400, "bad_request", f"The body is not valid JSON ({reason}). Send a JSON object."
    )


def too_large(limit: int) -> Problem:
    """A body that is larger than `limit` bytes."""
    return Problem(
        413, "payload_too_large", f"The body is too large. Send at most {limit:,} bytes."
    )


def too_slow() -> Problem:
    """A request whose line, headers or body did not come in time."""
    return Problem(408, "timeout", "The request did not come in time. Send it again, at once.")


def target_too_long(limit: int) -> Problem:
    """A request whose path and query are longer than `limit` bytes."""
    return Problem(
        414, "uri_too_long", f"The path is too long. Send at most {limit:,} bytes, query included."
    )


def head_too_large(limit: int) -> Problem:
    """A request whose line and headers are larger than `limit` bytes."""
    return Problem(
        431, "headers_too_large", f"The headers are too large. Send at most {limit:,} bytes."
    )


def no_http() -> Problem:
    """Bytes that are no HTTP request."""
    return Problem(
        400,
        "bad_request",
        "This is no HTTP/1.1 request that can be read. Percent-encode the path, and see that "
        "no header has control characters.",
    )


def too_many_connections() -> Problem:
    """A connection more than can be served."""
    return Problem(
        503,
        "unavailable",
        f"The export service has no connection left. {_AGAIN}",
        headers={"Retry-After": "2"},
    )


def unaddressable() -> Problem:
    """A path at which nothing can ever be."""
    return Problem(
        404,
        "not_found",
        "No export can be at this address. Give the dataset's and the export's name, "
        "percent-encoded, or the export's id.",
    )


def no_such_dataset() -> Problem:
    """There can be no dataset of this name."""
    return Problem(404, "not_found", "No dataset of this name was found. List the datasets.")


def no_such_path() -> Problem:
    """A path that the API does not have."""
    return Problem(404, "not_found", "The API has no such path. /docs lists those it has.")


def method_not_allowed(methods: Sequence[str]) -> Problem:
    """A method that the path does not answer."""
    return Problem(
        405,
        "method_not_allowed",
        f"This path does not answer that method. It answers {', '.join(methods)}.",
        headers={"Allow": ", ".join(methods)},
    )


def internal(request_id: str) -> Problem:
    """Something that should not have happened."""
    return Problem(
        500,
        "internal_error",
        "Something went wrong on our side. If it happens again, report it with the "
        f"request id {request_id}.",
    )


def shutting_down() -> Problem:
    """A request that did not end before the gateway had to."""
    return Problem(
        503,
        "unavailable",
        f"The export service is shutting down. {_AGAIN}",
        headers={"Retry-After": "2"},
    )


def wrong_fields(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """What pydantic found wrong with a body or a query, worded as the server words it; of many
    errors the first."""
    shown = islice(errors, _MOST_FIELDS)
    fields = [{"field": _field(error["loc"]), "message": _wording(error)} for error in shown]
    message = "; ".join(
        f"{item['field']}: {item['message']}" if item["field"] else f"The body {item['message']}"
        for item in fields
    )
    return Problem(422, "validation_error", message, {"errors": fields})


#: Wrong fields that an answer names.
_MOST_FIELDS = 20
_WORDINGS = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "list_type": "must be a list of strings",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    # The only pattern there is.
    "string_pattern_mismatch": "must have no control characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "too_long": "must have at most {max_length} items",
}


def _wording(error: Mapping[str, Any]) -> str:
    wording = _WORDINGS.get(error["type"])
    if wording is None:
        return str(error["msg"])
    return wording.format_map(error.get("ctx") or {})


def _field(location: Sequence[int | str]) -> str:
    """`("query", "limit")` as `limit`, `("class_filter", 0)` as `class_filter[0]`."""
    if location and location[0] in ("query", "header", "path", "body"):
        location = location[1:]
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def _details(
    trailers: Iterable[tuple[str, str | bytes]] | None,
) -> tuple[ErrorInfo | None, list[dict[str, str]], int | None]:
    """ErrorInfo, field violations, and whole seconds to wait, from a status's details."""
    info: ErrorInfo | None = None
    fields: list[dict[str, str]] = []
    retry: int | None = None
    for key, value in trailers or ():
        if key != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            details = Status.FromString(value).details
        except DecodeError:
            continue
        for detail in details:
            if detail.Is(ErrorInfo.DESCRIPTOR):
                info = ErrorInfo()
                detail.Unpack(info)
            elif detail.Is(BadRequest.DESCRIPTOR):
                request = BadRequest()
                detail.Unpack(request)
                fields += [
                    {"field": violation.field, "message": violation.description}
                    for violation in request.field_violations
                ]
            elif detail.Is(RetryInfo.DESCRIPTOR):
                wait = RetryInfo()
                detail.Unpack(wait)
                delay = wait.retry_delay
                retry = max(1, math.ceil(delay.seconds + delay.nanos / 1e9))
    return info, fields, retry
