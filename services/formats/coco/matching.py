"""Which file a COCO document means by an image, and which image by an annotation."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from services.formats.coco.categories import Id
from services.formats.coco.document import CocoDocument
from services.formats.coco.listed_names import contested, path_of, paths_of
from services.formats.coco.values import identifier, kind
from services.formats.common.declared_size import declared, no_size
from services.formats.common.finder import ImageFinder
from services.formats.common.name_finder import parts_of
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportIssue

#: Where documents about panoptic segments keep their pictures.
_PANOPTIC = re.compile(r"(^|/)annotations/panoptic_[^/]*/")
#: Fields of an image that name its file, and those that say where it lies: LVIS has no other
#: than the address, and coco-annotator names the file alone beside it.
_NAMES, _PLACES = ("file_name", "filename"), ("path", "coco_url")
#: Images of one id that a message lists.
_FEW = 3


@dataclass(slots=True)
class ListedImage:
    """What the documents say about one image file."""

    #: Width and height, where they say them.
    size: tuple[int, int] | None = None
    #: As the document says.
    split: str | None = None
    #: Whether a document with annotations lists it.
    is_annotated: bool = False
    #: Rows, each with the position of its document.
    annotations: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class _Absent:
    """An image of the document that is not there."""

    name: str
    #: Why it is left out; None: nothing fits its name.
    why: str | None = None
    #: Its annotations.
    count: int = 0


@dataclass(slots=True)
class _Shared:
    """Images of the document that have one id: nobody knows whose its annotations are."""

    #: Of each, with its row.
    rows: dict[str, dict[str, Any]]
    #: Annotations of that id.
    count: int = 0


_Listing: TypeAlias = ListedImage | _Absent | _Shared
#: The rows of images in one document, by id and name.
_Rows: TypeAlias = dict[Id, dict[str, dict[str, Any]]]


class _Matching:
    """Pairs the images of documents with files, and annotations with images."""

    def __init__(self, images: ImageFinder) -> None:
        self.found: dict[str, ListedImage] = {}
        self.issues: list[ImportIssue] = []
        #: Rows of images that say neither id nor name, by document and problem.
        self.unreadable: Counter[tuple[str, str]] = Counter()
        #: Images that are left out although they are listed.
        self.refused: set[str] = set()
        self._images = images
        #: Names that fall on the file of another image, each with what that one is called.
        self._contested: dict[tuple[str, str], str] = {}

    def take_all(self, documents: Sequence[CocoDocument]) -> None:
        """Takes the rows of all documents."""
        rows = [self._rows(document) for document in documents]
        paths = [
            paths_of(
                dict.fromkeys(name for names in named.values() for name in names),
                self._images,
                document.file.folder,
                document.split,
            )
            for document, named in zip(documents, rows, strict=True)
        ]
        folders = [document.file.folder for document in documents]
        self._contested = contested([*zip(folders, paths, strict=True)], self._images)
        self.refused |= {path for path, _ in self._contested}
        for position, document in enumerate(documents):
            self._take(position, document, rows[position], paths[position])

    def _rows(self, document: CocoDocument) -> _Rows:
        named: _Rows = {}
        for row in document.images:
            key, name = _id_and_name(row)
            if name and isinstance(row, dict):
                name = self._with_folder(name, row, document)
            if key is None or not name:
                self.unreadable[document.file.where, _image_problem(row)] += 1
            else:
                # The same image once more says nothing new.
                named.setdefault(key, {}).setdefault(name, row)
        return named

    def _with_folder(self, name: str, row: dict[str, Any], document: CocoDocument) -> str:
        """The name, or what else the row calls the image by where the name alone fits no one
        image, as one that several folders have."""
        others = [other for other in map(row.get, _PLACES) if _is_name(other) and other != name]
        beside, split = document.file.folder, document.split
        if not others or path_of(name, self._images, beside, split):
            return name
        same = (other for other in others if parts_of(other)[-1:] == parts_of(name)[-1:])
        return next((o for o in same if path_of(o, self._images, beside, split)), name)

    def _take(
        self, position: int, document: CocoDocument, named: _Rows, paths: dict[str, str | None]
    ) -> None:
        by_id: dict[Id, _Listing] = {}
        for key, rows in named.items():
            if len(rows) > 1 and len({paths[name] or name for name in rows}) > 1:
                by_id[key] = _Shared(rows)
            else:
                ((name, row), *_) = rows.items()
                by_id[key] = self._listed(name, paths[name], row, document)
        self._take_annotations(position, document, by_id)
        for key, listing in by_id.items():
            if isinstance(listing, _Absent):
                self.issues.append(self._missing(listing))
            elif isinstance(listing, _Shared):
                self._take_shared(key, listing, paths, document)

    def _missing(self, image: _Absent) -> ImportIssue:
        if image.why is None:
            return self._images.missing(image.name, (image.name,), image.count)
        message = f"{image.why}; skipped with {image.count} annotations"
        return ImportIssue(image.name, "IMAGE_AMBIGUOUS", message, 1, image.count)

    def _take_shared(
        self, key: Id, shared: _Shared, paths: dict[str, str | None], document: CocoDocument
    ) -> None:
        """Takes the images of one id where there is nothing that may be of either."""
        few = ", ".join(sorted(shared.rows)[:_FEW]) + (", …" if len(shared.rows) > _FEW else "")
        said = f"stands for {len(shared.rows)} images ({few})"
        item = f"image id {shown(key)}"
        if not shared.count:
            for name, row in shared.rows.items():
                listing = self._listed(name, paths[name], row, document)
                if isinstance(listing, _Absent):
                    self.issues.append(self._missing(listing))
            self.issues.append(ImportIssue(item, "IMAGE_ID_TWICE", said))
            return
        refused = {paths[name] or name for name in shared.rows} - self.found.keys()
        self.refused |= refused
        message = (
            f"{said}, and its {shared.count} annotations may be of any of them; skipped: "
            "give each image an id of its own"
        )
        self.issues.append(ImportIssue(item, "IMAGE_ID_TWICE", message, len(refused), shared.count))

    def _listed(
        self, name: str, path: str | None, row: dict[str, Any], document: CocoDocument
    ) -> ListedImage | _Absent:
        if path is None:
            return _Absent(name)
        if other := self._contested.get((path, name)):
            return _Absent(name, f"fits {path} alone, as {other} does, which is another image")
        known = self.found.get(path)
        if known is None:
            sides = row.get("width"), row.get("height")
            if problem := no_size(name, *sides):
                self.issues.append(problem)
            known = self.found[path] = ListedImage(
                declared(*sides),
                document.split,
                bool(document.annotations),
            )
            return known
        # A list of images alone only repeats them.
        if known.is_annotated and document.annotations:
            message = "is listed twice; the annotations of both were joined"
            self.issues.append(ImportIssue(name, "IMAGE_LISTED_TWICE", message))
        known.is_annotated = known.is_annotated or bool(document.annotations)
        if document.split and known.split not in (None, document.split):
            message = f"is in {known.split} and in {document.split}; {known.split} was taken"
            self.issues.append(ImportIssue(name, "SPLIT_TWICE", message))
        known.split = known.split or document.split
        return known

    def _take_annotations(
        self, position: int, document: CocoDocument, by_id: dict[Id, _Listing]
    ) -> None:
        unreadable: Counter[str] = Counter()
        for row in document.annotations:
            if not isinstance(row, dict):
                unreadable[f"an annotation is {kind(row)}, and must be an object"] += 1
                continue
            image_id = row.get("image_id")
            key = image_id if type(image_id) is int else identifier(image_id)
            if key is None:
                problem = f"image_id is {kind(image_id)}, and must be a whole number"
                unreadable[problem] += 1
                continue
            image = by_id.get(key)
            if image is None:
                message = f"its image id {shown(key)} is not in the list of images; skipped"
                self.issues.append(
                    ImportIssue(
                        f"annotation {shown(row.get('id'))}",
                        "IMAGE_UNKNOWN",
                        message,
                        annotations=1,
                    )
                )
            elif isinstance(image, ListedImage):
                image.annotations.append((position, row))
            else:
                image.count += 1
        where = document.file.where
        for problem, count in unreadable.items():
            message = f"{problem}; {count:,} annotations skipped"
            issue = ImportIssue(where, "ANNOTATION_UNREADABLE", message, annotations=count)
            self.issues.append(issue)


def match(
    documents: Sequence[CocoDocument], images: ImageFinder
) -> tuple[dict[str, ListedImage], list[ImportIssue]]:
    """Pairs the documents' images with files, and annotations with images.

    Returns:
        What the documents say about each file that they list, by path, and what fits nothing.
    """
    matching = _Matching(images)
    matching.take_all(documents)
    known = matching.found.keys() | matching.refused
    unlisted = [path for path in images.paths if path not in known]
    drawn = [path for path in unlisted if _PANOPTIC.search(path)]
    message = "the document has no such image; skipped"
    issues = [*images.issues, *matching.issues]
    if drawn:
        problem = f"{len(drawn):,} pictures of panoptic segments are no images; left out"
        issues.append(ImportIssue(drawn[0], "MASKS_LEFT_OUT", problem))
    left_out = set(drawn)
    unlisted = [path for path in unlisted if path not in left_out]
    issues += [ImportIssue(path, "IMAGE_NOT_LISTED", message, images=1) for path in unlisted]
    # They may be the rows of just these images, of which each counts once.
    counted = len(unlisted)
    for (where, problem), count in matching.unreadable.items():
        more = max(count - counted, 0)
        counted -= count - more
        message = f"{problem}; {count:,} images skipped"
        issues.append(ImportIssue(where, "IMAGE_UNREADABLE", message, images=more))
    return matching.found, issues


def _id_and_name(row: Any) -> tuple[Id | None, str]:
    if not isinstance(row, dict):
        return None, ""
    key = row.get("id")
    key = key if type(key) is int else identifier(key)
    name = _given_name(row)
    return key, name if _is_name(name) else ""


def _given_name(row: dict[str, Any]) -> Any:
    """What the row calls its image; where it has no name at all, its place."""
    given = (row[field] for field in (*_NAMES, *_PLACES) if row.get(field) is not None)
    return next(given, None)


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and is_storable(value)


def _image_problem(row: Any) -> str:
    if not isinstance(row, dict):
        return f"an image is {kind(row)}, and must be an object"
    if identifier(row.get("id")) is None:
        return f"the id of an image is {kind(row.get('id'))}, and must be a whole number"
    name = _given_name(row)
    if not isinstance(name, str):
        return f"the file_name of an image is {kind(name)}, and must be text"
    if not name:
        return "the file_name of an image is empty, and must be the name of a file"
    return f"the file_name of an image, {shown(name)}, holds half of a character, and is no text"
