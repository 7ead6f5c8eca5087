"""What the scripts of peers share: the standard library alone, as it runs in their environments."""

import time
import zipfile
from collections.abc import Callable
from pathlib import Path


def measured(job: Callable[[], int]) -> dict[str, float]:
    """Makes an archive; how many files it has, its seconds, the CPU seconds of this process, and
    the most memory it had."""
    started, cpu = time.perf_counter(), time.process_time()
    files = job()
    return {
        "files": files,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": next(
            int(line.split()[1]) * 1024
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM:")
        ),
    }


def stored_zip(folder: Path, archive: Path) -> int:
    """Everything below a folder, as it is; how many files that is."""
    files = 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                target.write(file, file.relative_to(folder).as_posix())
                files += 1
    return files
