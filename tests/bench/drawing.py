"""The images that are measured with, and the machine."""

import os
import platform
import random
from importlib.metadata import version
from pathlib import Path

import psutil
from PIL import Image

#: Pixels: 100 KB uncompressed, which noise is.
SIDE = 182


def draw(folder: Path, count: int) -> list[Path]:
    """Images that nothing compresses, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(2)
    files = []
    for number in range(count):
        file = folder / f"{number}.png"
        pixels = source.randbytes(SIDE * SIDE * 3)
        Image.frombytes("RGB", (SIDE, SIDE), pixels).save(file, compress_level=0)
        files.append(file)
    return files


def machine() -> str:
    """The machine and the versions that the numbers are of."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {platform.platform(terse=True)}, "
        f"Python {platform.python_version()}, cartouche {version('cartouche')}, "
        f"obstore {version('obstore')}, minio-py {version('minio')}"
    )
