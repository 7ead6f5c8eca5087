"""`cartouche exports` and `datasets`: what people and scripts do with them."""

import json
import random
import subprocess
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import SCENES, key_of, unique
from tests.exports import create, stub, watch
from tests.network import Network
from tests.service.conftest import Large
from tests.stack import Stack


def run(stack: Stack, *words: str, code: int = 0, role: str = "member") -> str:
    """Standard output of a command that ends with this code."""
    done = stack.command(*words, role=role, check=False)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def answer(stack: Stack, *words: str, **more: Any) -> Any:
    """What a command says in JSON."""
    return json.loads(run(stack, *words, "--json", **more))


def finished(stack: Stack, dataset: str, **fields: Any) -> pb.Export:
    """A completed export."""
    last = watch(stack, create(stack, dataset, **fields).id)[-1]
    assert last.status == pb.EXPORT_STATUS_COMPLETED, last.error_message
    return last


def test_an_export_from_its_creation_to_its_deletion(stack: Stack, scenes: str) -> None:
    name = unique("command")
    preview = answer(stack, "exports", "preview", scenes, "--format", "coco", "--images")
    assert preview["image_count"] == len(SCENES)
    words = ("exports", "create", scenes, name, "--format", "coco", "--images", "--wait", "--json")
    states = [json.loads(line) for line in run(stack, *words).splitlines()]
    assert states[-1]["status"] == "completed"
    assert states[-1]["image_count"] == len(SCENES)
    assert [state["progress"] for state in states] == sorted(s["progress"] for s in states)

    export = answer(stack, "exports", "get", scenes, name)
    assert export == answer(stack, "exports", "get", export["id"]) == states[-1]
    listed = answer(stack, "exports", "list", "--dataset", scenes, "--status", "completed")
    assert export in listed["exports"]
    assert listed["total"] == len(listed["exports"])
    assert name in run(stack, "exports", "list", "--dataset", scenes)
    assert "completed" in run(stack, "exports", "get", scenes, name)

    got = answer(stack, "exports", "download", scenes, name, "-o", f"{name}.zip")
    file = stack.folder / f"{name}.zip"
    assert got == {"file": f"{name}.zip", "size": export["file_size"]}
    assert zlib.crc32(file.read_bytes()) == export["crc32"]
    assert not list(stack.folder.glob("*.part*"))
    again = stack.command(
        *("exports", "download", scenes, name, "-o", f"{name}.zip"), role="viewer", check=False
    )
    assert (again.returncode, "is there already" in again.stderr) == (1, True)

    run(stack, "exports", "delete", scenes, name, code=1)
    assert answer(stack, "exports", "delete", scenes, name, "--yes", role="admin") == {
        "deleted": [export["id"]],
        "not_found": [],
    }
    run(stack, "exports", "get", scenes, name, code=1)


def test_several_are_deleted_by_their_ids(stack: Stack, scenes: str) -> None:
    ids = [finished(stack, scenes).id for _ in range(2)]
    unknown = "00000000-0000-4000-8000-000000000000"
    words = ("exports", "delete", *ids, unknown, "--yes")
    assert answer(stack, *words, role="admin", code=1) == {"deleted": ids, "not_found": [unknown]}


def test_wrong_usage_is_2_and_a_failed_export_3(stack: Stack, scenes: str) -> None:
    run(stack, "exports", "get", "only-a-name", code=2)
    run(stack, "exports", "create", scenes, unique("bad"), "--status", "unknown", code=2)
    done = stack.command("exports", "list", check=False)
    assert done.returncode == 2
    assert "CARTOUCHE_API_KEY" in done.stderr
    run(stack, "exports", "create", scenes, unique("bad"), "--format", "nope", code=1)
    empty = unique("empty")
    words = ("exports", "create", scenes, empty, "--status", "review", "--wait")
    assert "selection_empty" in run(stack, *words, code=3)
    run(stack, "exports", "cancel", scenes, empty, code=1)
    run(stack, "exports", "retry", scenes, empty, "--wait", code=3)


def test_datasets_are_listed_and_shown(stack: Stack, scenes: str) -> None:
    listed = answer(stack, "datasets", "list", role="viewer")["datasets"]
    assert scenes in [dataset["name"] for dataset in listed]
    found = answer(stack, "datasets", "get", scenes, role="viewer")
    assert found["image_count"] == len(SCENES)
    said = run(stack, "datasets", "get", scenes, role="viewer")
    assert all(kind["name"] in said for kind in found["classes"])


