"""`cartouche doctor`: whether what Cartouche stands on is in order."""

import typer

from services.cli.wiring import load_settings


def doctor() -> None:
    """Check database, schema, clock, object store, broker, and what is left over or missing.

    Prints a line for each, and ends with 1 where something is WRONG; what a line LACKS keeps
    nothing from its work. Changes nothing but small
    objects, which it writes and removes again.
    """
    import logging

    from services.process.diagnosis import diagnose

    settings = load_settings()
    # What clients log of their tries is said below in a line.
    logging.disable()
    is_well = True
    for finding in diagnose(settings):
        is_well = is_well and finding.is_well
        print(f"{finding.grade:<5}  {finding.part}: {finding.says}")
    if not is_well:
        raise typer.Exit(1)
