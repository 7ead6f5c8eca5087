"""Links that download an archive without further credentials."""

from datetime import timedelta
from urllib.parse import quote

from minio import Minio


def download_link(signer: Minio, bucket: str, key: str, file_name: str, expires: timedelta) -> str:
    """A link that downloads the archive as `file_name`. Local arithmetic, no call."""
    return signer.get_presigned_url(
        "GET",
        bucket,
        key,
        expires,
        response_headers={
            "response-content-disposition": _attachment(file_name),
            "response-content-type": "application/zip",
        },
    )


def _attachment(file_name: str) -> str:
    """Content-Disposition with the name in UTF-8 and a plain one for old clients (RFC 6266)."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
