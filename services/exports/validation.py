"""What a request for an export must be, as far as it can be told without building it."""

from collections.abc import Sequence

from services.catalog.datasets import name_error
from services.catalog.model import IMAGE_STATUSES, DatasetClass
from services.errors import Invalid
from services.exports.model import ExportRequest
from services.formats.registry import FORMATS
from services.texts import listed, nearest, quoted

MAX_IDEMPOTENCY_KEY = 255
#: Unknown classes that an error names.
_NAMED = 5


def field_errors(request: ExportRequest) -> dict[str, str]:
    """What is wrong with the fields, by name, before the dataset is known."""
    fields: dict[str, str] = {}
    if not request.dataset_name:
        fields["dataset_name"] = "give the name of the dataset to export"
    if problem := name_error(request.name):
        fields["name"] = problem
    if problem := format_error(request.format):
        fields["format"] = problem
    if request.status_filter and request.status_filter not in IMAGE_STATUSES:
        fields["status_filter"] = (
            f"{quoted(request.status_filter)} is no image status; use one of "
            f"{', '.join(IMAGE_STATUSES)}, or all"
        )
    if len(request.idempotency_key) > MAX_IDEMPOTENCY_KEY:
        fields["idempotency_key"] = f"use at most {MAX_IDEMPOTENCY_KEY} characters"
    return fields


def format_error(name: str) -> str:
    """What is wrong with the name of a format; empty: nothing."""
    return "" if name in FORMATS else f"{quoted(name)} is unknown; use one of {', '.join(FORMATS)}"


def class_errors(request: ExportRequest, classes: Sequence[DatasetClass]) -> dict[str, str]:
    """What is wrong with the class filter, given the dataset's classes."""
    known = [item.name for item in classes]
    found = set(known)
    unknown = [name for name in request.class_filter if name not in found]
    if not unknown:
        return {}
    named = listed(unknown, len(unknown), _NAMED)
    valid = listed(nearest(unknown, known), len(known)) if known else "none yet"
    return {"class_filter": f"{named} not among the dataset's classes: {valid}"}


def invalid(fields: dict[str, str]) -> Invalid:
    """The error that says all of it."""
    message = "; ".join(f"{name}: {text}" for name, text in fields.items())
    return Invalid("INVALID_ARGUMENT", message, {}, fields)
