"""The cases of hard imports beside the project, each as its `expect.json` says it is right.

Their README says how a case is read. They are made after bug reports of other tools; what each
kind of them means is tested everywhere in `tests/unit/importing` too, on data made there.
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from typer.testing import CliRunner

from services.cli.app import app
from tests.datasets import unique
from tests.exports import completed, download, read_json, unzip
from tests.imports import words
from tests.stack import Embedded, Stack
from tests.unit.importing.dataset_files import shared

#: Pixels.
NEAR = 0.01
_TO_COME: tuple[str, ...] = ()
CASES = Path(__file__).parents[3] / "shared" / "data" / "import_cases"


@dataclass(frozen=True)
class Ran:
    """What an import said, and what is in its dataset now."""

    stack: Stack
    dataset: str
    code: int
    said: str
    #: By path: the files of a pictograph export.
    images: Mapping[str, dict[str, Any]]
    classes: list[str]


def _runs() -> Iterator[Any]:
    for file in sorted(CASES.glob("*/expect.json")):
        for number, run in enumerate(json.loads(file.read_text())):
            case = file.parent.name
            marks = [pytest.mark.xfail(strict=True)] if case in _TO_COME else []
            yield pytest.param(case, run, id=f"{case}-{number}", marks=marks)


RUNS = list(_runs()) or [pytest.param("", {}, id="none")]


@pytest.mark.parametrize(("case", "run"), RUNS)
def test_hard_imports(embedded: Embedded, tmp_path: Path, case: str, run: dict[str, Any]) -> None:
    root = _copied(case, tmp_path)
    problems = [_problems(embedded, root, {**run, **way}) for way in run.get("ways", [{}])]
    # One of the ways must be right.
    assert [] in problems, (run["what"], problems)


def _copied(case: str, folder: Path) -> Path:
    source = shared("import_cases") / case
    leave_out = shutil.ignore_patterns("expect.json", "links.json")
    root = Path(shutil.copytree(source, folder / case, ignore=leave_out))
    if (source / "links.json").exists():
        for link, target in json.loads((source / "links.json").read_text()).items():
            (root / link).parent.mkdir(parents=True, exist_ok=True)
            (root / link).symlink_to(target)
    return root


def _problems(stack: Stack, root: Path, run: dict[str, Any]) -> list[str]:
    dataset = unique("case")
    if first := run.get("first"):
        _import(stack, dataset, root, {**run, "options": [], **first})
    code, said = _import(stack, dataset, root, run)
    images, classes = _stored(stack, dataset)
    ran = Ran(stack, dataset, code, said.lower(), images, classes)
    return list(_wrong(ran, run["right"]))


def _import(stack: Stack, dataset: str, root: Path, run: dict[str, Any]) -> tuple[int, str]:
    arguments = words(
        dataset, run["format"], root / run["images"], root / run["annotations"],
        *run.get("options", ()),
    )  # fmt: skip
    env = {
        "CARTOUCHE_SERVER": stack.grpc_address,
        "CARTOUCHE_API_KEY": stack.key("member"),
        "COLUMNS": "200",
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = CliRunner().invoke(app, arguments, env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert not caught, [str(warning.message) for warning in caught]
    return done.exit_code, done.output


def _stored(stack: Stack, dataset: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The images of a dataset, which may not be there, and its class names."""
    answer = CatalogServiceStub(stack.channel).ListDatasets(
        pb.ListDatasetsRequest(limit=1000), metadata=stack.metadata("viewer"), timeout=30
    )
    if dataset not in [item.name for item in answer.datasets]:
        return {}, []
    archive = unzip(download(stack, completed(stack, dataset, format="pictograph").id))
    found = [
        read_json(archive, name) for name in archive.namelist() if name.startswith("annotations/")
    ]
    classes = [item["name"] for item in read_json(archive, "dataset.json")["classes"]]
    return {value["image"]["path"]: value for value in found}, classes


def _wrong(ran: Ran, right: dict[str, Any]) -> Iterator[str]:
    """Everything that is not as it must be."""
    for key, wanted in right.items():
        yield from _CHECKS[key](ran, wanted)


def _exit(ran: Ran, wanted: int) -> Iterator[str]:
    if ran.code not in ((wanted, 3) if wanted in (0, 1) else (wanted,)):
        yield f"exit {ran.code}: {ran.said}"


def _images(ran: Ran, wanted: int) -> Iterator[str]:
    if len(ran.images) != wanted:
        yield f"images {sorted(ran.images)}: {ran.said}"


