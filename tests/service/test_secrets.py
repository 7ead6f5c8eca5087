"""Over a whole life of an export, wrong turns included, no secret is told to anybody else."""

import json
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import completed, stub
from tests.processes import environment
from tests.secrets import leaks_in, leaks_of, secrets_of
from tests.stack import CARTOUCHE, Production, Stack

EXPORTS = "/api/v1/developer/exports"


def test_a_leak_is_seen(production: Production) -> None:
    key = production.key("viewer")
    secret = production.env["CARTOUCHE_S3_SECRET_KEY"]
    assert secrets_of(production)
    for text in (key, secret, "?X-Amz-Signature=0123456789abcdef0123", f'"{key}"'):
        assert leaks_in(f"before {text} behind", secrets_of(production)), text
    assert not leaks_in(f"{key[:12]} and X-Amz-Signature", secrets_of(production))


def test_no_secret_is_told(stack: Stack, tmp_path: Path) -> None:
    key = stack.key("owner")
    # Nobody's, and not to be repeated either.
    wrong = "pk_live_" + "W" * 32
    dataset = unique("secret")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "good.jpg").write_bytes(jpeg())
    answers = []
    for role in ("member", "viewer"):
        words = ("import", "--images", str(tmp_path), "--dataset", dataset)
        done = stack.command(*words, role=role, check=False)
        assert "usage" not in (done.stdout + done.stderr).lower()
        answers.append(done.stdout + done.stderr)
    put_all(stack, dataset, [Picture("a.jpg", jpeg())])
    export = completed(stack, dataset)
    link = stub(stack).GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=export.id), metadata=stack.metadata("viewer"), timeout=30
    )
    for url in (link.download_url, link.download_url[:-2]):
        httpx.get(url, trust_env=False)
    # Keys and links where they do not belong, as people send them.
    signature = link.download_url.partition("?")[2]
    for path in (
        f"{EXPORTS}/?api_key={key}",
        f"{EXPORTS}/?{signature}",
        f"{EXPORTS}/{key}",
        f"{EXPORTS}/{key}/{key}/download",
        f"/{key}",
        f"{EXPORTS}/?limit={key}",
        f"{EXPORTS}/?dataset_name={key}",
    ):
        for sent in (key, wrong, f"Bearer {key}"):
            httpx.get(
                stack.base_url + path,
                headers={"X-API-Key": sent, "Authorization": f"Bearer {key}", "Referer": key},
                trust_env=False,
            )
    for sent in (wrong, f"Bearer {key}", key * 100):
        answer = httpx.get(
            f"{stack.base_url}{EXPORTS}/", headers={"X-API-Key": sent}, trust_env=False
        )
        assert answer.status_code == 401
        answers.append(answer.text)
    with pytest.raises(grpc.RpcError) as refused:
        stub(stack).GetExport(
            pb.GetExportRequest(id="x"), metadata=(("x-api-key", wrong),), timeout=30
        )
    answers.append(str(refused.value))
    for text in answers:
        assert leaks_in(text, secrets_of(stack)) == []
    assert leaks_of(stack) == []


def test_stored_keys_are_hashes(embedded: Stack) -> None:
    home = Path(embedded.env["CARTOUCHE_HOME"])
    keys = json.loads((home / "keys.json").read_text()).values()
    assert (home / "keys.json").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    for file in home.glob("cartouche.db*"):
        data = file.read_bytes()
        assert not [key for key in keys if key.encode() in data]


@pytest.mark.parametrize(
    "command",
    [("migrate",), ("keys", "create", "--organization", "a", "--role", "owner")],
    ids=" ".join,
)
@pytest.mark.parametrize("is_there", [False, True])
def test_whoever_makes_the_state_keeps_it_private(
    tmp_path: Path, command: tuple[str, ...], is_there: bool
) -> None:
    """`cartouche run` is not the only command that may be the first one, even in error."""
    home = tmp_path / "home"
    if is_there:
        home.mkdir(mode=0o700)
        (home / "cartouche.db").touch(mode=0o644)
    env = environment(CARTOUCHE_HOME=str(home))
    subprocess.run(
        [str(CARTOUCHE), *command], env=env, capture_output=True, timeout=60, check=False
    )
    files = [home, *home.rglob("*")]
    assert home / "cartouche.db" in files
    assert [file for file in files if file.stat().st_mode & 0o077] == []
