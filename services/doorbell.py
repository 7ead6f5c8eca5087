"""The doorbell: Dramatiq messages that say "there is work", and in which lane.

A ring is a hint and nothing more. It is sent by a thread of its own, so that a caller
never waits for the broker, and one that is lost is made up for by the workers' own looks.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import dramatiq
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, ShutdownNotifications, TimeLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

from services import metrics

logger = logging.getLogger(__name__)

#: The only queue, and the only actor.
QUEUE = "work"
ACTOR = "work"
#: Version of the messages. Whoever hears one of another version looks for work all the same: that
#: is all that a bell ever says.
MESSAGE_VERSION = 1
#: Seconds between signs of life on a connection to RabbitMQ.
_HEARTBEAT = 10
#: What ends the waits for RabbitMQ, in seconds, as far as the URL does not say otherwise.
_RABBITMQ_BOUNDS: Mapping[str, int] = {
    "heartbeat": _HEARTBEAT,
    # It takes nothing while its memory or disk is full.
    "blocked_connection_timeout": 10,
    "socket_timeout": 3,
    "stack_timeout": 5,
}
#: The same for Redis, which answers every command at once: nothing here blocks in it.
_REDIS_BOUNDS: Mapping[str, Any] = {
    "socket_connect_timeout": 3.0,
    "socket_timeout": 5.0,
    "socket_keepalive": True,
}


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
        broker = RabbitmqBroker(url=_with_bounds(url), confirm_delivery=True, middleware=middleware)
    elif url.startswith(("redis://", "rediss://", "unix://")):
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **_REDIS_BOUNDS)
        broker = _RedisBroker(client=client, middleware=middleware)  # type: ignore[no-untyped-call]
    elif url.startswith("memory:"):
        broker = StubBroker(middleware=middleware)
    else:
        raise ValueError(
            f"CARTOUCHE_BROKER_URL: {url.split(':')[0]}:// is not supported; "
            "use amqp://…, redis://… or memory://"
        )
    return broker


def reach(broker: dramatiq.Broker) -> None:
    """Returns when the broker answers; raises what its client raises where it does not."""
    if isinstance(broker, RabbitmqBroker):
        broker.connection.process_data_events()
    elif isinstance(broker, RedisBroker):
        broker.client.ping()


def _with_bounds(url: str) -> str:
    parts = urlsplit(url)
    options = {**_RABBITMQ_BOUNDS, **dict(parse_qsl(parts.query))}
    return parts._replace(query=urlencode(options)).geturl()


class _RedisBroker(RedisBroker):
    """To Dramatiq only a connection that broke is one to make again; here one on which nothing
    comes back is, too."""

    def _dispatch(self, command: str) -> Callable[..., Any]:
        dispatch: Callable[..., Any] = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def bounded(*args: Any) -> Any:
            try:
                return dispatch(*args)
            except redis.TimeoutError as error:
                raise redis.ConnectionError(str(error)) from error

        return bounded


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
                is_asked = self._changed.wait_for(
                    lambda: self._waiting or self._closed, _HEARTBEAT / 2
                )
                lanes, self._waiting = sorted(self._waiting, reverse=True), set()
                if self._closed and not lanes:
                    return
            if not is_asked:
                self._show_life()
            for lane in lanes:
                try:
                    self._send(lane)
                except Exception as error:
                    metrics.BELLS.labels("failed").inc()
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
                queue_name=QUEUE,
                actor_name=ACTOR,
                args=(lane,),
                kwargs={},
                options={"version": MESSAGE_VERSION},
            )
        )
        metrics.BELLS.labels("rung").inc()

    def _show_life(self) -> None:
        """RabbitMQ hangs up on who is silent, and who is not told so waits for it."""
        if not isinstance(self._broker, RabbitmqBroker):
            return
        connection = getattr(self._broker.state, "connection", None)
        try:
            if connection is not None:
                connection.process_data_events()
        except Exception:
            # The next ring makes another.
            del self._broker.connection
