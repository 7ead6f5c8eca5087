"""Datasets between their record and protobuf."""

from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.datasets import Dataset
from services.catalog.images import PutResult, StoredImage
from services.catalog.model import ClassAttribute, DatasetClass, Skeleton, SkeletonNode
from services.exports.messages import timestamp

_RESULT = {
    PutResult.created: pb.PUT_IMAGE_RESULT_CREATED,
    PutResult.updated: pb.PUT_IMAGE_RESULT_UPDATED,
    PutResult.unchanged: pb.PUT_IMAGE_RESULT_UNCHANGED,
}


def class_of(message: pb.DatasetClass) -> DatasetClass:
    """A class as it comes over the wire, with the defaults filled in."""
    return DatasetClass(
        name=message.name,
        type=message.type or "bbox",
        color=message.color or "#808080",
        attributes=tuple(
            ClassAttribute(a.name, a.type or "text", tuple(a.values)) for a in message.attributes
        ),
        skeleton=Skeleton(
            nodes=tuple(SkeletonNode(n.name, n.x, n.y) for n in message.skeleton.nodes),
            edges=tuple((getattr(e, "from"), e.to) for e in message.skeleton.edges),
        )
        if message.HasField("skeleton")
        else None,
    )


def class_message(item: DatasetClass) -> pb.DatasetClass:
    """A class as it goes over the wire."""
    message = pb.DatasetClass(
        name=item.name,
        type=item.type,
        color=item.color,
        attributes=[
            pb.ClassAttribute(name=a.name, type=a.type, values=a.values) for a in item.attributes
        ],
    )
    if item.skeleton:
        message.skeleton.CopyFrom(
            pb.Skeleton(
                nodes=[pb.SkeletonNode(name=n.name, x=n.x, y=n.y) for n in item.skeleton.nodes],
                edges=[pb.SkeletonEdge(**{"from": a, "to": b}) for a, b in item.skeleton.edges],
            )
        )
    return message


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
    return pb.PutImagesResponse(
        path=stored.path,
        result=_RESULT[stored.result],
        image_id=stored.image_id,
        annotation_count=stored.annotation_count,
    )


def rejection_message(path: str, reason: str, message: str) -> pb.PutImagesResponse:
    """The outcome for an image that was not stored."""
    return pb.PutImagesResponse(
        path=path, result=pb.PUT_IMAGE_RESULT_REJECTED, reason=reason, message=message
    )
