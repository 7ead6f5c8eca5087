"""Waiting for an export by asking for it: again and again, or once for a stream of its events.

Ask again and again where little else is at hand. A stream costs one call, and tells of every
change at once. Where nothing should have to wait at all, see webhook.py.

Run it:

    pip install requests
    CARTOUCHE_API_KEY=pk_live_… python examples/polling.py street-scenes
"""

import json
import os
import sys
import time
from typing import Any

import requests

URL = os.environ.get("CARTOUCHE_URL", "http://127.0.0.1:8080") + "/api/v1/developer/exports/"
ENDED = ("completed", "failed")
session = requests.Session()
session.headers["X-API-Key"] = os.environ["CARTOUCHE_API_KEY"]


def call(method: str, path: str = "", **options: Any) -> Any:
    """The answer to a request; an error ends the program with the server's own words."""
    answer = session.request(method, URL + path, timeout=30, **options)
    if not answer.ok:
        sys.exit(f"{answer.status_code}: {answer.json()['message']}")
    return answer.json()


def wait_by_polling(export: Any) -> Any:
    """Asks often at first, for most exports are small, and less and less often later on."""
    pause = 0.25
    while export["status"] not in ENDED:
        time.sleep(pause)
        pause = min(pause * 1.5, 10)
        export = call("GET", export["id"])
        print(f"polling: {export['status']} {export['progress']:.0%}")
    return export


def wait_by_events(export: Any) -> Any:
    """Reads Server-Sent Events: `export` after every change, and `end` at last."""
    while export["status"] not in ENDED:
        # A line comes every 15 seconds, if only to say that the connection lives.
        with session.get(
            URL + export["id"], headers={"Accept": "text/event-stream"}, stream=True, timeout=60
        ) as stream:
            stream.raise_for_status()
            kind = ""
            for line in stream.iter_lines():
                name, _, value = line.decode().partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "export":
                    export = json.loads(value)
                    print(f"events: {export['status']} {export['progress']:.0%}")
        if export["status"] not in ENDED:
            # A gateway that is replaced ends its streams, and the next one goes on.
            time.sleep(2)
    return export


for wait in (wait_by_polling, wait_by_events):
    export = call("POST", json={"dataset_name": sys.argv[1], "name": wait.__name__})
    export = wait(export)
    print(f"{export['name']}: {export['status']}, {export['image_count']} images")
    call("DELETE", export["id"])