def test_an_archive_is_unpacked(stack: Stack, scenes: str) -> None:
    export = finished(stack, scenes, format="yolo", include_images=True)
    folder = unique("folder")
    got = answer(stack, "exports", "download", export.id, "--extract", folder)
    files = [path for path in (stack.folder / folder).rglob("*") if path.is_file()]
    assert got["files"] == len(files) > len(SCENES)
    assert not (stack.folder / f"{folder}.zip").exists()
    # Into a folder that has something already nothing is unpacked, and nothing downloaded.
    run(stack, "exports", "download", export.id, "--extract", folder, code=1)


def test_an_archive_on_standard_output_is_only_the_archive(
    stack: Stack, scenes: str, tmp_path: Path
) -> None:
    export = finished(stack, scenes, format="coco")
    file = tmp_path / "archive.zip"
    with file.open("wb") as target:
        subprocess.run(
            [stack.program, "exports", "download", export.id, "-o", "-"],
            env=stack.env | {"CARTOUCHE_API_KEY": stack.key("viewer")},
            stdout=target,
            check=True,
            timeout=60,
        )
    assert zipfile.ZipFile(file).testzip() is None
    assert zlib.crc32(file.read_bytes()) == export.crc32


def test_a_download_that_is_cut_five_times_is_whole(
    stack: Stack, large: Large, tmp_path: Path
) -> None:
    export = finished(stack, large.name, include_images=True)
    link = stub(stack).GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=export.id), metadata=key_of(stack, "viewer"), timeout=30
    )
    port = urlsplit(link.download_url).port
    assert port is not None
    chance = random.Random(14)
    # Some in the first lines of an answer, before there is any byte of the archive.
    cuts = [chance.choice((100, chance.randrange(export.file_size // 6))) for _ in range(5)]
    with Network(port) as network:
        network.cuts = list(cuts)
        proxy = f"http://127.0.0.1:{network.port}"
        done = subprocess.run(
            [stack.program, "exports", "download", export.id, "-o", "archive.zip"],
            env=stack.env
            | {
                "CARTOUCHE_API_KEY": stack.key("viewer"),
                "http_proxy": proxy,
                "no_proxy": "",
                "no_grpc_proxy": "127.0.0.1",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        assert network.cuts == []
    file = tmp_path / "archive.zip"
    assert zlib.crc32(file.read_bytes()) == export.crc32
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_a_later_run_goes_on_and_another_archive_begins_anew(
    stack: Stack, scenes: str, tmp_path: Path
) -> None:
    export = finished(stack, scenes, include_images=True)
    words = ("exports", "download", export.id, "-o", str(tmp_path / "a.zip"))
    run(stack, *words)
    whole = (tmp_path / "a.zip").read_bytes()
    link = stub(stack).GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=export.id), metadata=key_of(stack, "viewer"), timeout=30
    )
    # What a run leaves that was killed: the beginning, and of which object it is.
    found = httpx.get(link.download_url, trust_env=False).headers
    mark = " ".join(found[name] for name in ("ETag", "Last-Modified", "Content-Length"))
    for beginning, of in (
        (whole[: len(whole) // 2], mark),
        (b"\0" * (len(whole) // 2), f"another{mark}"),
        (whole, mark),
        (b"\0" * 10, None),
    ):
        (tmp_path / "a.zip").unlink()
        (tmp_path / "a.zip.part").write_bytes(beginning)
        if of:
            (tmp_path / "a.zip.part.of").write_text(of)
        run(stack, *words)
        assert (tmp_path / "a.zip").read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    # A beginning that is wrong cannot be seen before the end: it is said, and nothing is left.
    (tmp_path / "a.zip").unlink()
    (tmp_path / "a.zip.part").write_bytes(b"\0" * 10)
    (tmp_path / "a.zip.part.of").write_text(mark)
    done = stack.command(*words, role="viewer", check=False)
    assert done.returncode == 1
    assert "Download it again" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_profile_names_server_and_key(stack: Stack, scenes: str, tmp_path: Path) -> None:
    config = tmp_path / "cartouche.toml"
    key = stack.key("viewer")
    config.write_text(f'[there]\nserver = "{stack.grpc_address}"\napi_key = "{key}"\n')
    config.chmod(0o600)
    env = {k: v for k, v in stack.env.items() if k != "CARTOUCHE_SERVER"}
    words = [str(stack.program), "datasets", "get", scenes, "--profile", "there"]
    done = subprocess.run(
        words,
        env=env | {"CARTOUCHE_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert scenes in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(stack: Stack, shell: str) -> None:
    """As the script in a shell's start-up file asks, whatever shell the tests were begun from."""
    typed = {
        "COMP_WORDS": "cartouche exp",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "cartouche exp",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }

    def answer(instruction: str) -> str:
        done = subprocess.run(
            [stack.program],
            env=stack.env | typed | {"_CARTOUCHE_COMPLETE": f"{instruction}_{shell}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    assert "_CARTOUCHE_COMPLETE" in answer("source")
    assert "exports" in answer("complete")
