"""The doorbell: Dramatiq messages that say "there is work", and in which lane.

A ring is a hint and nothing more. It is sent by a thread of its own, so that a caller
never waits for the broker, and one that is lost is made up for by the workers' own looks.
"""

import logging
import threading
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, ShutdownNotifications, TimeLimit

logger = logging.getLogger(__name__)


#: The only queue, and the only actor.
QUEUE = "work"
ACTOR = "work"


def connect_broker(url: str) -> dramatiq.Broker:
    """The broker at `url` (amqp://…, redis://… or memory://), with no queue declared.

    Nothing is connected before the first message.

    Raises:
        ValueError: the URL names no broker Cartouche knows.
    """
    # No retries, ages or results: the record keeps those, not the broker.
    middleware: list[Middleware] = [
        TimeLimit(),
        ShutdownNotifications(notify_shutdown=True),
    ]
    broker: dramatiq.Broker
    if url.startswith(("amqp://", "amqps://")):
        broker = RabbitmqBroker(url=url, confirm_delivery=True, middleware=middleware)
    elif url.startswith(("redis://", "rediss://", "unix://")):
        broker = RedisBroker(url=url, middleware=middleware)  # type: ignore[no-untyped-call]
    elif url.startswith("memory:"):
        broker = StubBroker(middleware=middleware)
    else:
        raise ValueError(
            f"CARTOUCHE_BROKER_URL: {url.split(':')[0]}:// is not supported; "
            "use amqp://…, redis://… or memory://"
        )
    return broker


class Doorbell:
    """Rings through one broker, from any thread.

    `may_ring` says whether nobody else has rung in the lane a moment ago, so that bells do not
    pile up in the broker; it may raise, and is asked on the doorbell's own thread.
    """

    def __init__(
        self, broker: dramatiq.Broker, may_ring: Callable[[str], bool] = lambda lane: True
    ) -> None:
        self._broker = broker
        self._may_ring = may_ring
        self._waiting: set[str] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._declared = False
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, lane: str) -> None:
        """Says that there is work in a lane; returns at once and never fails."""
        with self._changed:
            self._waiting.add(lane)
            self._changed.notify()

    def close(self, timeout: float = 5.0) -> None:
        """Sends what still waits, for at most `timeout` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                lanes, self._waiting = sorted(self._waiting, reverse=True), set()
                if not lanes:
                    return
            for lane in lanes:
                try:
                    self._send(lane)
                except Exception as error:
                    logger.warning(
                        "the doorbell did not ring; workers look by themselves",
                        extra={"lane": lane, "error": str(error)},
                    )

    def _send(self, lane: str) -> None:
        if not self._may_ring(lane):
            return
        if not self._declared:
            self._broker.declare_queue(QUEUE)
            self._declared = True
        self._broker.enqueue(
            dramatiq.Message(
                queue_name=QUEUE, actor_name=ACTOR, args=(lane,), kwargs={}, options={}
            )
        )
