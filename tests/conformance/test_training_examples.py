"""The examples that train on exports, with PyTorch, where it is installed or can be."""

import os
import re
from pathlib import Path

import pytest

from services.demo.dataset.scenes import DATASET_NAME, IMAGE_COUNT
from tests.conformance.conftest import run_client
from tests.exports import completed, download, read_json, unzip
from tests.oracles.environments import ReaderFailed, environment, settings_of
from tests.stack import Stack

#: PyTorch alone takes ten seconds to be loaded on a busy machine.
pytestmark = pytest.mark.timeout(300)

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN_HERE = {"train_yolo.py", "coco_torch.py"}


@pytest.fixture(scope="module")
def python() -> str:
    """Of the environment that the oracles have for Ultralytics."""
    try:
        return str(environment("ultralytics"))
    except ReaderFailed as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"PyTorch is not there: {error}")


def test_yolo_trains_on_an_export(cartouche: Stack, python: str, tmp_path: Path) -> None:
    # Fonts of plots, which it would download where they are missing.
    for font in ("Arial.ttf", "Arial.Unicode.ttf"):
        (tmp_path / font).touch()
    env = settings_of(tmp_path) | {
        "CARTOUCHE_URL": cartouche.base_url,
        "CARTOUCHE_API_KEY": cartouche.key("owner"),
    }
    # Weights would be downloaded; a model that knows nothing yet is described by a file.
    arguments = (str(EXAMPLES / "train_yolo.py"), DATASET_NAME, "yolo11n.yaml", "1", "64")
    # Below pytest, Ultralytics writes beside its own files.
    command = ["env", "--unset=PYTEST_CURRENT_TEST", python, *arguments]
    done = run_client(command, tmp_path, env)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert list(tmp_path.glob("runs/detect/train*/weights/best.pt")), done.stdout
    # All objects of the split that it validates on were found in the archive.
    (row,) = re.findall(r"^ +all +(\d+) +(\d+) ", done.stdout, re.MULTILINE)[-1:]
    archive = tmp_path / "for-yolo" / "labels" / "val"
    labels = [path.read_text().splitlines() for path in archive.rglob("*.txt")]
    assert [int(number) for number in row] == [len(labels), sum(map(len, labels))]


def test_torch_reads_a_coco_archive_as_it_is(cartouche: Stack, python: str, tmp_path: Path) -> None:
    export = completed(cartouche, DATASET_NAME, format="coco", include_images=True)
    data = download(cartouche, export.id)
    (tmp_path / "export.zip").write_bytes(data)
    done = run_client([python, str(EXAMPLES / "coco_torch.py"), "export.zip"], tmp_path)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    document = read_json(unzip(data), "annotations/instances_default.json")
    pixels = sum(image["width"] * image["height"] for image in document["images"])
    assert done.stdout.startswith(
        f"{IMAGE_COUNT} images, {pixels} pixels, {len(document['annotations'])} annotations: {{"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]
