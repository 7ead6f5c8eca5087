"""What one would write first: read each object with minio-py, put it into a ZIP, upload that.

Run in a process of its own, as `python -m tests.bench.plain` with the endpoint, the region,
the images bucket, their prefix, the exports bucket and the key of the archive; the credentials
come from the environment. Prints seconds, CPU seconds
and peak bytes of memory as JSON, without what starting Python and importing takes.
"""

import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from minio import Minio


def export(client: Minio, images_bucket: str, prefix: str, exports_bucket: str, key: str) -> int:
    """Makes an archive of the images below a prefix; how many it has."""
    count = 0
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for found in client.list_objects(images_bucket, prefix, recursive=True):
                name = found.object_name or ""
                response = client.get_object(images_bucket, name)
                try:
                    archive.writestr(f"images/{name}", response.read())
                finally:
                    response.close()
                    response.release_conn()
                count += 1
        file.flush()
        client.fput_object(exports_bucket, key, file.name)
    return count


def peak_bytes() -> int:
    """The most resident memory this process had; getrusage would count the parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Makes one archive and prints what it took."""
    endpoint, region, *place = sys.argv[1:]
    client = Minio(
        endpoint=endpoint,
        access_key=os.environ["BENCH_ACCESS_KEY"],
        secret_key=os.environ["BENCH_SECRET_KEY"],
        region=region,
        secure=False,
    )
    started, cpu = time.perf_counter(), time.process_time()
    count = export(client, *place)
    result = {
        "images": count,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
