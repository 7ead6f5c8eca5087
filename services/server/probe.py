"""Asking a gRPC server how it is, as an orchestrator does."""

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_CHECK = "/grpc.health.v1.Health/Check"


class NotServing(Exception):
    """The server does not serve; the message says how it answered."""


def check(address: str, service: str, timeout: float) -> None:
    """Returns where the server at `address` says within `timeout` seconds that it serves
    `service`; "" is the process itself.

    Raises:
        NotServing: it does not, or does not answer.
    """
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(
            _CHECK,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = call(HealthCheckRequest(service=service), timeout=timeout)
        except grpc.RpcError as error:
            raise NotServing(f"no answer at {address}: {error.code().name}") from None
    if answer.status != HealthCheckResponse.SERVING:
        raise NotServing(f"says {HealthCheckResponse.ServingStatus.Name(answer.status)}")
