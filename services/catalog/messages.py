"""Datasets between their record and protobuf."""

from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.class_messages import class_message
from services.catalog.datasets import Dataset
from services.catalog.images import PutResult, StoredImage
from services.rpc.timestamps import timestamp

_RESULT = {
    PutResult.created: pb.PUT_IMAGE_RESULT_CREATED,
    PutResult.updated: pb.PUT_IMAGE_RESULT_UPDATED,
    PutResult.unchanged: pb.PUT_IMAGE_RESULT_UNCHANGED,
    PutResult.content_needed: pb.PUT_IMAGE_RESULT_CONTENT_NEEDED,
}


def dataset_message(dataset: Dataset) -> pb.Dataset:
    """A dataset as callers see it."""
    return pb.Dataset(
        id=dataset.id,
        organization_id=dataset.organization_id,
        name=dataset.name,
        slug=dataset.slug,
        classes=map(class_message, dataset.classes),
        image_count=dataset.image_count,
        annotation_count=dataset.annotation_count,
        created_at=timestamp(dataset.created_at),
    )


def stored_message(stored: StoredImage) -> pb.PutImagesResponse:
    """The outcome for an image that was stored."""
    width, height = stored.corrected_from or (0, 0)
    return pb.PutImagesResponse(
        path=stored.path,
        result=_RESULT[stored.result],
        image_id=stored.image_id,
        annotation_count=stored.annotation_count,
        replaced=stored.is_replaced,
        corrected_from_width=width,
        corrected_from_height=height,
    )


def rejection_message(path: str, reason: str, message: str) -> pb.PutImagesResponse:
    """The outcome for an image that was not stored."""
    return pb.PutImagesResponse(
        path=path, result=pb.PUT_IMAGE_RESULT_REJECTED, reason=reason, message=message
    )
