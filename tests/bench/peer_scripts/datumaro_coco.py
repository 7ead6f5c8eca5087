"""Run by a Python with datumaro: a COCO export with images, and its ZIP without compression.

Arguments: a COCO dataset in a folder (`images/`, `annotations/`), an empty folder to work in, the
file to write. Reading the dataset is not measured: a platform has it already.
"""

import json
import sys
from pathlib import Path

import datumaro as dm
from measured import measured, stored_zip

source, work, answer = sys.argv[1:]
dataset = dm.Dataset.import_from(source, "coco_instances")


def export() -> int:
    """What is measured."""
    folder = Path(work, "export")
    dataset.export(str(folder), "coco_instances", save_media=True)
    files: int = stored_zip(folder, Path(work, "archive.zip"))
    return files


Path(answer).write_text(json.dumps(measured(export)))