def _classes(ran: Ran, wanted: list[str]) -> Iterator[str]:
    if ran.classes != wanted:
        yield f"classes {ran.classes}"


def _sizes(ran: Ran, wanted: dict[str, list[int]]) -> Iterator[str]:
    for path, size in wanted.items():
        image = ran.images.get(path, {}).get("image", {})
        if [image.get("width"), image.get("height")] != size:
            yield f"size of {path}: {image}"


def _rows(value: dict[str, Any]) -> list[list[Any]]:
    return [
        [
            row["name"],
            *(row["bounding_box"][side] for side in "xywh"),
            row.get("confidence", 1),
        ]
        for row in value.get("annotations", ())
    ]


def _near(one: list[Any], other: list[Any]) -> bool:
    return one[0] == other[0] and all(
        abs(a - b) <= NEAR for a, b in zip(one[1:], other[1:], strict=False)
    )


def _boxes(ran: Ran, wanted: dict[str, list[list[Any]]]) -> Iterator[str]:
    for path, boxes in wanted.items():
        rows = _rows(ran.images.get(path, {}))
        missing = [box for box in boxes if not any(_near(box, row) for row in rows)]
        if missing or len(rows) != len(boxes):
            yield f"boxes of {path}: {rows}, and not {boxes}"


def _only_boxes(ran: Ran, wanted: dict[str, list[list[Any]]]) -> Iterator[str]:
    for path, boxes in wanted.items():
        rows = _rows(ran.images.get(path, {}))
        if not all(any(_near(box, row) for box in boxes) for row in rows):
            yield f"boxes of {path}: {rows}, and not only {boxes}"


def _polygons(ran: Ran, wanted: dict[str, int]) -> Iterator[str]:
    for path, count in wanted.items():
        kinds = [row["type"] for row in ran.images.get(path, {}).get("annotations", ())]
        if kinds.count("polygon") != count:
            yield f"polygons of {path}: {kinds}"


def _attributes(ran: Ran, wanted: dict[str, dict[str, Any]]) -> Iterator[str]:
    for path, attributes in wanted.items():
        rows = ran.images.get(path, {}).get("annotations", ())
        found = {key: str(v) for row in rows for key, v in row.get("attributes", {}).items()}
        for name, value in attributes.items():
            if name not in found or (value is not None and found[name] != str(value)):
                yield f"attributes of {path}: {found}"


def _splits(ran: Ran, wanted: dict[str, str]) -> Iterator[str]:
    for path, split in wanted.items():
        if (found := ran.images.get(path, {}).get("image", {}).get("split")) != split:
            yield f"split of {path}: {found}"


def _export(ran: Ran, wanted: dict[str, Any]) -> Iterator[str]:
    done = completed(ran.stack, ran.dataset, format=wanted["format"])
    document = read_json(unzip(download(ran.stack, done.id)), "annotations/instances_default.json")
    for table, columns in wanted["checks"].items():
        for column, values in columns.items():
            found = [row.get(column) for row in document[table]]
            if found != values:
                yield f"{table}.{column} of the export: {found}"


def _says(ran: Ran, wanted: list[list[str]]) -> Iterator[str]:
    for fragments in wanted:
        if not any(fragment in ran.said for fragment in fragments):
            yield f"none of {fragments} in: {ran.said}"


def _never_says(ran: Ran, wanted: list[str]) -> Iterator[str]:
    for fragment in wanted:
        if fragment.lower() in ran.said:
            yield f"{fragment!r} in: {ran.said}"


def _once(ran: Ran, wanted: list[str]) -> Iterator[str]:
    for fragment in wanted:
        if (count := ran.said.count(fragment.lower())) != 1:
            yield f"{fragment!r} {count} times in: {ran.said}"


def _any_of(ran: Ran, wanted: list[dict[str, Any]]) -> Iterator[str]:
    problems = [list(_wrong(ran, right)) for right in wanted]
    if [] not in problems:
        yield f"none of these: {problems}"


_CHECKS: Mapping[str, Any] = {
    "exit": _exit,
    "images": _images,
    "classes": _classes,
    "sizes": _sizes,
    "boxes": _boxes,
    "only_boxes": _only_boxes,
    "polygons": _polygons,
    "attributes": _attributes,
    "splits": _splits,
    "export": _export,
    "says": _says,
    "never_says": _never_says,
    "once": _once,
    "any_of": _any_of,
}
