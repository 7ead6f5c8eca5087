"""Waiting for exports by being told: a receiver of webhooks that downloads what is completed.

Register an address, which prints the secret; run it behind what speaks HTTPS there:

    cartouche webhooks create https://example.org/cartouche --event export.completed
    pip install standardwebhooks requests
    CARTOUCHE_WEBHOOK_SECRET=whsec_… CARTOUCHE_API_KEY=pk_live_… python examples/webhook.py 9000
"""

import os
import queue
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

URL = os.environ.get("CARTOUCHE_URL", "http://127.0.0.1:8080") + "/api/v1/developer/exports/"
webhook = Webhook(os.environ["CARTOUCHE_WEBHOOK_SECRET"])
work: "queue.Queue[tuple[str, Any]]" = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Checks and answers at once: Cartouche waits 15 seconds, and then sends again."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            self.send_error(400, str(error))
            return
        work.put((self.headers["webhook-id"], event))
        self.send_response(204)
        self.end_headers()


def download(export_id: str) -> None:
    """Fetches an archive; the event has no link, so that nobody else can use it."""
    answer = requests.get(
        f"{URL}{export_id}/download",
        headers={"X-API-Key": os.environ["CARTOUCHE_API_KEY"]},
        timeout=30,
    )
    answer.raise_for_status()
    archive = requests.get(answer.json()["download_url"], timeout=60)
    archive.raise_for_status()
    Path(f"{export_id}.zip").write_bytes(archive.content)


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
seen = set()
while True:
    message_id, event = work.get()
    # A message may come twice, under the same id.
    if message_id in seen or event["type"] != "export.completed":
        continue
    export = event["data"]
    name = f"{export['dataset_name']}/{export['name']}"
    try:
        download(export["id"])
    except requests.RequestException as error:
        # `cartouche webhooks redeliver` sends the message again.
        print(f"{name}: {error}", flush=True)
    else:
        seen.add(message_id)
        print(f"{name}: downloaded", flush=True)
