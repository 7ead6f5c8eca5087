"""`cartouche datasets` and `images`: what is in the catalog, and deleting it."""

import sys
from typing import Annotated

import typer

from services.cli.options import ApiKey, Json, ProfileName, Server
from services.cli.wiring import load_connection

app = typer.Typer(help="Datasets: list, show and delete them.", no_args_is_help=True)
images = typer.Typer(help="Images of datasets: delete them.", no_args_is_help=True)

_AdminKey = Annotated[
    str,
    typer.Option(
        envvar="CARTOUCHE_API_KEY",
        help="API key of role admin or above.",
        show_default="the profile's",
    ),
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_datasets(
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """List the datasets of the organization: images, annotations, name."""
    import orjson

    from services.exporting.shown import as_json
    from services.importing.catalog import open_catalog

    called = load_connection(server, api_key, profile)
    with open_catalog(called.server, called.api_key) as catalog:
        found = list(catalog.datasets())
    if json:
        print(orjson.dumps({"datasets": [as_json(dataset) for dataset in found]}).decode())
        return
    for dataset in found:
        print(f"{dataset.image_count:>10}  {dataset.annotation_count:>12}  {dataset.name}")


@app.command("get")
def get_dataset(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Show one dataset with its classes."""
    from services.exporting.shown import json_line
    from services.importing.catalog import open_catalog
    from services.texts import printable

    called = load_connection(server, api_key, profile)
    with open_catalog(called.server, called.api_key) as catalog:
        found = catalog.dataset(dataset)
    if json:
        print(json_line(found))
        return
    print(printable(f"{found.name} ({found.slug}), made {found.created_at.ToDatetime():%Y-%m-%d}"))
    print(f"{found.image_count:,} images, {found.annotation_count:,} annotations")
    for number, kind in enumerate(found.classes):
        print(printable(f"{number:>5}  {kind.name}  {kind.type}"))


@app.command("delete")
def delete_dataset(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    yes: _Yes = False,
    server: Server = "",
    api_key: _AdminKey = "",
    profile: ProfileName = "default",
) -> None:
    """Delete a dataset with all its images, for ever. Finished exports of it stay."""
    from services.importing.catalog import open_catalog

    called = load_connection(server, api_key, profile)
    with open_catalog(called.server, called.api_key) as catalog:
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
    server: Server = "",
    api_key: _AdminKey = "",
    profile: ProfileName = "default",
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
    called = load_connection(server, api_key, profile)
    with open_catalog(called.server, called.api_key) as catalog:
        deleted, not_found = catalog.delete_images(dataset, paths)
    print(f"deleted {deleted} images of dataset {dataset!r}")
    for path in not_found:
        print(f"not found: {path}", file=sys.stderr)
    if not_found:
        raise typer.Exit(3)
