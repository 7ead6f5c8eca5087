"""Workers of several versions on one export: who may do what, and what is waited for."""

import zlib
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from services.exports.claims import ExportClaim
from services.formats.registry import FORMATS
from services.work_version import WORK_VERSION
from tests.unit.formats.archives import box, image
from workers.archive.deflate import DEFLATE, DEFLATE_END, deflate
from workers.failures import Blame, NewerWork, OtherMaker, blame
from workers.segment_manifest import ManifestWriter, PlannedImage, read_blocks
from workers.versions import check_maker, check_version, made_with


def claim(**snapshot: Any) -> ExportClaim:
    return cast(ExportClaim, SimpleNamespace(format="coco", snapshot=snapshot))


def test_a_worker_goes_on_with_what_makes_the_same_bytes() -> None:
    check_maker(claim(version=WORK_VERSION, **made_with("coco")))
    # Begun by 0.1, which did not say.
    check_maker(claim())


@pytest.mark.parametrize(
    ("begun", "tries"),
    [
        ({"deflate": "zlib 0.9 level 1"}, 6),
        ({"deflate": "zlib 99.1 level 1"}, 15),
        # By its number, not by its letters.
        ({"deflate": "zlib 1.10.0 level 1"}, 15),
        ({"layout_version": FORMATS["coco"].layout_version - 1}, 6),
        ({"layout_version": FORMATS["coco"].layout_version + 1}, 15),
        # What the next version writes is waited for longer, whatever it deflates with.
        (
            {
                "layout_version": FORMATS["coco"].layout_version + 1,
                "deflate": "zlib 0.9 level 1",
            },
            15,
        ),
    ],
)
def test_a_worker_that_makes_other_bytes_gives_the_step_back(
    begun: dict[str, Any], tries: int
) -> None:
    with pytest.raises(OtherMaker) as raised:
        check_maker(claim(**(made_with("coco") | begun)))
    assert raised.value.tries == tries
    assert DEFLATE in str(raised.value)
    assert blame(raised.value) is Blame.passing


def test_what_a_newer_version_wrote_is_left_to_others() -> None:
    newer = {"version": WORK_VERSION + 1}
    with pytest.raises(NewerWork, match="a result has version") as raised:
        check_version(newer, "a result")
    assert blame(raised.value) is Blame.passing
    with pytest.raises(NewerWork, match="the snapshot has version"):
        check_maker(claim(**newer))
    body, _ = deflate(orjson.dumps(newer) + b"\n")
    with pytest.raises(NewerWork, match="a segment manifest has version"):
        list(read_blocks([body + DEFLATE_END]))


def test_manifests_say_their_version_and_those_of_0_1_are_read() -> None:
    block = [PlannedImage(image([box("1", 1, 1, 5, 5)]), "key", 7)]
    writer = ManifestWriter(1)
    writer.add(block)
    manifest = writer.finish()
    assert list(read_blocks([manifest])) == [block]
    first, _, rest = _inflated(manifest).partition(b"\n")
    assert orjson.loads(first) == {"version": 1}
    body, _ = deflate(rest)
    assert list(read_blocks([body + DEFLATE_END])) == [block]


def _inflated(manifest: bytes) -> bytes:
    return zlib.decompress(manifest, -zlib.MAX_WBITS)
