"""One call of a server, with the errors that the domain has for its refusals."""

from collections.abc import Callable
from typing import TypeVar, cast

import grpc

from services.importing.client import error_of

Response = TypeVar("Response")

_TIMEOUT = 60.0


def answered(method: "Callable[..., Response]", request: object, api_key: str) -> Response:
    """What the server answers.

    Raises:
        CartoucheError: as it refuses; Unavailable where it does not answer.
    """
    try:
        return method(request, metadata=(("x-api-key", api_key),), timeout=_TIMEOUT)
    except grpc.RpcError as error:
        raise error_of(cast("grpc.Call", error)) from None
