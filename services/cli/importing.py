"""`cartouche import`: a dataset on disk, sent to a server."""

from pathlib import Path
from typing import Annotated

import typer

from services.formats.registry import IMPORTED_FORMATS


def import_dataset(
    dataset: Annotated[str, typer.Option(help="Name of the dataset; made if it is missing.")],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(IMPORTED_FORMATS)}.")],
    images: Annotated[Path, typer.Option(help="Folder of the image files.")],
    annotations: Annotated[Path, typer.Option(help="Annotation file or folder.")],
    status: Annotated[
        str | None,
        typer.Option(
            help="Status of the images: new, annotate, review or complete.",
            show_default="what the source says, else new",
        ),
    ] = None,
    split_from: Annotated[
        Path | None,
        typer.Option(help="Folder with train.txt, val.txt, test.txt, or a file of path,split."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of all images: train, val or test.",
            show_default="what the source says",
        ),
    ] = None,
    server: Annotated[
        str, typer.Option(envvar="CARTOUCHE_SERVER", help="gRPC address of the server.")
    ] = "127.0.0.1:50051",
    api_key: Annotated[
        str, typer.Option(envvar="CARTOUCHE_API_KEY", help="API key of role member or above.")
    ] = "",
) -> None:
    """Import images and annotations into a dataset. Running it again changes nothing."""
    from services.importing.command import run_import

    raise typer.Exit(
        run_import(
            dataset=dataset,
            format=format,
            images=images,
            annotations=annotations,
            status=status,
            split_from=split_from,
            split=split,
            server=server,
            api_key=api_key,
        )
    )
