"""What LabelMe JSON loses."""

from services.formats.common.losses import (
    EVERY_SHAPE,
    MASK_OR_GROUP,
    TURNED_AS_POLYGON,
    ClassNames,
    Kind,
    Loss,
    cut_to_image,
)

NAME_WITH_GAPS = Loss(
    "class_name.gaps",
    Kind.renamed,
    "a class name with line breaks or wide gaps",
    ClassNames(lambda name: " ".join(name.split()) != name),
)

LOSSES = (*cut_to_image(EVERY_SHAPE), TURNED_AS_POLYGON, *MASK_OR_GROUP, NAME_WITH_GAPS)
