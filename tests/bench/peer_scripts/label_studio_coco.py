"""Run by a Python with label-studio-sdk: its converter's COCO export with images, and its ZIP
without compression.

Arguments: the folder that its local files are below, its tasks as a JSON file, its labelling
configuration, an empty folder to work in, the file to write.
"""

import json
import os
import sys
from pathlib import Path

root, tasks, config, work, answer = sys.argv[1:]
# Read when the library is imported.
os.environ["LOCAL_FILES_DOCUMENT_ROOT"] = root
os.environ["LOCAL_FILES_SERVING_ENABLED"] = "true"

from label_studio_sdk.converter import Converter  # noqa: E402
from measured import measured, stored_zip  # noqa: E402

converter = Converter(config, project_dir=None, download_resources=True)


def export() -> int:
    """What is measured."""
    folder = Path(work, "export")
    converter.convert_to_coco(
        tasks, str(folder), output_image_dir=str(folder / "images"), is_dir=False
    )
    files: int = stored_zip(folder, Path(work, "archive.zip"))
    return files


Path(answer).write_text(json.dumps(measured(export)))
