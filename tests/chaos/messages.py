"""Messages that a broker loses, doubles or delivers late: somebody takes them before a worker does.

He is one more consumer of the queue, by the library that the workers use, at any broker.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dramatiq
from dramatiq.errors import BrokerConnectionError as BrokerAway

from services.doorbell import QUEUE, connect_broker

#: Seconds that he waits for messages.
WINDOW = 3.0


def take(url: str, seconds: float = WINDOW) -> list[dramatiq.Message[None]]:
    """The messages that come within so many seconds, of which no worker gets one then."""
    taken: list[dramatiq.Message[None]] = []
    until = time.monotonic() + seconds
    with _broker(url) as broker:
        consumer = broker.consume(QUEUE, prefetch=1, timeout=100)
        try:
            while time.monotonic() < until:
                message = next(consumer)
                if message is not None:
                    consumer.ack(message)
                    taken.append(message._message)
            # Acknowledgements leave with the next look.
            next(consumer)
        finally:
            with suppress(BrokerAway):
                consumer.close()
    return taken


def give(url: str, messages: list[dramatiq.Message[None]], times: int = 1) -> None:
    """Puts messages into the queue, each so often."""
    with _broker(url) as broker:
        for message in messages:
            for _ in range(times):
                broker.enqueue(message)


@contextmanager
def _broker(url: str) -> Iterator[dramatiq.Broker]:
    broker = connect_broker(url)
    broker.declare_queue(QUEUE)
    try:
        yield broker
    finally:
        with suppress(BrokerAway):
            broker.close()
