"""Names for archives: safe on every system, and unique there."""

import re
import unicodedata
from collections.abc import Iterator, Set
from posixpath import splitext

#: UTF-8 bytes of one component: room below the 255 of file systems for a second extension.
MAX_COMPONENT = 200
_MAX_EXTENSION = 32

IMAGE_EXTENSIONS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tiff", ".tif", ".heic",
    ".heif",
))  # fmt: skip

# Microsoft, "Naming Files, Paths, and Namespaces".
_FORBIDDEN = frozenset('<>:"|?*\\')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
# Control, format (zero-width, direction), lone surrogate, line and paragraph separator.
_HIDDEN_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
# Letters and marks without a glyph, which the categories do not tell.
_HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_JSON = ".json"
#: Most names by far: of letters, digits, `_` and `-`, with one short extension, in folders without
#: a dot. They are safe as they are, and have no number at the end of their stem.
_PLAIN = re.compile(
    rf"(?!{_RESERVED.pattern})([a-z0-9_-]{{1,160}}/(?!{_RESERVED.pattern}))*"
    r"[a-z0-9_-]{1,160}(\.(?!json\Z)[a-z0-9_-]{1,31})?",
    re.IGNORECASE | re.ASCII,
)
_NUMBERED = re.compile(r"~[0-9]+$")
_BLANK_OR_DOT = re.compile(r"[\s.]+$")


def safe_name(path: str) -> str:
    """`path` as every common file system and archive reader takes it.

    The result is relative, in NFC, without `..`, drives, backslashes, control or invisible
    characters, names and characters that Windows reserves, hidden files, and blanks or dots
    at the end of a name or stem; each component has at most 200 bytes of UTF-8. Whatever is
    not allowed becomes `_`. A folder that is named like an image or a JSON file gets a `_`,
    so that no file of an archive takes its place; so does an image that is named like a JSON
    file, as some formats put those beside the images. Safe names stay as they are.
    """
    if _PLAIN.fullmatch(path):
        return path
    return _made_safe(path)


def _made_safe(path: str) -> str:
    *folders, name = [part for part in path.split("/") if part not in ("", ".")] or ["_"]
    return "/".join([*(_safe_folder(folder) for folder in folders), _safe_file(name)])


def split_extension(name: str) -> tuple[str, str]:
    """A name, with or without folders, as its stem and its extension with the dot.

    The one rule of what an extension is: from the last dot of the last component, unless
    only dots stand before it. Many names have none.
    """
    return splitext(name)


def folded(name: str) -> str:
    """What file systems compare that ignore case and composition (Unicode 3.13, D145:
    canonical caseless matching)."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded))


def folders_of(path: str) -> Iterator[str]:
    """The folders that a path lies in, from the innermost."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def has_image_extension(path: str) -> bool:
    """Whether a path ends as image files do."""
    return split_extension(path)[1].lower() in IMAGE_EXTENSIONS


def name_key(path: str) -> str:
    """What two archive names must not share: the safe path without its extension, caseless.

    Several formats pair files by stem, and several file systems ignore case.
    """
    return folded(split_extension(safe_name(path))[0])


def archive_name(path: str, number: int, collides: bool) -> str:
    """The name of an image in every archive of its dataset.

    Args:
        path: folder and file name in the dataset.
        number: the image's number, unique in the dataset.
        collides: whether an image with a smaller path has the same `name_key`, or another
            image lies in a folder of this name.

    The safe name, with `~number` after the stem where it collides or looks as if it had
    been numbered: then a number at the end of a stem always is the image's own, so that no
    two images of a dataset share a `name_key`.
    """
    if not collides and _PLAIN.fullmatch(path):
        return path
    name = safe_name(path)
    stem, extension = split_extension(name)
    if not collides and not _NUMBERED.search(stem):
        return name
    folder, slash, last = stem.rpartition("/")
    suffix = f"~{number}"
    room = MAX_COMPONENT - len(f"{suffix}{extension}".encode())
    return f"{folder}{slash}{_cut(last, room)}{suffix}{extension}"


def _safe_folder(name: str) -> str:
    return _without(IMAGE_EXTENSIONS | {_JSON}, _safe_component(name))


def _safe_file(name: str) -> str:
    return _without({_JSON}, _safe_component(name))


def _without(extensions: Set[str], name: str) -> str:
    """The component, with a `_` at its end where it has one of these extensions."""
    if split_extension(name)[1].lower() in extensions:
        return f"{_cut(name, MAX_COMPONENT - 1)}_"
    return name


def _safe_component(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    name = "".join("_" if _is_forbidden(character) else character for character in name)
    # A mark that now follows another character may compose with it.
    name = unicodedata.normalize("NFC", _BLANK_OR_DOT.sub("", name.lstrip()))
    if name.startswith("."):
        name = f"_{name[1:]}"
    stem, extension = split_extension(name)
    extension = _cut(extension, _MAX_EXTENSION)
    room = MAX_COMPONENT - len(extension.encode())
    stem = _cut(stem, room)
    if _RESERVED.match(stem + extension):
        stem = f"_{_cut(stem, room - 1)}"
    return f"{stem or '_'}{extension}"


def _is_forbidden(character: str) -> bool:
    return (
        character in _FORBIDDEN
        or character in _HIDDEN
        or unicodedata.category(character) in _HIDDEN_CATEGORIES
    )


def _cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, without blanks or dots at the end."""
    return _BLANK_OR_DOT.sub("", text.encode()[:size].decode(errors="ignore"))
