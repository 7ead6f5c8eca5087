"""Train YOLO on an export, in ten lines.

Run it, with a model of https://docs.ultralytics.com/models/, epochs and the size of images:

    pip install ultralytics requests
    CARTOUCHE_API_KEY=pk_live_… python examples/train_yolo.py street-scenes yolo11n.pt 50 640
"""

import io
import os
import sys
import time
import zipfile

import requests
from ultralytics import YOLO

dataset, model, epochs, size = sys.argv[1:]
exports = os.environ.get("CARTOUCHE_URL", "http://127.0.0.1:8080") + "/api/v1/developer/exports/"
session = requests.Session()
session.headers["X-API-Key"] = os.environ["CARTOUCHE_API_KEY"]
wanted = {"dataset_name": dataset, "name": f"yolo {time.time():.0f}", "format": "yolo"}
one = exports + session.post(exports, json=wanted | {"include_images": True}).json()["id"]
# A stream of events ends when the export has.
session.get(one, headers={"Accept": "text/event-stream"})
archive = requests.get(session.get(f"{one}/download").json()["download_url"], timeout=60)
zipfile.ZipFile(io.BytesIO(archive.content)).extractall("for-yolo")
YOLO(model).train(data="for-yolo/data.yaml", epochs=int(epochs), imgsz=int(size))
