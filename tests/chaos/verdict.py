"""What must be true when everything has ended, looked up in the record, the store and the logs."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta

from minio import Minio

from services.database.engine import Database
from services.exports.inventory import take_inventory
from services.exports.model import archive_key
from services.settings import Settings
from tests.chaos.claims import QUERY, Change, overlaps
from tests.chaos.rig import Rig
from tests.chaos.run import TO_DO, Outcome, Violation
from tests.chaos.schedule import Variant
from tests.chaos.work import REASONS
from tests.exports import object_store

_ENDED = ("completed", "failed")
#: Bytes of an archive that are read at once.
_PIECE = 1024 * 1024
#: As answers quote it.
_REQUEST_ID = re.compile(r"\b[0-9a-f]{32}\b")
#: What processes say when an error is of their own making, whatever happens around them.
_OURS = (
    "a step failed",
    "a lease was not renewed",
    "a look for work failed",
    "a thread ended with an error",
    "the reconciler failed; it will try again",
    "this worker was not examined",
    "a call failed",
    "the database could not be looked at",
    "request failed",
)


def look(rig: Rig, outcome: Outcome, undisturbed: Mapping[Variant, str]) -> Iterator[Violation]:
    """Everything that is not as it must be, after a run has ended."""
    client = rig.minio.client()
    rows = {
        row[0]: row[1:]
        for row in rig.rows(
            "SELECT id, organization_id, name, status, error_code, error_message, file_size"
            " FROM exports"
        )
    }

    def archive(export_id: str) -> str:
        organization_id = rows[export_id][0]
        return _sha256(client, rig.exports_bucket, archive_key(organization_id, export_id))

    truth: dict[Variant, str] = {}
    for variant, export_id in undisturbed.items():
        _, _, status, code, message, _ = rows[export_id]
        expected = REASONS.get(variant, "")
        if code != expected or status not in _ENDED:
            yield Violation(f"undisturbed it is {status} {code}: {message}", export_id)
        elif not code:
            truth[variant] = archive(export_id)
            yield from _unreadable(client, rig, rows[export_id][0], export_id)

    yield from _as_asked(outcome, rows)
    for order, export_id in outcome.accepted.items():
        if export_id not in rows:
            yield Violation(f"{order.name} was accepted, and the record does not know it")
            continue
        _, _, status, code, message, _ = rows[export_id]
        if status not in _ENDED:
            yield Violation(f"{order.name} is stuck: {status}", export_id)
        elif code != REASONS.get(order.variant, ""):
            yield Violation(f"{order.name} is {status} {code}: {message}", export_id)
        elif order.variant in truth and archive(export_id) != truth[order.variant]:
            yield Violation(f"{order.name} has another archive than undisturbed", export_id)

    yield from _left_to_do(rig)
    yield from _record_and_bucket(rig, rows)
    history = [Change(*row) for row in rig.rows(QUERY)]
    if len(history) < len(outcome.accepted):
        yield Violation("the history of claims was not written down")
    yield from (Violation(text, export_id) for export_id, text in overlaps(history))
    yield from _errors_of_ours(rig)


def _as_asked(outcome: Outcome, rows: Mapping[str, tuple[object, ...]]) -> Iterator[Violation]:
    """Each order made one export."""
    made = [row[1] for row in rows.values() if str(row[1]).startswith("order-")]
    asked = {order.name for order in outcome.accepted}
    if sorted(map(str, made)) != sorted(asked):
        yield Violation(f"{len(asked)} exports were asked for, and {len(made)} are in the record")


def _left_to_do(rig: Rig) -> Iterator[Violation]:
    for row in rig.rows(
        f"SELECT export_id, number, kind, held, failures, lost, errors FROM steps WHERE {TO_DO}"
    ):
        yield Violation(f"a step is not over: {row[1:]}", row[0])
    for name, running in rig.rows("SELECT name, running_steps FROM organizations"):
        if running:
            yield Violation(f"organization {name!r} is said to have {running} steps running")


def _record_and_bucket(rig: Rig, rows: Mapping[str, tuple[object, ...]]) -> Iterator[Violation]:
    """To the byte, once the inventory has cleared away what processes that died had begun."""
    nothing = timedelta()
    settings = Settings(database_url=rig.database_url)
    with closing(Database(settings.sqlalchemy_url)) as database, object_store(rig) as store:
        take_inventory(database, store, margin=nothing, removes=True)
        left = take_inventory(database, store, margin=nothing)
        if left.orphans or left.missing or left.uploads or left.stray_images:
            yield Violation(f"record and bucket do not agree: {left}")
        sizes = {info.key: info.size for info in store.list(store.exports_bucket)}
        for export_id, row in rows.items():
            organization_id, _, status, _, _, file_size = row
            key = archive_key(str(organization_id), export_id)
            size = sizes.pop(key, None)
            if status == "completed" and size != file_size:
                yield Violation(
                    f"its archive has {size} bytes, and the record {file_size}", export_id
                )
            elif status != "completed" and size is not None:
                yield Violation(f"it is {status}, and has an archive of {size} bytes", export_id)
            uploads = [upload for upload in store.list_uploads(key) if upload.key == key]
            if uploads:
                yield Violation(f"{len(uploads)} uploads of it are left", export_id)
        for key in sizes:
            yield Violation(f"the bucket holds {key}", key.split("/")[1])


def _errors_of_ours(rig: Rig) -> Iterator[Violation]:
    """No fault from outside is an error of Cartouche's own."""
    for name, line in log_lines(rig):
        if "exception" in line and line.get("message") in _OURS:
            text = f"{name} says {line['message']!r}: {line['exception']}"
            yield Violation(text, str(line.get("export_id", "")))


def log_lines(rig: Rig) -> Iterator[tuple[str, dict[str, object]]]:
    """Every line that a process has logged, with its name."""
    for name, process in rig.processes.items():
        with process.err.open(errors="replace") as lines:
            for line in lines:
                try:
                    yield name, json.loads(line)
                except ValueError:
                    # A process that was killed may end in the middle of a line.
                    yield name, {"message": line.rstrip()}


def lines_of(rig: Rig, violation: Violation) -> Iterator[str]:
    """What the logs say of its export, or of the request that it quotes, in the order of time."""
    quoted = set(_REQUEST_ID.findall(violation.text))
    found = [
        (str(line.get("time", "")), name, line)
        for name, line in log_lines(rig)
        if (violation.export_id and line.get("export_id") == violation.export_id)
        or line.get("request_id") in quoted
    ]
    for _, name, line in sorted(found, key=lambda item: item[0]):
        yield f"{name}: {json.dumps(line)}"


def _sha256(client: Minio, bucket: str, key: str) -> str:
    answer = client.get_object(bucket_name=bucket, object_name=key)
    try:
        found = hashlib.sha256()
        for piece in answer.stream(_PIECE):
            found.update(piece)
        return found.hexdigest()
    finally:
        answer.close()
        answer.release_conn()


def _unreadable(
    client: Minio, rig: Rig, organization: object, export_id: str
) -> Iterator[Violation]:
    answer = client.get_object(
        bucket_name=rig.exports_bucket, object_name=archive_key(str(organization), export_id)
    )
    try:
        with zipfile.ZipFile(io.BytesIO(answer.read())) as opened:
            if bad := opened.testzip():
                yield Violation(f"undisturbed its archive is damaged at {bad}", export_id)
    finally:
        answer.close()
        answer.release_conn()
