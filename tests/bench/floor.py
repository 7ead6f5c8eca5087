"""What no export can be faster than, about: read every object, and store the same bytes as one.

Sixteen threads read with obstore, and one upload of 16 MiB parts stores what they read; there is no
archive, no annotation and no check. Takes the arguments of `tests.bench.plain`, and the keys of the
objects on standard input; prints the same.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import obstore
from obstore.store import S3Store

from tests.bench.plain import peak_bytes

THREADS = 16
PART = 16 * 2**20
#: Objects that are read ahead of their turn.
_AHEAD = 64


def copy(images: S3Store, keys: list[str], exports: S3Store, key: str) -> None:
    """Reads the objects, and stores what they are in a row."""

    def read(key: str) -> bytes:
        return bytes(obstore.get(images, key).bytes())

    with ThreadPoolExecutor(THREADS) as pool:

        def contents() -> Iterator[bytes]:
            ahead: deque[Future[bytes]] = deque()
            for key in keys:
                ahead.append(pool.submit(read, key))
                if len(ahead) == _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

        obstore.put(exports, key, contents(), use_multipart=True, chunk_size=PART)


def _bucket(endpoint: str, region: str, name: str) -> S3Store:
    return S3Store(
        name,
        aws_endpoint_url_s3=f"http://{endpoint}",
        region=region,
        virtual_hosted_style_request=False,
        access_key_id=os.environ["BENCH_ACCESS_KEY"],
        secret_access_key=os.environ["BENCH_SECRET_KEY"],
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
    )


def main() -> None:
    """Does it once, and prints what it took."""
    endpoint, region, images_bucket, _, exports_bucket, key = sys.argv[1:]
    images = _bucket(endpoint, region, images_bucket)
    exports = _bucket(endpoint, region, exports_bucket)
    keys = sys.stdin.read().splitlines()
    started, cpu = time.perf_counter(), time.process_time()
    copy(images, keys, exports, key)
    result = {
        "images": len(keys),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
