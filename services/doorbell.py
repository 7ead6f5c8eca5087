"""The doorbell: Dramatiq messages that say "look at this export", sent by name.

A ring is a hint and nothing more. It is sent by a thread of its own, so that a caller
never waits for the broker, and one that is lost is made up for by the reconciler.
"""

import logging
import queue
import threading
from enum import StrEnum

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, ShutdownNotifications, TimeLimit

from services import logs

logger = logging.getLogger(__name__)


class Bell(StrEnum):
    """The actors that can be rung, by name."""

    plan_export = "plan_export"
    build_segment = "build_segment"
    finish_export = "finish_export"
    remove_export = "remove_export"


#: Short steps wait in their own queue, so that no large export keeps a small one waiting.
QUEUES = {
    Bell.plan_export: "exports",
    Bell.finish_export: "exports",
    Bell.remove_export: "exports",
    Bell.build_segment: "segments",
}


class RequestIds(Middleware):
    """Carries the id of the request that rang into the log lines of the work it caused."""

    def before_process_message(
        self, broker: dramatiq.Broker, message: dramatiq.MessageProxy
    ) -> None:
        """Takes the id over."""
        logs.request_id.set(str(message.options.get("request_id", "")))


def connect_broker(url: str) -> dramatiq.Broker:
    """The broker at `url` (amqp://…, redis://… or memory://), with both queues declared.

    Nothing is connected before the first message.

    Raises:
        ValueError: the URL names no broker Cartouche knows.
    """
    # No retries, ages or results: the record keeps those, not the broker.
    middleware: list[Middleware] = [
        TimeLimit(),
        ShutdownNotifications(notify_shutdown=True),
        RequestIds(),
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
    """Rings through one broker, from any thread."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._queue: queue.SimpleQueue[dramatiq.Message[None] | None] = queue.SimpleQueue()
        self._declared = False
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, bell: Bell, *args: str | int) -> None:
        """Asks a worker to look; returns at once and never fails."""
        self._queue.put(
            dramatiq.Message(
                queue_name=QUEUES[bell],
                actor_name=bell.value,
                args=args,
                kwargs={},
                options={"request_id": logs.request_id.get()},
            )
        )

    def close(self, timeout: float = 5.0) -> None:
        """Sends what still waits, for at most `timeout` seconds."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                if not self._declared:
                    for name in sorted(set(QUEUES.values())):
                        self._broker.declare_queue(name)
                    self._declared = True
                self._broker.enqueue(message)
            except Exception as error:
                logger.warning(
                    "the doorbell did not ring; the reconciler will ring it again",
                    extra={"actor": message.actor_name, "error": str(error)},
                )
