"""An image costs what is on it, however many classes its dataset has."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, image, info
from tests.unit.formats.samples import every_shape


class Watched(tuple[Any, ...]):
    """Classes that count how often somebody goes through them."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        Watched.walks += 1
        return super().__iter__()


@pytest.mark.parametrize("class_filter", [(), ("car", "person")])
@pytest.mark.parametrize("name", FORMATS)
def test_classes_are_walked_through_once_for_an_export(
    name: str, class_filter: tuple[str, ...]
) -> None:
    export = info(name, classes=Watched(CLASSES), class_filter=class_filter)
    # A cached property lies where it was computed.
    vars(export)["selected_classes"] = Watched(export.selected_classes)
    writer = FORMATS[name].writer

    def once() -> None:
        rendered = writer.render(image(every_shape()), export)
        for path, content in rendered.files:
            writer.read(path, iter(content.split(b"\n")), export)

    once()
    before = Watched.walks
    once()
    assert Watched.walks == before
