"""Server reflection, for clients that have no proto files."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection


class _Symbols:
    """The descriptors for reflection, which also find a method: the pool knows only services,
    and clients such as ghz ask for `package.Service.Method`."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0])


def add_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Lets `server` describe the services of these full names, and reflection itself."""
    reflection.enable_server_reflection(
        (*services, reflection.SERVICE_NAME),
        server,
        pool=_Symbols(),  # type: ignore[arg-type]
    )
