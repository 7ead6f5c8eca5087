"""Sends the messages to webhooks that are due: beside the steps of a worker, and never in their
way."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.metadata import version

from services.database.engine import Database
from services.errors import Unavailable
from services.webhooks import outbox
from services.webhooks.addresses import Network
from services.webhooks.model import DueMessage, Outcome
from services.webhooks.sending import send
from services.webhooks.signing import signatures

logger = logging.getLogger(__name__)

#: Messages that a worker sends at once.
_AT_ONCE = 8
#: Seconds between two looks for messages.
_LOOK = 1.0
#: Seconds that the end waits for messages on their way; what is not recorded is sent again, under
#: the same id.
_FAREWELL = 3.0


class Messenger:
    """`start` it; in the end `end` and `join` it. It has one connection of the database."""

    def __init__(self, database: Database, allowed: Sequence[Network]) -> None:
        """`allowed`: networks beside public addresses."""
        self._database = database
        self._allowed = allowed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)
        self._agent = f"Cartouche/{version('cartouche')}"

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def end(self) -> None:
        """Sends nothing new from now on."""
        self._stopped.set()

    def join(self) -> None:
        """Waits a little for what is on its way."""
        self._thread.join(2 * _FAREWELL)

    def _run(self) -> None:
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="message")
        under_way: dict[Future[Outcome], DueMessage] = {}
        is_away = False
        try:
            while not self._stopped.is_set():
                try:
                    self._look(pool, under_way)
                    is_away = False
                except Unavailable as error:
                    if not is_away:
                        logger.warning("messages wait", extra={"error": str(error)})
                    is_away = True
                except Exception:
                    logger.exception("messages wait, by a fault of ours")
                if under_way:
                    wait(under_way, _LOOK, FIRST_COMPLETED)
                else:
                    self._stopped.wait(_LOOK)
            wait(under_way, _FAREWELL)
            self._record(under_way)
        except Unavailable:
            # They are sent again.
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, pool: ThreadPoolExecutor, under_way: dict[Future[Outcome], DueMessage]) -> None:
        self._record(under_way)
        if room := _AT_ONCE - len(under_way):
            for message in outbox.claim_due(self._database, room):
                under_way[pool.submit(self._send, message)] = message

    def _record(self, under_way: dict[Future[Outcome], DueMessage]) -> None:
        for future in [future for future in under_way if future.done()]:
            message, outcome = under_way[future], future.result()
            outbox.record(self._database, message, outcome)
            del under_way[future]
            logger.info(
                "a message was sent",
                extra={
                    "webhook_id": message.webhook_id,
                    "message_id": message.id,
                    "http_status": outcome.http_status,
                    "error": outcome.error,
                    "milliseconds": outcome.milliseconds,
                },
            )

    def _send(self, message: DueMessage) -> Outcome:
        payload = message.payload.encode()
        # Receivers refuse what is five minutes old: it is the time of this try.
        at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._agent,
            "webhook-id": message.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signatures(message.secrets, message.id, at, payload),
        }
        return send(message.url, headers, payload, self._allowed)
