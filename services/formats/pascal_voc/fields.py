"""What the objects of VOC carry beside their box: scalars become attributes, the rest is named."""

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from services.formats.common.source import ImportIssue

_BOXES = frozenset(("bndbox", "robndbox"))
_FLAGS = ("difficult", "truncated", "occluded")
#: Elements of an object that the reader takes, or names each time.
_OF_OBJECTS = frozenset(
    ("name", "pose", "bndbox", "robndbox", "attributes", "part", "polygon", "type", *_FLAGS)
)
#: Elements of a file that say what it is about, and nothing that is lost.
_OF_FILES = frozenset(
    ("folder", "filename", "path", "source", "size", "segmented", "object", "owner")
)


def attributes_of(thing: ElementTree.Element) -> dict[str, str]:
    """The attributes of an object: those of CVAT and Datumaro, the flags of VOC that are set,
    and any other element that holds text."""
    attributes = {
        child.tag: text
        for child in thing
        if child.tag not in _OF_OBJECTS and len(child) == 0 and (text := _text(child))
    }
    for row in thing.iterfind("attributes/attribute"):
        name = (row.findtext("name") or "").strip()
        if name:
            attributes[name] = (row.findtext("value") or "").strip()
    pose = _text(thing.find("pose"))
    if pose.lower() not in ("", "unspecified"):
        attributes["pose"] = pose
    for flag in _FLAGS:
        value = _text(thing.find(flag))
        if value.lower() not in ("", "0", "false"):
            attributes[flag] = "true" if value == "1" else value
    return attributes


def stray_objects(root: ElementTree.Element) -> list[str]:
    """The objects of a file that are none of VOC: of another case, such as `<Object>`, or in
    an element of their own, such as `<objects>`; each by the element of the file that it is in.
    """
    return [child.tag for child in root if child.tag != "object" for _ in _objects_in(child)]


def _objects_in(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The element itself or those in it, that are called an object or have a box, but for the
    parts of one."""
    tags = {child.tag.lower() for child in element}
    if element.tag.lower() == "object" or not _BOXES.isdisjoint(tags):
        yield element
    else:
        for child in element:
            yield from _objects_in(child)


class LeftOutFields:
    """The elements that nothing becomes of, each with its count."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, root: ElementTree.Element) -> None:
        """Takes the elements of one file, but for those that hold stray objects."""
        for child in root:
            is_field = child.tag not in _OF_FILES and (len(child) or _text(child))
            if is_field and not any(_objects_in(child)):
                self._counts[f"<{child.tag[:60]}> of files"] += 1
            if child.tag == "object":
                for part in child:
                    if part.tag not in _OF_OBJECTS and len(part):
                        self._counts[f"<{part.tag[:60]}> of objects"] += 1

    def issues(self) -> Iterator[ImportIssue]:
        """Each once."""
        for name, count in sorted(self._counts.items()):
            message = f"{count:,} times; Cartouche has no place for it"
            yield ImportIssue(name, "FIELD_LEFT_OUT", message)


def _text(element: ElementTree.Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""
