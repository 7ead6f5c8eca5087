"""Messages that a broker loses, doubles or delivers late: somebody takes them before a worker does.

He is one more consumer of the queue, by the library that the workers use, at any broker.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dramatiq
from dramatiq.errors import BrokerConnectionError as BrokerAway

from services.doorbell import QUEUE, connect_broker

#: Seconds that he waits for a message, and for more of them from then on.
_PATIENCE = 20.0
_MORE = 1.0


def take(url: str) -> list[dramatiq.Message[None]]:
    """The messages that come, of which no worker gets one; none: none came."""
    taken: list[dramatiq.Message[None]] = []
    until = time.monotonic() + _PATIENCE
    with _broker(url) as broker:
        consumer = broker.consume(QUEUE, prefetch=1, timeout=100)
        try:
            while time.monotonic() < until:
                message = next(consumer)
                if message is not None:
                    if not taken:
                        until = time.monotonic() + _MORE
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
