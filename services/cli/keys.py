"""`cartouche keys`, `rate-limit` and `work-limits`: who may call, how often, and how much."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.wiring import load_settings

if TYPE_CHECKING:
    from services.database.engine import Database

app = typer.Typer(help="API keys.", no_args_is_help=True)

_Organization = Annotated[str, typer.Option(help="Name of the organization.")]
_Which = Annotated[
    str, typer.Argument(help="Id of the key, or its first characters as `keys list` shows them.")
]


@app.command("create")
def create(
    organization: Annotated[
        str, typer.Option(help="Name of the organization; made if it is missing.")
    ],
    role: Annotated[str, typer.Option(help="viewer, member, admin or owner.")],
    expires: Annotated[
        float | None,
        typer.Option(min=0, help="Days for which it is taken.", show_default="for ever"),
    ] = None,
) -> None:
    """Make an API key and print it: the only time that it is seen."""
    from services.errors import Invalid
    from services.identity.keys import create_key, ensure_organization
    from services.identity.roles import Role

    if role not in Role.__members__:
        raise Invalid.of("role", f"{role!r} is not one of {', '.join(Role.__members__)}")
    database = _migrated_database()
    lifetime = None if expires is None else timedelta(days=expires)
    print(create_key(database, ensure_organization(database, organization), Role[role], lifetime))


@app.command("list")
def list_keys(organization: _Organization) -> None:
    """List the keys of an organization: id, first characters, role, and when they end."""
    from services.identity.keys import list_keys as keys_of

    for key in keys_of(_migrated_database(), organization):
        if key.expires_at is None:
            ends = "does not expire"
        else:
            ends = f"{'expired' if key.is_expired else 'expires'} {_time(key.expires_at)}"
        print(f"{key.id}  {key.prefix}…  {key.role.name:6}  made {_time(key.created_at)}  {ends}")


@app.command("revoke")
def revoke(organization: _Organization, key: _Which) -> None:
    """End a key, at once and for ever."""
    from services.identity.keys import revoke_key

    print(f"{revoke_key(_migrated_database(), organization, key)}… is revoked")


@app.command("rotate")
def rotate(
    organization: _Organization,
    key: _Which,
    grace: Annotated[
        float, typer.Option(min=0, help="Hours for which the old key is taken yet.")
    ] = 24,
) -> None:
    """Make a key in place of another and print it: the only time that it is seen."""
    from services.identity.keys import rotate_key

    print(rotate_key(_migrated_database(), organization, key, timedelta(hours=grace)))


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


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _migrated_database() -> "Database":
    """The record, at a schema that this version works with."""
    from services.database.migrate import require_schema
    from services.process.configured import open_database

    database = open_database(load_settings())
    require_schema(database)
    return database
