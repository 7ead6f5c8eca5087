"""The words of the `cartouche` command."""

from importlib.metadata import version as package_version
from typing import Annotated

import typer

from services.cli import (
    datasets,
    demo,
    doctor,
    exports,
    health,
    importing,
    keys,
    serve,
    setup,
    webhooks,
)

app = typer.Typer(
    name="cartouche",
    help="Dataset exports for computer-vision teams, over REST and gRPC.\n\n"
    "`cartouche run` serves everything on one machine; `serve`, `gateway` and `worker` run one "
    "part each. Settings come from the environment (CARTOUCHE_…); the README lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(serve.run)
app.command()(serve.serve)
app.command()(serve.gateway)
app.command()(serve.worker)
app.command()(setup.migrate)
app.command()(doctor.doctor)
app.command()(health.health)
app.command("rate-limit")(keys.rate_limit)
app.command("work-limits")(keys.work_limits)
app.command("import")(importing.import_dataset)
app.command()(demo.demo)
app.add_typer(exports.app, name="exports")
app.add_typer(datasets.app, name="datasets")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(datasets.images, name="images")
app.add_typer(keys.app, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cartouche {package_version('cartouche')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
