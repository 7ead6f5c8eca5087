"""Answers of the gateway as HTTP responses."""

from typing import Any

import orjson
from starlette.responses import Response

from gateway import dialects
from gateway.errors import Problem
from gateway.exchange import Exchange


def json_response(
    body: dict[str, Any] | list[Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON answer."""
    return Response(
        orjson.dumps(body), status, headers=headers or {}, media_type="application/json"
    )


def problem_response(problem: Problem, exchange: Exchange) -> Response:
    """An error, in the dialect of the client."""
    return json_response(
        dialects.error_answer(exchange.dialect, problem.slug, problem.message, problem.details),
        problem.status,
        problem.headers,
    )
