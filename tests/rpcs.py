"""Every RPC of Cartouche's services, as their descriptors list them."""

from collections.abc import Iterable
from typing import Any

from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.webhooks.v1 import webhook_service_pb2 as webhooks_pb
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.stack import Stack

SERVICES = (
    pb.DESCRIPTOR.services_by_name["ExportService"],
    catalog_pb.DESCRIPTOR.services_by_name["CatalogService"],
    webhooks_pb.DESCRIPTOR.services_by_name["WebhookService"],
)
#: Streams that go on until the caller ends them.
ENDLESS = frozenset(("WatchExports",))
METHODS = {method.name: method for service in SERVICES for method in service.methods}


def call_raw(
    stack: Stack,
    method: MethodDescriptor,
    requests: Iterable[bytes],
    metadata: tuple[tuple[str, str], ...] = (),
    timeout: float = 60,
) -> list[Any]:
    """The answers of one call, whose requests are sent as they are; of an endless one the first.

    Raises:
        grpc.RpcError: the call failed.
    """
    kind = "stream" if method.client_streaming else "unary"
    kind += "_stream" if method.server_streaming else "_unary"
    caller = getattr(stack.channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    sent = iter(requests) if method.client_streaming else next(iter(requests))
    answer = caller(sent, metadata=metadata, timeout=timeout)
    if method.name in ENDLESS:
        first = next(answer)
        answer.cancel()
        return [first]
    return list(answer) if method.server_streaming else [answer]


def call(
    stack: Stack,
    method: MethodDescriptor,
    requests: Iterable[Message],
    metadata: tuple[tuple[str, str], ...] = (),
) -> list[Any]:
    """The answers of one call."""
    return call_raw(stack, method, [r.SerializeToString() for r in requests], metadata)
