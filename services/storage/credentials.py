"""Who we are at the store: keys that were given, or credentials of the platform.

The platform's are asked for in the way of AWS: variables (`AWS_ACCESS_KEY_ID`, with a session token
too), a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, as EKS gives pods), a container's
(`AWS_CONTAINER_CREDENTIALS_…`), and, where the store is Amazon's own, the role of the instance.
"""

import logging
import os
import threading
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import (
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
    StaticProvider,
)
from minio.error import MinioException
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from services.storage.config import StorageConfig
from services.storage.errors import StorageMisconfigured

logger = logging.getLogger(__name__)

#: Seconds before its end when a credential is renewed.
_AHEAD = 300.0
#: Seconds between tries, where one that still holds could not be renewed.
_PAUSE = 30.0
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def platform_has_any(endpoint: str) -> bool:
    """Whether the platform may have credentials for the store at `endpoint`; asks nobody."""
    host = urlsplit(endpoint).hostname or ""
    is_amazon = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return is_amazon or any(os.environ.get(name) for name in _VARIABLES)


def provider(config: StorageConfig, *, signs_links: bool = False) -> Provider:
    """Gives the credentials of control calls, or those that sign links."""
    if signs_links and config.signing_access_key:
        return StaticProvider(config.signing_access_key, config.signing_secret_key)
    if config.access_key:
        return StaticProvider(config.access_key, config.secret_key)
    return PlatformProvider(config.region)


def ends_at(credentials: Credentials) -> datetime | None:
    """When credentials end; None: they do not."""
    end = credentials.expiration
    return None if end is None else end.replace(tzinfo=UTC)


class PlatformProvider(Provider):
    """Credentials of the platform, renewed before they end. Safe for threads."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._http = urllib3.PoolManager(
            timeout=Timeout(connect=2.0, read=5.0), retries=Retry(2, backoff_factor=0.2)
        )
        self._lock = threading.Lock()
        self._held: Credentials | None = None
        self._not_before = 0.0

    def retrieve(self) -> Credentials:
        """Credentials that hold.

        Raises:
            StorageMisconfigured: the platform gives none.
        """
        with self._lock:
            held = self._held
            if held is not None and (_left(held) > _AHEAD or time.monotonic() < self._not_before):
                return held
            try:
                self._held = self._fetch()
            except (ValueError, OSError, HTTPError, MinioException, KeyError) as error:
                if held is None or _left(held) <= 0:
                    raise StorageMisconfigured(
                        "NoCredentials",
                        "CARTOUCHE_S3_ACCESS_KEY is not set, and the platform gives no "
                        f"credentials: {error}. Set the keys, or give this process a role.",
                    ) from error
                logger.warning("credentials were not renewed", extra={"error": str(error)})
                self._not_before = time.monotonic() + min(_PAUSE, _left(held))
                return held
            self._not_before = time.monotonic() + min(_PAUSE, max(0.0, _left(self._held)))
            return self._held

    def _fetch(self) -> Credentials:
        # A new one each time: it would give what it has until the last seconds.
        role = IamAwsProvider(http_client=self._http, region=self._region)
        return ChainedProvider([EnvAWSProvider(), role]).retrieve()


def _left(credentials: Credentials) -> float:
    end = ends_at(credentials)
    return float("inf") if end is None else (end - datetime.now(UTC)).total_seconds()
