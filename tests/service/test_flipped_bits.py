"""A bit that flips between Cartouche and the store ends as a retry, never as an archive."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import parts
from tests.datasets import Picture, bbox, noise_jpeg, put_all
from tests.exports import completed, download, unzip
from tests.needs import running
from tests.network import Network
from tests.parts import PostgreSQL, Redis
from tests.stack import Production

#: So many that the check of an archive reads every second one: of what flips here it sees nothing.
LARGE = [
    Picture(f"folder/{n:02}.jpg", noise_jpeg(2_000 + n, 600), [bbox("car", x=n)]) for n in range(40)
]
SMALL = LARGE[:2]


@dataclass(frozen=True)
class Far:
    """A stack, the network between it and its store, and the archives as they should be."""

    stack: Production
    network: Network
    archives: dict[str, bytes]


@pytest.fixture(scope="module", params=[parts.MinIO, parts.Rclone], ids=["minio", "rclone"])
def far(request: pytest.FixtureRequest, postgresql: PostgreSQL, redis: Redis) -> Iterator[Far]:
    for server in running(request.param):
        with (
            Network(server.port) as network,
            Production(
                postgresql.create_database(),
                redis.url.removesuffix("/0") + "/7",
                server,
                name="flipped",
                workers=1,
                settings={
                    "CARTOUCHE_S3_ENDPOINT": network.through(server.endpoint),
                    "CARTOUCHE_PART_SIZE": str(5 * 2**20),
                    "CARTOUCHE_RECONCILE_INTERVAL": "0.5",
                },
            ) as stack,
        ):
            archives = {}
            for name, pictures in (("large", LARGE), ("small", SMALL)):
                put_all(stack, name, pictures)
                archives[name] = download(stack, completed(stack, name, include_images=True).id)
                assert len(unzip(archives[name]).namelist()) > len(pictures)
            yield Far(stack, network, archives)


@pytest.mark.parametrize(
    ("dataset", "marker", "in_answer"),
    [
        pytest.param("large", LARGE[1].data[5_000:5_016], True, id="an image that is read"),
        pytest.param("large", LARGE[1].data[5_000:5_016], False, id="an image in the first part"),
        pytest.param("large", LARGE[33].data[-16:], False, id="the end of an image"),
        pytest.param("large", b"folder/05.jpg", False, id="a name"),
        pytest.param("large", b"PK\x05\x06", False, id="the end of the archive"),
        pytest.param("small", SMALL[1].data[5_000:5_016], False, id="an image, at once"),
        pytest.param("small", b"PK\x05\x06", False, id="the end of the archive, at once"),
    ],
)
def test_the_archive_is_as_it_should_be(
    far: Far, dataset: str, marker: bytes, in_answer: bool
) -> None:
    with far.network.flipping(marker, in_answer=in_answer):
        export = completed(far.stack, dataset, include_images=True)
    assert download(far.stack, export.id) == far.archives[dataset]
