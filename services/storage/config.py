"""Where the object store is, and who we are there."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_ENCRYPTION = "x-amz-server-side-encryption"


@dataclass(frozen=True)
class StorageConfig:
    """Where the store is and who we are there. Endpoints are `http(s)://host[:port]`.

    Without keys the platform's own credentials are taken. Links are signed with credentials of
    their own, which should only read the exports bucket: every link shows its access key.
    """

    endpoint: str
    public_endpoint: str
    region: str
    access_key: str
    secret_key: str
    signing_access_key: str
    signing_secret_key: str
    images_bucket: str
    exports_bucket: str
    #: The authorities that vouch for the store, in PEM, instead of the system's.
    ca_bundle: Path | None = None
    #: How buckets are named: in the path, in the host, or `auto`, in the host at Amazon's stores.
    addressing_style: str = "auto"
    #: What the store shall encrypt objects with: `AES256` or `aws:kms`; empty: as the bucket says.
    encryption: str = ""
    #: The key for `aws:kms`; empty: the store's own.
    kms_key_id: str = ""

    @property
    def encryption_headers(self) -> dict[str, str]:
        """What every new object and upload asks for."""
        if not self.encryption:
            return {}
        key = {f"{_ENCRYPTION}-aws-kms-key-id": self.kms_key_id} if self.kms_key_id else {}
        return {_ENCRYPTION: self.encryption, **key}

    def bucket_endpoint(self, bucket: str) -> str:
        """The address that the bucket has in the host."""
        address = urlsplit(self.endpoint)
        return f"{address.scheme}://{bucket}.{address.netloc}"

    def __post_init__(self) -> None:
        """Raises ValueError for an endpoint that is not one."""
        for setting, endpoint in (
            ("CARTOUCHE_S3_ENDPOINT", self.endpoint),
            ("CARTOUCHE_S3_PUBLIC_ENDPOINT", self.public_endpoint),
        ):
            address = urlsplit(endpoint)
            if (
                address.scheme not in ("http", "https")
                or not address.netloc
                or address.path not in ("", "/")
                or address.query
            ):
                raise ValueError(
                    f"{setting} is {endpoint!r}: give http:// or https://, a host, "
                    "and a port if it is not the usual one, without a path"
                )
        if self.ca_bundle is not None:
            try:
                ssl.create_default_context(cafile=self.ca_bundle)
            except OSError as error:
                raise ValueError(
                    f"CARTOUCHE_S3_CA_BUNDLE is {str(self.ca_bundle)!r}: give a file of "
                    f"certificates in PEM ({error.strerror or error})"
                ) from None
        if not self.region:
            raise ValueError("CARTOUCHE_S3_REGION is empty: give the region, us-east-1 for MinIO")
