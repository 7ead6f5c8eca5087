"""The console: files that a browser loads, and what it may do with them.

They know nothing but the REST API, as any client does. The Content-Security-Policy (W3C, CSP 3)
lets the page talk to this gateway and to the object store of the archives, and load nothing from
anywhere else.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from fastapi import APIRouter, Request
from starlette.responses import Response

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def router(store_origins: tuple[str, ...]) -> APIRouter:
    """The page at `/`, and what it loads below `/console/`.

    Args:
        store_origins: scheme, host and port of the links to archives, which the page reads parts
            of.
    """
    headers = {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' blob: data:",
                " ".join(("connect-src 'self'", *store_origins)),
                "form-action 'none'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            )
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Asked for each time, and sent when it is another one.
        "Cache-Control": "no-cache",
    }
    found = _files()
    routes = APIRouter(include_in_schema=False)

    def answer(request: Request, file: _File) -> Response:
        told = {**headers, "ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=told)
        return Response(file.content, headers=told, media_type=file.media_type)

    async def index(request: Request) -> Response:
        return answer(request, found[_INDEX])

    def serving(file: _File) -> None:
        async def one(request: Request) -> Response:
            return answer(request, file)

        routes.get(f"/console/{name}")(one)

    routes.get("/")(index)
    for name, file in found.items():
        if name != _INDEX:
            serving(file)
    return routes


def _files() -> dict[str, _File]:
    """Every file of the console by its name; they are small, and few."""
    made = {}
    for entry in files("gateway").joinpath("console").iterdir():
        kind = _TYPES.get(PurePosixPath(entry.name).suffix)
        if kind is not None:
            content = entry.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            made[entry.name] = _File(content, kind, f'"{digest}"')
    return made
