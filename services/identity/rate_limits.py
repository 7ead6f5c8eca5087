"""Rate limits: calls per API key within a sliding hour, shared between replicas by Redis."""

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerHour
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from services.errors import RateLimited
from services.identity.roles import Caller

logger = logging.getLogger(__name__)

#: What a call waits for the shared counter at most, in seconds, as far as the URL does not say
#: otherwise.
_BOUNDS: Mapping[str, Any] = {"socket_connect_timeout": 0.03, "socket_timeout": 0.06}
#: Seconds for which nobody asks a counter that is away; then one call finds out.
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may still do; `reset_at` is in seconds since 1970."""

    limit: int
    remaining: int
    reset_at: int


class RateLimiter:
    """Counts calls. Where the shared counter is away, calls are let through."""

    def __init__(self, url: str, per_hour: int) -> None:
        """Counts at `url` (redis://… or memory://), with `per_hour` calls for organizations
        that have no limit of their own; 0: no limit."""
        self._per_hour = per_hour
        shared = not url.startswith("memory:")
        options = {**_BOUNDS, "retry": Retry(NoBackoff(), 0)} if shared else {}
        #: Whether counting is a call over the network.
        self.is_shared = shared
        self._windows = SlidingWindowCounterRateLimiter(storage_from_string(url, **options))
        self._counter = _Counter()

    def count(self, caller: Caller) -> Allowance | None:
        """Counts one call of a key; None: the key has no limit, or the counter is away.

        Raises:
            RateLimited: the key has used up its hour.
        """
        limit = self._per_hour if caller.rate_limit is None else caller.rate_limit
        if not limit or not self._counter.may_be_asked():
            return None
        item = RateLimitItemPerHour(limit, namespace="cartouche")
        try:
            allowed = self._windows.hit(item, caller.api_key_id)
            window = self._windows.get_window_stats(item, caller.api_key_id)
        except RedisError as error:
            self._counter.is_away(error)
            return None
        self._counter.is_there()
        allowance = Allowance(limit, window.remaining, math.ceil(window.reset_time))
        if allowed:
            return allowance
        wait = max(1, math.ceil(window.reset_time - time.time()))
        raise RateLimited(
            "RATE_LIMITED",
            f"This API key has used its {limit} calls of the last hour; try again in {wait} s.",
            {
                "retry_after": str(wait),
                "limit": str(limit),
                "remaining": "0",
                "reset": str(allowance.reset_at),
            },
        )


class _Counter:
    """Whether the counter answers: said once when that changes, and found out by one call at a
    time while it does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: When to ask again; None: it answers.
        self._ask_at: float | None = None

    def may_be_asked(self) -> bool:
        with self._lock:
            if self._ask_at is None:
                return True
            now = time.monotonic()
            if now < self._ask_at:
                return False
            self._ask_at = now + _PAUSE
            return True

    def is_away(self, error: RedisError) -> None:
        with self._lock:
            known, self._ask_at = self._ask_at is not None, time.monotonic() + _PAUSE
        if not known:
            logger.warning("calls are not counted for the moment", extra={"error": str(error)})

    def is_there(self) -> None:
        with self._lock:
            known, self._ask_at = self._ask_at is None, None
        if not known:
            logger.warning("calls are counted again")
