"""`cartouche keys`, `rate-limit` and `work-limits`: who may call, how often, and how much."""

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.wiring import load_settings

if TYPE_CHECKING:
    from services.database.engine import Database

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command("create")
def create(
    organization: Annotated[
        str, typer.Option(help="Name of the organization; made if it is missing.")
    ],
    role: Annotated[str, typer.Option(help="viewer, member, admin or owner.")],
) -> None:
    """Make an API key and print it: the only time that it is seen."""
    from services.errors import Invalid
    from services.identity.keys import create_key, ensure_organization
    from services.identity.roles import Role

    if role not in Role.__members__:
        raise Invalid.of("role", f"{role!r} is not one of {', '.join(Role.__members__)}")
    database = _migrated_database()
    print(create_key(database, ensure_organization(database, organization), Role[role]))


def rate_limit(
    organization: Annotated[str, typer.Option(help="Name of the organization.")],
    per_hour: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Calls an hour of each of its keys; 0: any number.",
            show_default="the default",
        ),
    ] = None,
) -> None:
    """Give an organization a rate limit of its own, or the default again."""
    from services.identity.keys import set_rate_limit

    set_rate_limit(_migrated_database(), organization, per_hour)


def work_limits(
    organization: Annotated[str, typer.Option(help="Name of the organization.")],
    running_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps of its exports that run at once, over all workers.",
            show_default="the default",
        ),
    ] = None,
    pending_exports: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Exports that may wait to be built; more are refused.",
            show_default="the default",
        ),
    ] = None,
) -> None:
    """Give an organization limits of its own on running steps and waiting exports, or the
    defaults again."""
    from services.identity.keys import set_work_limits

    set_work_limits(_migrated_database(), organization, running_steps, pending_exports)


def _migrated_database() -> "Database":
    """The record, at the schema of this version."""
    from services.database.migrate import require_newest
    from services.process.configured import open_database

    database = open_database(load_settings())
    require_newest(database)
    return database
