"""The clients of one process: the MinIO SDK, obstore, the connection pool and the threads."""

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from obstore.store import S3Store
from urllib3.util import Retry, Timeout

from services.storage import credentials
from services.storage.config import StorageConfig
from services.storage.pool import HttpPool
from services.storage.retries import RETRY_WAITS

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Credential

#: Threads of a process that read small objects.
READ_THREADS = 16
#: And from a store that is far away: they wait for it nearly all the time.
FAR_READ_THREADS = 32
CONNECT_TIMEOUT = 3.0
#: Of control calls and small reads.
CALL_TIMEOUT = 20.0
#: Between two pieces of a large body.
BODY_TIMEOUT = 60.0


def context(config: StorageConfig) -> ssl.SSLContext:
    """Whom the clients believe that a server is the store."""
    return ssl.create_default_context(cafile=config.ca_bundle)


class Clients:
    """The clients of one process."""

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        endpoint, public = urlsplit(config.endpoint), urlsplit(config.public_endpoint)
        self.credentials = credentials.provider(config)
        self.signing_credentials = credentials.provider(config, signs_links=True)
        self._http = urllib3.PoolManager(
            maxsize=READ_THREADS,
            ssl_context=context(config),
            timeout=Timeout(connect=CONNECT_TIMEOUT, read=CALL_TIMEOUT),
            retries=Retry(
                total=len(RETRY_WAITS),
                backoff_factor=RETRY_WAITS[0],
                status_forcelist=(500, 502, 503, 504),
                allowed_methods=None,
                raise_on_status=False,
                redirect=0,
            ),
        )
        self.control = Minio(
            endpoint.netloc,
            credentials=self.credentials,
            secure=endpoint.scheme == "https",
            region=config.region,
            http_client=self._http,
        )
        self.signer = Minio(
            public.netloc,
            credentials=self.signing_credentials,
            secure=public.scheme == "https",
            region=config.region,
        )
        for client in (self.control, self.signer):
            self._styled(client)
        self.pool = HttpPool(CONNECT_TIMEOUT, BODY_TIMEOUT, context=context(config))
        self.threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="storage-read")
        # Those of them that nobody needs never begin.
        self.far_threads = ThreadPoolExecutor(FAR_READ_THREADS, thread_name_prefix="storage-far")
        self._readers = {
            bucket: self._new_reader(bucket)
            for bucket in (config.images_bucket, config.exports_bucket)
        }

    def reader(self, bucket: str) -> S3Store:
        """The client that reads small objects of the bucket."""
        return self._readers[bucket]

    def tried_signer(self) -> Minio:
        """A client at the store's own address that has the keys of links."""
        endpoint = urlsplit(self._config.endpoint)
        return self._styled(
            Minio(
                endpoint.netloc,
                credentials=self.signing_credentials,
                secure=endpoint.scheme == "https",
                region=self._config.region,
                http_client=self._http,
            )
        )

    def _styled(self, client: Minio) -> Minio:
        """The client, which names buckets as the settings say."""
        if self._config.addressing_style == "virtual":
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        elif self._config.addressing_style == "path":
            client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client

    def close(self) -> None:
        """Closes idle connections and ends the threads."""
        self.threads.shutdown(cancel_futures=True)
        self.far_threads.shutdown(cancel_futures=True)
        self.pool.close()
        self._http.clear()

    def _reader_credentials(self) -> "S3Credential":
        held = self.credentials.retrieve()
        found: S3Credential = {
            "access_key_id": held.access_key,
            "secret_access_key": held.secret_key,
            "expires_at": credentials.ends_at(held),
        }
        if held.session_token:
            found["token"] = held.session_token
        return found

    def _new_reader(self, bucket: str) -> S3Store:
        config = self._config
        authorities: ClientConfig = {}
        if config.ca_bundle is not None:
            authorities["root_certificate"] = config.ca_bundle.read_bytes()
        in_host = config.addressing_style == "virtual"
        endpoint = config.bucket_endpoint(bucket) if in_host else config.endpoint
        # obstore takes whatever is missing here from AWS_* and proxy variables of the
        # environment, which must not decide where Cartouche reads.
        return S3Store(
            bucket,
            aws_endpoint_url_s3=endpoint,
            region=config.region,
            virtual_hosted_style_request=in_host,
            skip_signature=False,
            credential_provider=self._reader_credentials,
            client_options={
                "allow_http": config.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
                "timeout": timedelta(seconds=CALL_TIMEOUT),
                "proxy_url": config.endpoint,
                "proxy_excludes": urlsplit(endpoint).hostname or "",
                **authorities,
            },
            retry_config={
                "max_retries": len(RETRY_WAITS),
                "backoff": {
                    "init_backoff": timedelta(seconds=RETRY_WAITS[0]),
                    "max_backoff": timedelta(seconds=RETRY_WAITS[-1]),
                    "base": 2,
                },
                "retry_timeout": timedelta(seconds=2 * CALL_TIMEOUT),
            },
        )


class ClientsAtFirstUse:
    """Makes the clients when they are first asked for, and again after `close`."""

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        self._made: Clients | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Clients:
        """The clients of this process."""
        made = self._made
        if made is None:
            with self._lock:
                made = self._made = self._made or Clients(self._config)
        return made

    def close(self) -> None:
        """Closes the clients, if there are any."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()
