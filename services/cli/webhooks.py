"""`cartouche webhooks`: addresses that are told what happens to exports."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.options import ApiKey, Json, ProfileName, Server
from services.cli.wiring import load_connection

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from services.exporting.webhooks import Webhooks

app = typer.Typer(
    help="Webhooks: addresses that are told what happens to exports, as Standard Webhooks has it.",
    no_args_is_help=True,
)


class Event(StrEnum):
    """What is told."""

    completed = "export.completed"
    failed = "export.failed"
    expiring = "export.expiring"


_Id = Annotated[str, typer.Argument(help="Id of the webhook.", metavar="ID")]


@app.command(epilog="    cartouche webhooks create https://example.org/hook --event export.failed")
def create(
    url: Annotated[str, typer.Argument(help="Address that messages are posted to.")],
    event: Annotated[
        list[Event] | None,
        typer.Option(help="Only of these; may be given again.", show_default="all"),
    ] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Register an address. Its secret is shown only now."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.create(url, [str(name) for name in event or []], description)


@app.command("list")
def list_webhooks(
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """List the webhooks: id, address, events, state."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.list()


@app.command()
def enable(
    webhook: _Id,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Take a webhook up again that was disabled."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.enable(webhook, enabled=True)


@app.command()
def disable(
    webhook: _Id,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Send nothing to a webhook until it is enabled again."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.enable(webhook, enabled=False)


@app.command()
def rotate(
    webhook: _Id,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Make a new secret; messages are signed with both for a day."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.rotate(webhook)


@app.command("callback-secret")
def callback_secret(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; both count for a day.")
    ] = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Show what callbacks of exports are signed with."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.callback_secret(rotate=rotate)


@app.command()
def delete(
    webhook: _Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Remove a webhook, with the log of its messages."""
    if not yes:
        typer.confirm(f"Delete webhook {webhook}?", abort=True, err=True)
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.delete(webhook)


@app.command("test")
def send_test(
    webhook: _Id,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Send a message of the type webhook.test."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.test(webhook)


@app.command()
def deliveries(
    webhook: Annotated[str, typer.Argument(help="Id of the webhook; or: callbacks.", metavar="ID")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """List the messages of the last week with every attempt, the newest first."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.deliveries(webhook, limit)


@app.command()
def redeliver(
    message: Annotated[str, typer.Argument(help="Id of the message.", metavar="ID")],
    json: Json = False,
    server: Server = "",
    api_key: ApiKey = "",
    profile: ProfileName = "default",
) -> None:
    """Send a message again, under its id."""
    with _webhooks(server, api_key, profile, json=json) as webhooks:
        webhooks.redeliver(message)


def _webhooks(
    server: str, api_key: str, profile: str, *, json: bool
) -> "AbstractContextManager[Webhooks]":
    from services.exporting.webhooks import open_webhooks

    found = load_connection(server, api_key, profile)
    return open_webhooks(found.server, found.api_key, as_json=json)
