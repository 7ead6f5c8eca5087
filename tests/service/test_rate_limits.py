"""Rate limits: per API key and sliding hour, over REST and gRPC, shared through Redis."""

import time
from collections.abc import Iterator

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from services.errors import RateLimited
from services.identity.rate_limits import RateLimiter
from services.identity.roles import Caller, Role
from tests.datasets import unique
from tests.exports import stub
from tests.parts import Redis
from tests.stack import Embedded

LIMIT = 12
EXPORTS = "/api/v1/developer/exports/"


@pytest.fixture(scope="module")
def limited() -> Iterator[Embedded]:
    """A stack whose keys may make a dozen calls an hour."""
    with Embedded("limited", {"CARTOUCHE_RATE_LIMIT": str(LIMIT)}) as stack:
        yield stack


def test_a_key_is_told_its_limit_and_then_stopped(limited: Embedded) -> None:
    organization = unique("rest")
    client = limited.http("viewer", organization)
    remaining = []
    for _ in range(LIMIT):
        answer = client.get(EXPORTS)
        assert answer.status_code == 200
        assert answer.headers["X-RateLimit-Limit"] == str(LIMIT)
        assert int(answer.headers["X-RateLimit-Reset"]) > time.time() - 5
        remaining.append(int(answer.headers["X-RateLimit-Remaining"]))
    assert remaining == list(range(LIMIT - 1, -1, -1))
    answer = client.get(EXPORTS)
    assert answer.status_code == 429
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    assert answer.json()["error"] == "rate_limit_exceeded"
    assert str(LIMIT) in answer.json()["detail"]
    # Another key of the same organization has an hour of its own.
    assert limited.http("member", organization).get(EXPORTS).status_code == 200


def test_requests_that_the_gateway_refuses_count_too(limited: Embedded) -> None:
    client = limited.http("viewer", unique("refused"))
    remaining = []
    for wrong in ("?limit=0", "", "not-an-id"):
        answer = client.get(EXPORTS + wrong)
        remaining.append(int(answer.headers["X-RateLimit-Remaining"]))
    assert remaining == [LIMIT - 1, LIMIT - 2, LIMIT - 3]


def test_grpc_callers_meet_the_same_limit(limited: Embedded) -> None:
    metadata = limited.metadata("viewer", unique("grpc"))
    for _ in range(LIMIT):
        stub(limited).ListExports(pb.ListExportsRequest(), metadata=metadata, timeout=10)
    with pytest.raises(grpc.RpcError) as caught:
        stub(limited).ListExports(pb.ListExportsRequest(), metadata=metadata, timeout=10)
    error = caught.value
    assert isinstance(error, grpc.Call)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error)
    assert status is not None
    info, retry = ErrorInfo(), RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert any(detail.Unpack(retry) for detail in status.details)
    assert (info.reason, info.domain) == ("RATE_LIMITED", "cartouche")
    assert retry.retry_delay.seconds >= 1


def test_an_organization_may_have_a_limit_of_its_own(limited: Embedded) -> None:
    organization = unique("own")
    client = limited.http("viewer", organization)
    limited.command("rate-limit", "--organization", organization, "--per-hour", "1000")
    assert client.get(EXPORTS).headers["X-RateLimit-Limit"] == "1000"
    limited.command("rate-limit", "--organization", organization, "--per-hour", "0")
    assert "X-RateLimit-Limit" not in client.get(EXPORTS).headers
    limited.command("rate-limit", "--organization", organization)
    assert client.get(EXPORTS).headers["X-RateLimit-Limit"] == str(LIMIT)


def test_replicas_share_the_count_and_outlive_its_keeper(redis: Redis) -> None:
    caller = Caller(unique("key"), "organization", Role.viewer)
    first, second = RateLimiter(redis.url, LIMIT), RateLimiter(redis.url, LIMIT)
    for number in range(LIMIT):
        allowance = (first, second)[number % 2].count(caller)
        assert allowance is not None
        assert allowance.remaining == LIMIT - 1 - number
    for limiter in (first, second):
        with pytest.raises(RateLimited, match=f"used its {LIMIT} calls"):
            limiter.count(caller)
    redis.kill()
    try:
        assert first.count(caller) is None
    finally:
        redis.restart()


def test_no_limit_counts_nothing() -> None:
    limiter = RateLimiter("memory://", 0)
    assert limiter.count(Caller("key", "organization", Role.viewer)) is None
