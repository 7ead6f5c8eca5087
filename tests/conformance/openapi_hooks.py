"""What the OpenAPI document cannot say, told to schemathesis, which loads this file."""

from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks


@schemathesis.hook  # type: ignore[untyped-decorator]
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A filter names classes of its dataset, and a callback an address that may be called, of which
    no document can know; a request that is to be accepted names one that is."""
    body = case.body
    is_valid = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if is_valid and isinstance(body, dict) and isinstance(body.get("class_filter"), list):
        body["class_filter"] = ["car" for _ in body["class_filter"]]
    if is_valid and isinstance(body, dict) and body.get("callback_url"):
        body["callback_url"] = "https://nobody.invalid/hook"


_was_deleted_here = checks.resource_was_deleted


def _was_deleted_anywhere(recorder: Any, case: Any, *, created_by: str | None = None) -> bool:
    """An export has several addresses: deleted at one, it is gone at all of them."""
    if _was_deleted_here(recorder, case, created_by=created_by):
        return True
    made = recorder.find_response(case_id=created_by)
    if made is None:
        return False
    export_id = made.json()["id"]
    answers = (
        recorder.find_response(case_id=prior.id)
        for prior in recorder.find_all_cases()
        if prior.operation.method.upper() == "DELETE" or prior.path.endswith("/bulk-delete")
    )
    return any(a is not None and a.status_code == 200 and export_id in a.text for a in answers)


checks.resource_was_deleted = _was_deleted_anywhere
