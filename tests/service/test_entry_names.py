"""Images of any name make archives in which every entry has a name of its own."""

import pytest

from services.catalog.names import folded, folders_of
from tests.datasets import Picture, bbox, jpeg, put_all, unique
from tests.exports import completed, download, failed, unzip
from tests.stack import Stack

#: Images whose names have no extension, one that is not an image's, or that of a text.
PATHS = ("cam/frame", "cam/frame2", ".hidden", "shot.json", "shot.jpg", "_annotations.coco.json")


@pytest.fixture(scope="module")
def odd(stack: Stack) -> str:
    """A dataset of `PATHS`, and of images that lie beside a folder of their own name."""
    name = unique("odd")
    pictures = [
        Picture(path, jpeg(seed=number), [bbox("car")]) for number, path in enumerate(PATHS)
    ]
    put_all(stack, name, pictures)
    # The image before the folder, the folder before the image, and both at once.
    put_all(stack, name, [Picture("late", jpeg()), Picture("x.0001/a.jpg", jpeg())])
    put_all(stack, name, [Picture("Late/a.jpg", jpeg()), Picture("X.0001", jpeg())])
    put_all(stack, name, [Picture("both", jpeg()), Picture("both/b/a.jpg", jpeg())])
    return name


# Those that put text beside images, pair by stem, and have no folders; all are in the unit tests.
@pytest.mark.parametrize("name", ["labelme", "yolo", "roboflow_coco"])
def test_every_entry_has_a_name_of_its_own(stack: Stack, odd: str, name: str) -> None:
    export = completed(stack, odd, format=name, include_images=True)
    with unzip(download(stack, export.id)) as archive:
        names = [folded(entry) for entry in archive.namelist()]
        images = [info for info in archive.infolist() if info.compress_type == 0]
    assert len(set(names)) == len(names)
    assert not {folder for entry in names for folder in folders_of(entry)} & {*names}
    assert len(images) == len(PATHS) + 6
    texts = len(names) - len(images)
    one = len([entry for entry in names if "frame2" in entry])
    # Where formats write a text for each image, every one of them has its own.
    assert texts >= (len(images) if one == 2 else 3)


def test_what_cannot_be_told_apart_is_refused_before_it_is_built(stack: Stack) -> None:
    name = unique("odd")
    put_all(stack, name, [Picture("cam", jpeg())])
    put_all(stack, name, [Picture("cam/a.jpg", jpeg()), Picture("cam~1/b.jpg", jpeg())])
    export = failed(stack, name, format="coco", include_images=True)
    assert "'images/cam~1' and 'images/cam~1/b.jpg'" in export.error_message
    assert "under another path" in export.error_message
