"""google.rpc.Status to HTTP, by code and reason."""

import re
from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from pydantic import ValidationError

from gateway import errors, schemas
from gateway.server import rate_limit_headers
from services.errors import DiskFull, Overloaded, QuotaExceeded, RateLimited

Code = grpc.StatusCode


def failed(code: grpc.StatusCode, message: str, *details: Message) -> grpc.aio.AioRpcError:
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, message)


def ours(reason: str, **metadata: str) -> ErrorInfo:
    return ErrorInfo(reason=reason, domain="cartouche", metadata=metadata)


@pytest.mark.parametrize(
    ("code", "reason", "status", "slug"),
    [
        (Code.UNAUTHENTICATED, "API_KEY_MISSING", 401, "invalid_api_key"),
        (Code.UNAUTHENTICATED, "API_KEY_INVALID", 401, "invalid_api_key"),
        (Code.PERMISSION_DENIED, "ROLE_REQUIRED", 403, "forbidden"),
        (Code.NOT_FOUND, "DATASET_NOT_FOUND", 404, "not_found"),
        (Code.NOT_FOUND, "EXPORT_NOT_FOUND", 404, "not_found"),
        (Code.ALREADY_EXISTS, "EXPORT_EXISTS", 409, "conflict"),
        (Code.FAILED_PRECONDITION, "EXPORT_NOT_COMPLETED", 409, "conflict"),
        (Code.ABORTED, "IDEMPOTENCY_KEY_REUSED", 409, "conflict"),
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", 422, "validation_error"),
        (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", 429, "rate_limit_exceeded"),
        (Code.RESOURCE_EXHAUSTED, "OVERLOADED", 429, "overloaded"),
        (Code.UNAVAILABLE, "DATABASE_UNAVAILABLE", 503, "unavailable"),
    ],
)
def test_our_errors_keep_their_message(
    code: grpc.StatusCode, reason: str, status: int, slug: str
) -> None:
    problem = errors.from_rpc(failed(code, "Do this.", ours(reason)), "r1")
    assert (problem.status, problem.slug, problem.message) == (status, slug, "Do this.")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.UNAVAILABLE, 503),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.RESOURCE_EXHAUSTED, 503),
        (Code.CANCELLED, 503),
        (Code.NOT_FOUND, 500),
        (Code.INTERNAL, 500),
        (Code.UNKNOWN, 500),
        (Code.UNIMPLEMENTED, 500),
    ],
)
def test_foreign_errors_keep_their_secrets(code: grpc.StatusCode, status: int) -> None:
    secret = "ipv4:10.0.0.7:50051: connection refused"
    for error in (
        failed(code, secret),
        failed(code, secret, ErrorInfo(reason="RATE_LIMITED", domain="elsewhere")),
        grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), secret),
    ):
        problem = errors.from_rpc(error, "r1")
        assert problem.status == status
        assert "10.0.0.7" not in problem.message
        if status == 500:
            assert "r1" in problem.message


def test_every_limit_that_the_services_name_is_known() -> None:
    """RESOURCE_EXHAUSTED alone is a server that is busy: of ours, the reason says what it is."""
    services = Path(__file__).parents[3] / "services"
    kinds = "|".join(kind.__name__ for kind in (DiskFull, Overloaded, QuotaExceeded, RateLimited))
    raised = re.compile(rf'\b(?:{kinds})\(\s*"([A-Z_]+)"')
    reasons = {
        reason
        for file in services.rglob("*.py")
        for reason in raised.findall(file.read_text(encoding="utf-8"))
    }
    assert reasons >= {"RATE_LIMITED", "OVERLOADED"}
    assert reasons <= set(errors._OURS_BY_REASON)


def test_metadata_and_fields_become_details() -> None:
    fields = BadRequest(
        field_violations=[BadRequest.FieldViolation(field="name", description="is too long")]
    )
    problem = errors.from_rpc(
        failed(
            Code.INVALID_ARGUMENT, "name: is too long", ours("X", given="", limit="100"), fields
        ),
        "r1",
    )
    assert problem.details == {
        "limit": "100",
        "errors": [{"field": "name", "message": "is too long"}],
    }


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(Duration(seconds=30), 30), (Duration(seconds=1, nanos=1), 2), (Duration(), 1)],
)
def test_a_rate_limit_says_when_to_come_back_in_whole_seconds(wait: Duration, seconds: int) -> None:
    error = failed(
        Code.RESOURCE_EXHAUSTED, "Slow down.", ours("RATE_LIMITED"), RetryInfo(retry_delay=wait)
    )
    problem = errors.from_rpc(error, "r1")
    assert problem.headers["Retry-After"] == str(seconds)
    assert problem.details["retry_after"] == seconds


def test_the_rate_limit_is_passed_on() -> None:
    trailers = grpc.aio.Metadata(
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("x-ratelimit-reset", "1705318200"),
        ("x-request-id", "r1"),
    )
    assert rate_limit_headers(trailers) == {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "4999",
        "X-RateLimit-Reset": "1705318200",
    }


def test_details_that_cannot_be_read_are_no_details() -> None:
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff"))
    error = grpc.aio.AioRpcError(Code.UNAVAILABLE, grpc.aio.Metadata(), trailers, "x")
    assert errors.from_rpc(error, "r1").status == 503


def test_a_401_says_how_to_authenticate() -> None:
    problem = errors.from_rpc(failed(Code.UNAUTHENTICATED, "No.", ours("API_KEY_INVALID")), "r1")
    assert "X-API-Key" in problem.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ('{"dataset_name": "ds"}', "name", "is required"),
        ('{"dataset_name": 1, "name": "x"}', "dataset_name", "must be a string"),
        ('{"dataset_name": "", "name": "x"}', "dataset_name", "must not be empty"),
        (
            '{"dataset_name": "ds", "name": "x", "include_images": "yes"}',
            "include_images",
            "must be true or false",
        ),
        ("[1]", "", "must be a JSON object"),
    ],
)
def test_wrong_fields_are_worded_for_people(body: str, field: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        schemas.CreateExport.model_validate_json(body)
    problem = errors.wrong_fields(caught.value.errors())
    assert problem.status == 422
    assert problem.details["errors"][0] == {"field": field, "message": message}
    assert message in problem.message


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ("3", "class_filter", "must be a list of strings"),
        ('"car"', "class_filter", "must be a list of strings"),
        ('["car", 1]', "class_filter[1]", "must be a string"),
    ],
)
def test_a_wrong_class_filter_is_named_once(value: str, field: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        schemas.CreateExport.model_validate_json(
            f'{{"dataset_name": "ds", "name": "x", "class_filter": {value}}}'
        )
    fields = errors.wrong_fields(caught.value.errors()).details["errors"]
    assert fields == [{"field": field, "message": message}]


@pytest.mark.parametrize("value", ["null", "[]", '"all"'])
def test_these_filter_no_class(value: str) -> None:
    body = schemas.CreateExport.model_validate_json(
        f'{{"dataset_name": "ds", "name": "x", "class_filter": {value}}}'
    )
    assert not body.class_filter
