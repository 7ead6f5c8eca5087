"""What clients can make a process say as often as they like is said once a second."""

import io
import json
import logging
from typing import Any

import pytest

from services import logs


@pytest.fixture
def said() -> Any:
    """A logger's handler as processes have it, and the lines it wrote."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.JsonFormatter())
    handler.addFilter(logs.Sparse())

    def lines(name: str, *messages: str) -> list[dict[str, Any]]:
        for message in messages:
            handler.handle(logging.LogRecord(name, logging.ERROR, "", 0, message, (), None))
        return [json.loads(line) for line in written.getvalue().splitlines()]

    return lines


def test_equal_lines_of_a_talkative_logger_are_one(said: Any) -> None:
    lines = said("asyncio", *["no files left\nsocket: <1>", "no files left\nsocket: <2>"] * 500)
    assert len(lines) == 1
    assert len(said("asyncio", "something else")) == 2
    assert len(said("uvicorn.error", "no files left")) == 3


def test_our_own_lines_are_all_there(said: Any) -> None:
    assert len(said("gateway.edge", *["request"] * 100)) == 100


def test_the_next_line_says_how_many_were_left_out(
    said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("asyncio", *["full"] * 8)
    monkeypatch.setattr(logs, "_PAUSE", 0.0)
    assert said("asyncio", "full")[-1]["left_out"] == 7
