"""The XML that the store answers to presigned calls, with and without the S3 namespace."""

from http.client import HTTPResponse
from xml.etree import ElementTree

from services.storage.errors import StorageError, StorageUnavailable, failure


def parse(content: bytes) -> ElementTree.Element:
    """The root of an answer. Raises StorageUnavailable for what is no XML."""
    try:
        return ElementTree.fromstring(content.strip())
    except ElementTree.ParseError as error:
        raise StorageUnavailable(
            f"the object store gave an answer that is no XML: {error}"
        ) from error


def tag(element: ElementTree.Element) -> str:
    """The name of an element."""
    return element.tag.rpartition("}")[2]


def text(element: ElementTree.Element, name: str) -> str:
    """The text of the child of that name, empty where there is none."""
    return next((child.text or "" for child in element if tag(child) == name), "")


def refusal(
    response: HTTPResponse, content: bytes, bucket: str, key: str, upload_id: str
) -> StorageError:
    """The error that an unsuccessful answer stands for."""
    try:
        answer = ElementTree.fromstring(content.strip())
    except ElementTree.ParseError:
        return failure(response.status, "", response.reason, bucket, key, upload_id)
    code, message = text(answer, "Code"), text(answer, "Message")
    return failure(response.status, code, message, bucket, key, upload_id)
