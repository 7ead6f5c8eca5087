"""How readers open the files of a source, with the words for what cannot be opened."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection
from io import BytesIO, TextIOWrapper
from posixpath import dirname

from services.formats.common.finder import Annotations, SourceFile
from services.formats.common.source import ImportFailed, ImportIssue, SourceImage


def annotation_files(
    annotations: Annotations, kind: str, leave_out: Collection[str] = ()
) -> list[SourceFile]:
    """All files below the folder of annotations whose suffix is `kind`, such as `XML`, in
    lower case, except those at the locations `leave_out`.

    Raises:
        ImportFailed: a file was given, or there is none.
    """
    if annotations.file:
        raise ImportFailed(f"{annotations} is no folder; give the folder of the {kind} files.")
    files = [
        file
        for file in annotations.folder.files_below(f".{kind.lower()}")
        if file.where not in leave_out
    ]
    if not files:
        raise ImportFailed(
            f"{annotations} holds no {kind} file; give the folder of the {kind} files."
        )
    return files


def in_folders_named(name: str, files: list[SourceFile]) -> list[SourceFile]:
    """The files below a folder of that name; all of them where none is."""
    return [file for file in files if name in dirname(file.where).split("/")] or files


def content_of(file: SourceFile) -> bytes:
    """The bytes of a file that an import cannot do without.

    Raises:
        ImportFailed: it cannot be read.
    """
    try:
        return file.read()
    except OSError as error:
        raise ImportFailed(f"{file} cannot be read: {error.strerror}.") from None


def text_of(file: SourceFile, otherwise: str = "is not UTF-8; save it as UTF-8.") -> str:
    """The text of a file in UTF-8, or in UTF-16 that says so, with line feeds alone and no byte
    order mark.

    Args:
        file: one that an import cannot do without.
        otherwise: says after its name what is wrong where it is not UTF-8.

    Raises:
        ImportFailed: it cannot be read.
    """
    try:
        return decoded(content_of(file))
    except UnicodeDecodeError:
        raise ImportFailed(f"{file} {otherwise}") from None


def decoded(content: bytes) -> str:
    """The text of these bytes, as `text_of` gives it.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return TextIOWrapper(BytesIO(content), encoding=encoding).read()


def without_annotations(path: str, kind: str) -> SourceImage:
    """An image that no annotation file speaks of."""
    problem = f"has no {kind} file; taken without annotations"
    return SourceImage(path, path, issues=[ImportIssue(path, "NO_ANNOTATION_FILE", problem)])
