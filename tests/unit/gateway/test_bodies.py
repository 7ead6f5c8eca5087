"""The fields of the answers."""

from datetime import UTC, datetime

from cartouche.exports.v1 import export_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from gateway import bodies, schemas

NEW = pb.Export(
    id="0b6c1d0e-7f6a-4f5e-9d5b-0a4a3f0f7d11",
    organization_id="org",
    dataset_id="dataset",
    dataset_name="street-scenes",
    name="Training Export v1",
    format="pictograph",
    status=pb.EXPORT_STATUS_PENDING,
    stage="plan",
    created_at=Timestamp(seconds=1705314600, nanos=987_654_321),
)


def changed(**fields: object) -> pb.Export:
    message = pb.Export()
    message.CopyFrom(NEW)
    message.MergeFrom(pb.Export(**fields))  # type: ignore[arg-type]
    return message


def test_a_new_export_has_every_key_and_no_error() -> None:
    body = bodies.export(NEW)
    assert set(body) == set(schemas.Export.model_fields) - {"error_message", "error_code"}
    assert body["created_at"] == "2024-01-15T10:30:00Z"
    assert (body["dataset_id"], body["project_id"]) == ("dataset", "dataset")
    unknown = {key for key, value in body.items() if value is None}
    assert unknown == {
        "class_filter",
        "status_filter",
        "image_count",
        "annotation_count",
        "file_size",
        "completed_at",
        "expires_at",
        "download_url",
        "crc32",
        "sha256",
        "warnings",
        "queued_at",
        "snapshot_at",
        "callback_url",
        "retries",
    }


def test_zero_is_not_unknown() -> None:
    body = bodies.export(changed(image_count=0, annotation_count=0, file_size=0, crc32=0))
    assert (body["image_count"], body["annotation_count"], body["file_size"]) == (0, 0, 0)
    assert body["crc32"] == "00000000"


def test_only_a_failed_export_has_an_error_message() -> None:
    failed = changed(
        status=pb.EXPORT_STATUS_FAILED,
        error_message="No image fits the filter.",
        error_code="selection_empty",
    )
    assert bodies.export(failed)["error_message"] == "No image fits the filter."
    assert bodies.export(failed)["error_code"] == "selection_empty"
    leftover = bodies.export(changed(error_message="leftover", error_code="leftover"))
    assert not {"error_message", "error_code"} & set(leftover)


def test_what_is_tried_again_says_when() -> None:
    at = Timestamp(seconds=1705314600)
    retries = pb.ExportRetries(count=2, code="worker_lost", reason="A worker was lost.", at=at)
    said = bodies.export(changed(retries=retries))["retries"]
    assert (said["count"], said["code"], said["reason"]) == (2, "worker_lost", retries.reason)
    assert (said["at"], said["next_at"]) == ("2024-01-15T10:30:00Z", None)
    retries.next_at.seconds = at.seconds + 30
    assert bodies.export(changed(retries=retries))["retries"]["next_at"] == "2024-01-15T10:30:30Z"


times = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 31), timezones=st.just(UTC))
counts = st.none() | st.integers(0, 2**63 - 1)


@given(
    st.sampled_from(sorted(bodies.STATUSES)),
    times,
    counts,
    st.none() | st.integers(0, 2**32 - 1),
    st.lists(st.text(max_size=5), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_every_export_fits_the_documented_shape(
    status: pb.ExportStatus.ValueType,
    time: datetime,
    count: int | None,
    crc32: int | None,
    classes: list[str],
    warned: bool,
    tried: bool,
) -> None:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    message = changed(
        status=status,
        created_at=stamp,
        completed_at=stamp,
        image_count=count,
        crc32=crc32,
        class_filter=classes,
        warnings=pb.ExportWarnings(dropped=3) if warned else None,
        retries=pb.ExportRetries(count=2, at=stamp) if tried else None,
    )
    body = bodies.export(message)
    schemas.Export.model_validate(body, strict=True, extra="forbid")
    assert body["created_at"] == time.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_other_answers_fit_their_documented_shapes() -> None:
    download = bodies.download(
        pb.GetDownloadUrlResponse(
            download_url="http://x/", expires_at=NEW.created_at, file_size=5, name="x", crc32=1
        )
    )
    schemas.Download.model_validate(download, strict=True, extra="forbid")
    deleted = bodies.deleted(pb.DeleteExportResponse(id="1"))
    schemas.Deleted.model_validate(deleted, strict=True, extra="forbid")
    preview = bodies.preview(
        pb.PreviewExportResponse(
            image_count=2,
            classes=[pb.PreviewClass(name="car", annotation_count=3)],
            losses=[pb.ExpectedLoss(kind=pb.LOSS_KIND_DROPPED, reason="x", count=1, at_most=True)],
            notes=["x"],
        )
    )
    schemas.Preview.model_validate(preview, strict=True, extra="forbid")
    bulk = bodies.bulk_deleted(pb.BulkDeleteExportsResponse(deleted=["1"], not_found=["2"]))
    schemas.BulkDeleted.model_validate(bulk, strict=True, extra="forbid")
    assert (bulk["count"], bulk["succeeded"]) == (1, ["1"])
