"""`cartouche import`: a dataset on disk, sent to a server."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from services.cli.options import ProfileName, Server
from services.cli.wiring import load_connection
from services.formats.registry import IMPORTED_FORMATS


class OnBroken(StrEnum):
    """What becomes of an image whose file ends before the picture does."""

    skip = "skip"
    take = "take"


def import_dataset(
    dataset: Annotated[str, typer.Option(help="Name of the dataset; made if it is missing.")],
    images: Annotated[Path, typer.Option(help="Folder of the image files.")],
    annotations: Annotated[
        Path | None,
        typer.Option(help="Annotation file or folder.", show_default="the folder of the images"),
    ] = None,
    format: Annotated[
        str, typer.Option(help=f"One of {', '.join(IMPORTED_FORMATS)}; auto: recognise it.")
    ] = "auto",
    status: Annotated[
        str | None,
        typer.Option(
            help="Status of the images: new, annotate, review or complete.",
            show_default="what the source says, else new",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of all images: train, val or test.", show_default="what the source says"
        ),
    ] = None,
    split_from: Annotated[
        Path | None,
        typer.Option(help="Folder with train.txt, val.txt, test.txt, or a file of path,split."),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Folder in the dataset that all images get, to keep two sets apart.")
    ] = "",
    on_broken: Annotated[
        OnBroken, typer.Option(help="What to do with an image whose file breaks off.")
    ] = OnBroken.skip,
    report: Annotated[
        Path | None,
        typer.Option(help="File for everything that is left out or repaired, as JSON lines."),
    ] = None,
    rehash: Annotated[
        bool,
        typer.Option("--rehash", help="Read every file, also where it looks as it did before."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say all of it, send nothing.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Send nothing where anything would be left out.")
    ] = False,
    server: Server = "",
    api_key: Annotated[
        str,
        typer.Option(
            envvar="CARTOUCHE_API_KEY",
            help="API key of role member or above.",
            show_default="the profile's",
        ),
    ] = "",
    profile: ProfileName = "default",
) -> None:
    """Import images and annotations into a dataset. Running it again changes nothing.

    Ends with 0 where every image and annotation is in, 3 where some were left out or changed, 1
    where none is in, and 2 for wrong usage.
    """
    from services.importing.command import ImportCall, run_import
    from services.importing.dataset import ImportOptions

    called = load_connection(server, api_key, profile, needs_key=False)
    raise typer.Exit(
        run_import(
            ImportCall(
                dataset=dataset,
                format=format,
                images=images,
                annotations=annotations or images,
                options=ImportOptions(
                    status=status,
                    split_from=split_from,
                    split=split,
                    prefix=prefix,
                    takes_broken=on_broken is OnBroken.take,
                ),
                server=called.server,
                api_key=called.api_key,
                report=report,
                rehashes=rehash,
                is_dry=dry_run,
                is_strict=strict,
            )
        )
    )
