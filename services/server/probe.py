"""Asking a gRPC server how it is, as an orchestrator does."""

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_CHECK = "/grpc.health.v1.Health/Check"


class NotServing(Exception):
    """The server does not serve; the message says how it answered."""


def check(channel: grpc.Channel, service: str, timeout: float) -> None:
    """Returns where the server says within `timeout` seconds that it serves `service`; "" is the
    process itself.

    Raises:
        NotServing: it does not, or does not answer.
    """
    call = channel.unary_unary(
        _CHECK,
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    try:
        answer = call(HealthCheckRequest(service=service), timeout=timeout)
    except grpc.RpcError as error:
        raise NotServing(f"no answer: {error.code().name}, {error.details()}") from None
    if answer.status != HealthCheckResponse.SERVING:
        raise NotServing(f"says {HealthCheckResponse.ServingStatus.Name(answer.status)}")
