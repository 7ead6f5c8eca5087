"""`cartouche datasets` and `images`: what is in the catalog, and deleting it."""

import sys
from typing import Annotated

import typer

from services.cli.wiring import load_endpoint

app = typer.Typer(help="Datasets: list and delete them.", no_args_is_help=True)
images = typer.Typer(help="Images of datasets: delete them.", no_args_is_help=True)

_Server = Annotated[
    str, typer.Option(envvar="CARTOUCHE_SERVER", help="gRPC address of the server.")
]
_ApiKey = Annotated[str, typer.Option(envvar="CARTOUCHE_API_KEY", help="API key.")]
_AdminKey = Annotated[
    str, typer.Option(envvar="CARTOUCHE_API_KEY", help="API key of role admin or above.")
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_DEFAULT_SERVER = "127.0.0.1:50051"


@app.command("list")
def list_datasets(server: _Server = _DEFAULT_SERVER, api_key: _ApiKey = "") -> None:
    """List the datasets of the organization: images, annotations, name."""
    from services.importing.catalog import open_catalog

    with open_catalog(load_endpoint(server), api_key) as catalog:
        for found in catalog.datasets():
            print(f"{found.image_count:>10}  {found.annotation_count:>12}  {found.name}")


@app.command("delete")
def delete_dataset(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    yes: _Yes = False,
    server: _Server = _DEFAULT_SERVER,
    api_key: _AdminKey = "",
) -> None:
    """Delete a dataset with all its images, for ever. Finished exports of it stay."""
    from services.importing.catalog import open_catalog

    with open_catalog(load_endpoint(server), api_key) as catalog:
        found = catalog.dataset(dataset)
        what = (
            f"dataset {found.name!r} with {found.image_count} images and "
            f"{found.annotation_count} annotations"
        )
        if not yes:
            typer.confirm(f"Delete {what}, for ever?", abort=True)
        catalog.delete_dataset(found.name)
    print(f"deleted {what}")


@images.command("delete")
def delete_images(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    paths: Annotated[
        list[str], typer.Argument(help="Paths of images in it; -: read them, line by line.")
    ],
    yes: _Yes = False,
    server: _Server = _DEFAULT_SERVER,
    api_key: _AdminKey = "",
) -> None:
    """Delete images with their annotations, for ever. Ends with 3 where some were not found."""
    from services.errors import Invalid
    from services.importing.catalog import open_catalog

    if paths == ["-"]:
        if not yes:
            raise Invalid.of("--yes", "is needed where paths are read from standard input")
        paths = sys.stdin.read().splitlines()
    if not yes:
        typer.confirm(f"Delete {len(paths)} images of dataset {dataset!r}, for ever?", abort=True)
    with open_catalog(load_endpoint(server), api_key) as catalog:
        deleted, not_found = catalog.delete_images(dataset, paths)
    print(f"deleted {deleted} images of dataset {dataset!r}")
    for path in not_found:
        print(f"not found: {path}", file=sys.stderr)
    if not_found:
        raise typer.Exit(3)
