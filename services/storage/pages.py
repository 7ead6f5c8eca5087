"""Pages of other origins, as the console: the rule that lets them read archives by their links, and
what a browser would make of the store's answer.

The rule: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html; what browsers do:
https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import md5
from xml.etree import ElementTree

from services.storage.answers import parse, tag, text
from services.storage.errors import StorageError
from services.storage.pool import ConnectionFailed, HttpPool
from services.storage.presigned import PresignedCalls

#: By this name our rule is known again, and may be replaced; others are the operator's.
_RULE = "cartouche-console"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_CONTENT = (
    *(("AllowedMethod", method) for method in ("GET", "HEAD")),
    *(
        ("AllowedHeader", name)
        for name in ("range", "if-match", "if-none-match", "if-range", "if-modified-since")
    ),
    *(
        ("ExposeHeader", name)
        for name in ("etag", "content-range", "content-length", "accept-ranges", "last-modified")
    ),
    # Seconds that a browser may remember it.
    ("MaxAgeSeconds", "3600"),
)


class PagesRefused(Exception):
    """Pages may not read archives, or nobody here may let them; the message says why."""


def allow_pages(calls: PresignedCalls, bucket: str, origins: Sequence[str]) -> None:
    """Lets pages of these origins read objects of the bucket by links, in ranges.

    A bucket that has rules of somebody else is left as it is.

    Raises:
        PagesRefused: it has such rules, the store knows none for a bucket or does not answer, or
            these credentials may not set them.
    """
    question = {"cors": ""}
    try:
        if _has_others(calls, bucket, question):
            raise PagesRefused("it has rules of its own, which stay")
        document = _document(origins)
        calls.call_bucket(
            bucket,
            question,
            method="PUT",
            body=document,
            headers={
                "Content-Type": "application/xml",
                "Content-MD5": b64encode(md5(document, usedforsecurity=False).digest()).decode(),
            },
        )
    except StorageError as error:
        why = getattr(error, "code", "") or str(error)
        raise PagesRefused(f"the store takes no rules from here ({why})") from error


def try_page(pool: HttpPool, link: str, origin: str) -> None:
    """Reads a byte of a link as a page of this origin does, which needs no preflight
    (https://fetch.spec.whatwg.org/#cors-safelisted-request-header).

    Raises:
        PagesRefused: a browser would keep the answer from the page, or there is none.
    """
    try:
        with pool.exchange("GET", link, headers={"Origin": origin, "Range": "bytes=0-0"}) as answer:
            content = answer.read()
    except ConnectionFailed as error:
        raise PagesRefused(f"no answer here: {error}") from error
    if not 200 <= answer.status < 300:
        raise PagesRefused(f"it answers a link with {answer.status} {answer.reason}")
    allowed = answer.headers.get("Access-Control-Allow-Origin")
    if allowed not in ("*", origin):
        said = "none" if allowed is None else repr(allowed)
        raise PagesRefused(f"its answer to {origin} allows {said} (Access-Control-Allow-Origin)")
    if len(content) != 1:
        raise PagesRefused(f"it sends {len(content)} bytes to who asks for one (Range)")


def _has_others(calls: PresignedCalls, bucket: str, question: dict[str, str]) -> bool:
    """Whether the bucket has rules that are not ours."""
    try:
        there = parse(calls.call_bucket(bucket, question))
    except StorageError as error:
        if getattr(error, "code", "") == "NoSuchCORSConfiguration":
            return False
        raise
    if tag(there) != "CORSConfiguration":
        raise PagesRefused("the store knows no such rules, or has them in a way of its own")
    return any(text(rule, "ID") != _RULE for rule in there)


def _document(origins: Sequence[str]) -> bytes:
    root = ElementTree.Element("CORSConfiguration", xmlns=_NAMESPACE)
    rule = ElementTree.SubElement(root, "CORSRule")
    for name, value in (
        ("ID", _RULE),
        *(("AllowedOrigin", origin) for origin in origins),
        *_CONTENT,
    ):
        ElementTree.SubElement(rule, name).text = value
    return ElementTree.tostring(root)
