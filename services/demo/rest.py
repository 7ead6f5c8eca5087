"""The documented REST calls that the demo makes, with the standard library alone."""

import http.client
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from services.errors import AlreadyExists, CartoucheError, Unavailable

_EXPORTS = "/api/v1/developer/exports/"
_TIMEOUT_SECONDS = 30.0
_CHUNK = 256 * 1024

# The demo talks to this machine: a proxy from the environment would not reach it.
_opener = build_opener(ProxyHandler({}))


class ExportsApi:
    """A client of one Cartouche.

    Every call raises `AlreadyExists` where the answer is 409, `Unavailable` where there is no
    answer, and `CartoucheError` for any other error, with the server's message.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Creates an export."""
        created: dict[str, Any] = self._call("POST", _EXPORTS, request)
        return created

    def list_names(self, dataset_name: str) -> set[str]:
        """The names of the dataset's exports; of the newest thousand, if there are more."""
        query = urlencode({"dataset_name": dataset_name, "limit": 1000})
        return {export["name"] for export in self._call("GET", f"{_EXPORTS}?{query}")}

    def get(self, dataset_name: str, name: str) -> dict[str, Any]:
        """Reads an export."""
        export: dict[str, Any] = self._call("GET", _path(dataset_name, name))
        return export

    def download_link(self, dataset_name: str, name: str) -> dict[str, Any]:
        """A fresh signed URL of the archive, and when it expires."""
        link: dict[str, Any] = self._call("GET", _path(dataset_name, name) + "/download")
        return link

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = Request(
            self._base_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": self._api_key, "Content-Type": "application/json"},
        )
        try:
            with _opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            message = f"{method} {path} answered {error.code}: {_message(error)}"
            kind = AlreadyExists if error.code == 409 else CartoucheError
            raise kind(f"HTTP_{error.code}", message) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(self._base_url, error) from error


def fetch(url: str, target: Path, progress: Callable[[int], None]) -> tuple[int, int]:
    """Streams a signed URL into a file; `progress` hears of every chunk's bytes.

    Returns:
        The number of bytes and their CRC-32.

    Raises:
        Unavailable: the object store does not answer, or stops before the end.
        CartoucheError: the store refuses the link.
    """
    size = crc32 = 0
    try:
        with _opener.open(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                size += len(chunk)
                crc32 = zlib.crc32(chunk, crc32)
                progress(len(chunk))
    except HTTPError as error:
        raise CartoucheError(
            f"HTTP_{error.code}",
            f"The object store answered {error.code} to the signed URL. Ask for a new one.",
        ) from error
    except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable("the object store", error) from error
    return size, crc32


def _path(dataset_name: str, name: str) -> str:
    return f"{_EXPORTS}{quote(dataset_name, safe='')}/{quote(name, safe='')}"


def _message(error: HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text or error.reason


def _unreachable(what: str, error: Exception) -> Unavailable:
    reason = error.reason if isinstance(error, URLError) else error
    return Unavailable(
        "NO_ANSWER", f"There is no good answer from {what}: {reason}. Is Cartouche running?"
    )
