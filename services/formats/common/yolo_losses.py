"""What the YOLO formats of Ultralytics lose, each beside its own."""

from services.formats.common.losses import FLATTENED, SHAPES_ALONE, Archive, Kind, Loss

SPLIT_EMPTY = Loss(
    "split.empty",
    Kind.degraded,
    "no image is of the split {split}: data.yaml names those of {found}",
    Archive(2),
    foreseen="a split without images: data.yaml names those of another",
)
ROW_TWICE = Loss("label.duplicate", Kind.dropped, "the same row as another annotation")
ROW_FLAT = Loss("label.too_small", Kind.dropped, "smaller than the last digit of a label can say")
IMAGE_TOO_SMALL = Loss(
    "image.too_small",
    Kind.degraded,
    "Ultralytics skips images with a side of less than 10 pixels",
)
IMAGE_IS_GIF = Loss("image.gif", Kind.degraded, "Ultralytics takes a GIF for a video")
IMAGE_EXTENSION = Loss(
    "image.extension",
    Kind.degraded,
    "Ultralytics passes over images whose names have no extension that it knows",
)

OF_LAYOUT = (
    *SHAPES_ALONE,
    FLATTENED,
    SPLIT_EMPTY,
    ROW_TWICE,
    ROW_FLAT,
    IMAGE_TOO_SMALL,
    IMAGE_IS_GIF,
    IMAGE_EXTENSION,
)
NOTE = (
    "Equal rows of a label file, objects too small for its digits, and images that "
    "Ultralytics skips (GIFs, names without an extension or in .jfif, .jpe and .heif, sides of "
    "less than 10 pixels) are only found by the export."
)
