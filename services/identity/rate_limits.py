"""Rate limits: calls per API key within a sliding hour, shared between replicas by Redis."""

import logging
import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerHour
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from services.errors import RateLimited
from services.identity.roles import Caller

logger = logging.getLogger(__name__)


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
        self._windows = SlidingWindowCounterRateLimiter(storage_from_string(url))

    def count(self, caller: Caller) -> Allowance | None:
        """Counts one call of a key; None: the key has no limit.

        Raises:
            RateLimited: the key has used up its hour.
        """
        limit = self._per_hour if caller.rate_limit is None else caller.rate_limit
        if not limit:
            return None
        item = RateLimitItemPerHour(limit, namespace="cartouche")
        try:
            allowed = self._windows.hit(item, caller.api_key_id)
            window = self._windows.get_window_stats(item, caller.api_key_id)
        except RedisError as error:
            logger.warning("calls are not counted for the moment", extra={"error": str(error)})
            return None
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
