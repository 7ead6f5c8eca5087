"""`cartouche health`: what a container's health check and an orchestrator's probes run."""

from typing import Annotated, Literal

import typer

from services.cli.wiring import load_settings


def health(
    part: Annotated[
        Literal["gateway", "server", "worker"] | None,
        typer.Argument(help="The part to ask.", show_default="whatever listens on this machine"),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether the process works.")
    ] = False,
) -> None:
    """Ask the parts on this machine whether they can do their work.

    They are asked where the settings say that they listen; a worker at CARTOUCHE_METRICS_PORT.
    Ends with 1 where one is not well, or none is there.
    """
    from services.process.probes import Part, ask, listening

    settings = load_settings()
    parts = [Part(part)] if part else listening(settings)
    if not parts:
        print("no part of Cartouche listens here")
        raise typer.Exit(1)
    answers = [ask(settings, each, is_live=live) for each in parts]
    for answer in answers:
        print(f"{'ok   ' if answer.is_well else 'WRONG'}  {answer.part}: {answer.says}")
    if not all(answer.is_well for answer in answers):
        raise typer.Exit(1)
