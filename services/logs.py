"""Logs: one JSON object a line on standard error, with the request id of the call.

Every line has `time`, `level`, `logger` and `message`; where they are known `request_id`,
`trace_id`, `export_id`, `segment` and `attempt`; then what the line itself tells, and `exception`.
None holds an API key or a signed URL.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

request_id: ContextVar[str] = ContextVar("request_id", default="")
#: The W3C's name of the span under way; empty: there is none.
traceparent: ContextVar[str] = ContextVar("traceparent", default="")
#: What is worked on, for every line of its work: its `export_id`, `segment`, `attempt`.
_work: ContextVar[Mapping[str, Any]] = ContextVar("work", default=MappingProxyType({}))

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Everything given as `extra` becomes a key of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if known := request_id.get():
            line["request_id"] = known
        if known := traceparent.get():
            line["trace_id"] = known.split("-")[1]
        line.update(_work.get())
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


@contextmanager
def working_on(request: str, work: Mapping[str, Any]) -> Iterator[None]:
    """Every line of the block says for which request it is, and what is worked on."""
    held = request_id.set(request), _work.set(work)
    try:
        yield
    finally:
        request_id.reset(held[0])
        _work.reset(held[1])


#: Loggers that clients can make say the same as often as they like.
_TALKATIVE = ("asyncio", "uvicorn", "grpc", "gateway.connections", "opentelemetry")
#: Seconds between two lines of one kind of theirs.
_PAUSE = 1.0
#: Kinds that are told apart.
_KINDS = 1_000


class Sparse(logging.Filter):
    """Lets one line of a kind through a second: by its logger, the first line of its message and
    its exception. The next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        #: By kind: when it was said last, and how often it was not since.
        self._said: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_TALKATIVE):
            return True
        exception = record.exc_info[0] if record.exc_info else None
        kind = (record.name, str(record.msg).partition("\n")[0], exception)
        at, left_out = self._said.get(kind, (float("-inf"), 0))
        now = time.monotonic()
        if now - at < _PAUSE:
            self._said[kind] = at, left_out + 1
            return False
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[kind] = now, 0
        if left_out:
            record.left_out = left_out
        return True


def configure(level: str) -> None:
    """Sends every log of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Sparse())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What Python itself would print in lines of its own.
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread
    # They tell of each connection, or again what is logged here.
    for name in ("pika", "dramatiq", "urllib3", "alembic", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    logging.getLogger(__name__).error(
        "a thread ended with an error",
        exc_info=ended.exc_value,
        extra={"thread": ended.thread.name if ended.thread else ""},
    )
