"""Classes of datasets between their plain values and protobuf."""

from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.model import ClassAttribute, DatasetClass, Skeleton, SkeletonNode


def class_of(message: pb.DatasetClass) -> DatasetClass:
    """A class as it comes over the wire, with the defaults filled in."""
    return DatasetClass(
        name=message.name,
        type=message.type or "bbox",
        color=message.color or "#808080",
        supercategory=message.supercategory,
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
        supercategory=item.supercategory,
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
