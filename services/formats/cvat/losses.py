"""What CVAT for images loses."""

from services.formats.common.losses import (
    CLASS_NAME_NOT_XML,
    EVERY_SHAPE,
    MASK_OR_GROUP,
    MERGED_JOINTS,
    Annotations,
    Kind,
    Loss,
    Written,
    cut_to_image,
)

OF_SKELETON_CLASS = Loss(
    "class.wants_skeleton",
    Kind.degraded,
    "a shape that is no skeleton, of a class with one: CVAT may refuse it",
    Annotations(EVERY_SHAPE, posed=False, of_skeleton_class=True),
)
ATTRIBUTE_UNDECLARED = Loss(
    "attribute.undeclared",
    Kind.degraded,
    "CVAT leaves out an attribute that the class does not declare",
    Written(),
)

LOSSES = (
    *cut_to_image(EVERY_SHAPE, keeps_turned_boxes=True),
    *MERGED_JOINTS,
    *MASK_OR_GROUP,
    OF_SKELETON_CLASS,
    ATTRIBUTE_UNDECLARED,
    CLASS_NAME_NOT_XML,
)
