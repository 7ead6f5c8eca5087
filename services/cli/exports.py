"""`cartouche exports`: make, follow, download and delete exports of a server."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.options import ApiKey, Json, ProfileName, Server
from services.cli.wiring import load_connection
from services.formats.registry import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from services.exporting.calls import Address
    from services.exporting.command import Commands

app = typer.Typer(
    help="Exports: make, follow, download and delete them.\n\n"
    "An export is told by its dataset and its name, or by its id. Commands end with 0 when all is "
    "done, 1 where the server refuses or is away or a file is wrong, 2 for wrong usage, 3 where "
    "the export that they wait for fails, and 130 when they are interrupted.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Status(StrEnum):
    """The statuses of an export."""

    pending = "pending"
    processing = "processing"
    completed = "completed"
    failed = "failed"


class ImageStatus(StrEnum):
    """The statuses of an image."""

    new = "new"
    annotate = "annotate"
    review = "review"
    complete = "complete"


def _formats(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


_Export = Annotated[
    list[str], typer.Argument(help="Dataset and name, or id.", metavar="DATASET NAME | ID")
]
_Dataset = Annotated[str, typer.Argument(help="Name of the dataset.")]
_Format = Annotated[
    str, typer.Option(help=f"One of {', '.join(FORMATS)}.", autocompletion=_formats)
]
_Images = Annotated[bool, typer.Option("--images", help="Put the image files in, too.")]
_Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="Only annotations of this class; may be given again."),
]
_Status = Annotated[ImageStatus | None, typer.Option(help="Only images of this status.")]
_Unannotated = Annotated[
    bool,
    typer.Option(
        "--include-unannotated", help="With --class: keep images without any annotation left."
    ),
]
_BySplit = Annotated[
    bool, typer.Option("--by-split", help="Top folders train, valid and test in the archive.")
]
_Wait = Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")]


@app.command(epilog="    cartouche exports create cells first --format coco --images --wait")
def create(
    dataset: _Dataset,
    name: Annotated[str, typer.Argument(help="Name of the export, unique in the dataset.")],
    format: _Format = "pictograph",
    images: _Images = False,
    classes: _Classes = None,
    status: _Status = None,
    include_unannotated: _Unannotated = False,
    by_split: _BySplit = False,
    idempotency_key: Annotated[
        str, typer.Option(help="The same key again answers with the same export, for a day.")
    ] = "",
    callback_url: Annotated[
        str,
        typer.Option(
            help="Told when it ends, as a webhook is; `cartouche webhooks callback-secret` says "
            "what messages are signed with."
        ),
    ] = "",
    wait: _Wait = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Make an export; it is built in the background."""
    from cartouche.exports.v1 import export_service_pb2 as pb

    request = pb.CreateExportRequest(
        dataset_name=dataset,
        name=name,
        format=format,
        include_images=images,
        class_filter=classes or [],
        status_filter=status or "",
        include_unannotated=include_unannotated,
        organize_by_split=by_split,
        idempotency_key=idempotency_key,
        callback_url=callback_url,
    )
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.create(request, wait=wait))


@app.command(epilog="    cartouche exports preview cells --format yolo --class nucleus")
def preview(
    dataset: _Dataset,
    format: _Format = "pictograph",
    images: _Images = False,
    classes: _Classes = None,
    status: _Status = None,
    include_unannotated: _Unannotated = False,
    by_split: _BySplit = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Say what an export would hold, its size, and what its format cannot hold."""
    from cartouche.exports.v1 import export_service_pb2 as pb

    request = pb.PreviewExportRequest(
        dataset_name=dataset,
        format=format,
        include_images=images,
        class_filter=classes or [],
        status_filter=status or "",
        include_unannotated=include_unannotated,
        organize_by_split=by_split,
    )
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.preview(request))


@app.command("list", epilog="    cartouche exports list --dataset cells --status failed")
def list_exports(
    dataset: Annotated[str, typer.Option(help="Only exports of this dataset.")] = "",
    status: Annotated[Status | None, typer.Option(help="Only exports of this status.")] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="Only exports in this format; may be given again.", autocompletion=_formats
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """List exports, newest first."""
    from cartouche.exports.v1 import export_service_pb2 as pb

    from services.exporting.shown import STATUSES

    with _commands(server, api_key, profile, json=json) as commands:
        wanted = STATUSES[status] if status else pb.EXPORT_STATUS_UNSPECIFIED
        raise typer.Exit(commands.find(dataset, wanted, format or [], limit, offset))


@app.command(epilog="    cartouche exports get cells first --json | jq .file_size")
def get(
    export: _Export,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Show one export."""
    address = _address(export)
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.get(address))


@app.command(epilog="    cartouche exports watch cells first && echo ready")
def watch(
    export: _Export,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Follow an export to its end; with --json a line for each change."""
    address = _address(export)
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.watch(address))


@app.command(epilog="    cartouche exports download cells first --extract cells-coco")
def download(
    export: _Export,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File, or folder for it; -: standard output.",
            show_default="NAME.zip",
        ),
    ] = None,
    extract: Annotated[
        Path | None,
        typer.Option(help="Unpack into this folder; the archive stays only with -o."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Download an archive and check its sums; again, it goes on where it was cut."""
    address = _address(export)
    if output == Path("-") and extract:
        raise typer.BadParameter("an archive on standard output cannot be unpacked")
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.download(address, output, extract, force=force))


@app.command(epilog="    cartouche exports retry cells first --fresh --wait")
def retry(
    export: _Export,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, with the dataset as it is now.")
    ] = False,
    wait: _Wait = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Take a failed export up again."""
    address = _address(export)
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.retry(address, fresh=fresh, wait=wait))


@app.command(epilog="    cartouche exports cancel cells first")
def cancel(
    export: _Export,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """End an export that is waiting or being built; it stays as failed."""
    address = _address(export)
    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.cancel(address))


@app.command(epilog="    cartouche exports delete cells first --yes")
def delete(
    export: Annotated[
        list[str],
        typer.Argument(help="Dataset and name, or ids.", metavar="DATASET NAME | ID …"),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Remove exports with their archives, for ever."""
    addresses: list[Address] = []
    if all(map(_UUID.fullmatch, export)):
        addresses += export
    else:
        addresses.append(_address(export))

    def ask(question: str) -> None:
        if not yes:
            typer.confirm(question, abort=True, err=True)

    with _commands(server, api_key, profile, json=json) as commands:
        raise typer.Exit(commands.delete(addresses, ask))


def _address(words: list[str]) -> "Address":
    if len(words) == 2:
        return words[0], words[1]
    if len(words) == 1 and _UUID.fullmatch(words[0]):
        return words[0]
    raise typer.BadParameter("give a dataset and the name of an export, or the id of an export")


def _commands(
    server: str, api_key: str, profile: str, *, json: bool
) -> "AbstractContextManager[Commands]":
    from contextlib import contextmanager

    from services.exporting.calls import open_exports
    from services.exporting.command import Commands

    @contextmanager
    def opened() -> "Iterator[Commands]":
        found = load_connection(server, api_key, profile)
        try:
            with open_exports(found.server, found.api_key) as exports:
                yield Commands(exports, as_json=json)
        except KeyboardInterrupt:
            # What was begun goes on in the server, and a download where it stopped.
            raise typer.Exit(130) from None

    return opened()
