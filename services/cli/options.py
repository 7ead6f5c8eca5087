"""Options that several commands share: which server, with which key, and how to answer."""

from typing import Annotated

import typer

Server = Annotated[
    str,
    typer.Option(
        envvar="CARTOUCHE_SERVER",
        help="gRPC address of the server.",
        show_default="the profile's, or 127.0.0.1:50051",
    ),
]
ApiKey = Annotated[
    str,
    typer.Option(envvar="CARTOUCHE_API_KEY", help="API key.", show_default="the profile's"),
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        envvar="CARTOUCHE_PROFILE",
        help="Section of ~/.config/cartouche.toml with server and api_key.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
