"""The official SDK, one version of each generation, as its users call it."""

# ruff: noqa: RUF001 - the names are those that real clients were seen to send

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import environments
from tests.conformance.conftest import Install, output_of, run_client
from tests.conformance.material import (
    ANNOTATIONS,
    COMPLETE,
    FORMATS,
    IMAGES,
    ORGANIZATION,
    PAGES,
    UNKNOWN_ID,
    WHY_BROKEN,
    LongList,
    check_archive,
    make_dataset,
    make_long_list,
)
from tests.conformance.table import Row, Table
from tests.stack import Production, Stack

#: A busy machine takes longer than most tests may.
pytestmark = pytest.mark.timeout(300)

DRIVERS = Path(__file__).parent / "drivers"
ODD_NAMES = ("Train v1/α?#% +&", "50% off", "a%20b", "a+b", "Train v1/α", "download", UNKNOWN_ID)
CALLS = (
    "create", "create + wait", "list", "pages", "get", "wait", "download", "delete", "errors",
    "odd names",
)  # fmt: skip
#: What each error is called, and a word of ours that its message must have.
ERRORS_0_1 = {
    "401": ("AuthenticationError", "API key"),
    "403": ("PictographError", "role member"),
    "403_delete": ("PictographError", "role admin"),
    "404": ("NotFoundError", "No export"),
    "404_dataset": ("NotFoundError", "nowhere"),
    "409": ("PictographError", "already"),
    "413": ("PictographError", "too large"),
    "422": ("PictographError", "bogus"),
    "503": ("ServerError", "cannot be reached"),
}
ERRORS_1 = ERRORS_0_1 | {
    "401": ("AuthError", "API key"),
    "403": ("ForbiddenError", "role member"),
    "403_delete": ("ForbiddenError", "role admin"),
    "409": ("ConflictError", "already"),
    "413": ("ApiError", "too large"),
    "422": ("ValidationError", "bogus"),
}
#: `ApiError.code`, which SDKs from 1.61.5 on read.
CODES = {
    "401": "invalid_api_key",
    "403": "forbidden",
    "404": "not_found",
    "409": "conflict",
    "413": "payload_too_large",
    "422": "validation_error",
    "503": "unavailable",
}


@dataclass(frozen=True)
class Sdk:
    """One version of the SDK, with its synchronous or its asynchronous client."""

    text: str
    mode: str = "sync"

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.text.split(".")))

    def __str__(self) -> str:
        return f"SDK {self.text} {self.mode}" if self.version >= (1, 29) else f"SDK {self.text}"

    @property
    def calls(self) -> tuple[str, ...]:
        by_id = ("by id",) if self.version == (0, 1, 6) or self.version >= (1, 7, 17) else ()
        return (*CALLS, *by_id, *(("bulk delete",) if self.version >= (1, 7, 0) else ()))

    @property
    def unaddressable(self) -> tuple[str, ...]:
        """The odd names that this version cannot write into a path: it leaves out or puts in
        escapes of its own. It can create and list exports of these names all the same."""
        if self.version == (0, 1, 6) or self.version >= (1, 7, 27):
            return ()
        return ("Train v1/α?#% +&", "a%20b")

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of the long list that this version can read; none: any."""
        if self.version < (1, 0, 0):
            return ()
        return FORMATS[:2] if self.version >= (1, 63, 0) else FORMATS[:1]


NEWEST = Sdk("1.69.146")
SDKS = (
    Sdk("0.1.6"),
    Sdk("0.1.11"),
    Sdk("1.0.0"),
    Sdk("1.29.0"),
    Sdk("1.29.0", "async"),
    Sdk("1.61.0"),
    NEWEST,
    Sdk(NEWEST.text, "async"),
    # `make conformance SDKS="1.7.26 1.60.0"` tries others too.
    *(Sdk(version) for version in os.environ.get("SDKS", "").split()),
)


@pytest.mark.parametrize("sdk", SDKS, ids=str)
def test_the_sdk_does_every_call(
    sdk: Sdk,
    cartouche: Stack,
    dataset: str,
    long_list: LongList,
    away: str,
    install: Install,
    table: Table,
    tmp_path: Path,
) -> None:
    with table.row(str(sdk), *sdk.calls) as row:
        _try(row, sdk, cartouche, dataset, long_list, away, install, tmp_path)


def test_the_newest_sdk_meets_the_same_in_production(
    production: Production, away: str, install: Install, table: Table, tmp_path: Path
) -> None:
    with table.row(f"{NEWEST}, production", *NEWEST.calls) as row:
        make_dataset(production, "scenes of one")
        long_list = make_long_list(production)
        _try(row, NEWEST, production, "scenes of one", long_list, away, install, tmp_path)


def _try(
    row: Row,
    sdk: Sdk,
    stack: Stack,
    dataset: str,
    long_list: LongList,
    away: str,
    install: Install,
    folder: Path,
) -> None:
    """Takes the SDK through its calls, and fills its row."""
    python = install(environments.sdk(sdk.text), "python")
    driver = DRIVERS / ("sdk_0_1.py" if sdk.version < (1, 0, 0) else "sdk_1.py")
    settings = {
        "base_url": stack.base_url,
        "away": away,
        "mode": sdk.mode,
        "owner": stack.key("owner", ORGANIZATION),
        "viewer": stack.key("viewer", ORGANIZATION),
        "dataset": dataset,
        "pages": PAGES,
        "broken": long_list.broken,
        "endless": long_list.endless,
        "unknown_id": UNKNOWN_ID,
        "names": [name for name in ODD_NAMES if name not in sdk.unaddressable],
        "unaddressable": sdk.unaddressable,
    }
    done = run_client([python, str(driver), json.dumps(settings)], folder)
    results = Results(output_of(done), folder)
    _check_exports(row, results, dataset)
    _check_lists(row, results, long_list.names(*sdk.formats))
    _check_errors(row, results, sdk)
    _check_odd_names(row, results, sdk)
    if "by id" in sdk.calls:
        _check_ids(row, results, sdk)
    if "bulk delete" in sdk.calls:
        _check_bulk_delete(row, results)


@dataclass(frozen=True)
class Results:
    """What a driver saw: for each step a value, or what was raised."""

    steps: Mapping[str, Mapping[str, Any]]
    folder: Path

    def value(self, step: str) -> Any:
        """The value of a step that must not raise."""
        result = self.steps[step]
        assert "value" in result, f"{step} raised {result['raised']}: {result['message']}"
        return result["value"]

    def error(self, step: str) -> Mapping[str, Any]:
        """What a step raised that must raise."""
        result = self.steps[step]
        assert "raised" in result, f"{step} raised nothing, and gave {result['value']}"
        return result

    def archive(self, step: str) -> Path:
        """The file that a step downloaded."""
        return self.folder / str(self.value(step))


def _check_exports(row: Row, results: Results, dataset: str) -> None:
    with row.cell("create"):
        first = results.value("create")
        assert first["name"] == "first"
        assert first["dataset_name"] == dataset
        assert first["format"] == "coco"
        assert first["class_filter"] == ["car"]
        assert first["status_filter"] == "complete"
        assert first["status"] in ("pending", "processing", "completed")
        if "create_again" in results.steps:
            # 0.1.x sends a create again after a lost answer, without any key.
            assert results.value("create_again")["id"] == results.value("create_wait")["id"]
    with row.cell("create + wait"):
        second = results.value("create_wait")
        assert second["status"] == "completed"
        assert (second["image_count"], second["annotation_count"]) == (IMAGES, ANNOTATIONS)
        assert second["include_images"] is True
    with row.cell("wait"):
        waited = results.value("wait")
        assert waited["status"] == "completed"
        assert (waited["image_count"], waited["annotation_count"]) == (COMPLETE, 2 * COMPLETE)
        failed = results.error("wait_failed")
        assert failed["raised"] in ("Exception", "ApiError")
        assert WHY_BROKEN in failed["message"]
        assert results.error("wait_too_long")["raised"] in ("TimeoutError", "PollTimeoutError")
    with row.cell("get"):
        assert results.value("get") == results.value("wait")
        assert results.value("get")["id"] == results.value("create")["id"]
    with row.cell("download"):
        path = results.archive("download")
        assert path.stat().st_size == results.value("create_wait")["file_size"]
        check_archive(path, IMAGES, ANNOTATIONS, with_images=True)
        if "download_to" in results.steps:
            check_archive(results.archive("download_to"), COMPLETE, 2 * COMPLETE)
    with row.cell("delete"):
        results.value("delete")
        assert results.error("deleted")["raised"] == "NotFoundError"


def _check_lists(row: Row, results: Results, expected: list[str]) -> None:
    with row.cell("list"):
        listed = results.value("list")
        assert [export["name"] for export in listed] == ["second", "first"]
        assert listed[1] == results.value("get")
        assert results.value("list_filtered") == []
    with row.cell("pages"):
        assert results.value("list_1000") == expected[:1000]
        assert results.value("pages") == expected


def _check_ids(row: Row, results: Results, sdk: Sdk) -> None:
    with row.cell("by id"):
        if sdk.version < (1, 0, 0):
            # Every call of this version is by id.
            assert results.value("get")["id"] == results.value("create")["id"]
            return
        assert results.value("by_id") == results.value("get")
        check_archive(results.archive("by_id_download"), COMPLETE, 2 * COMPLETE)
        assert results.error("by_id_404")["raised"] == "NotFoundError"


def _check_bulk_delete(row: Row, results: Results) -> None:
    with row.cell("bulk delete"):
        deleted = results.value("bulk_delete")
        second = results.value("create_wait")["id"]
        assert deleted.get("succeeded", deleted.get("deleted")) == [second]
        assert deleted["not_found"] == [UNKNOWN_ID]
        assert "second" not in results.value("bulk_deleted")
        assert results.error("bulk_delete_none")["raised"] == "ValidationError"


def _check_errors(row: Row, results: Results, sdk: Sdk) -> None:
    with row.cell("errors"):
        expected = ERRORS_0_1 if sdk.version < (1, 0, 0) else ERRORS_1
        for step, (name, word) in expected.items():
            error = results.error(step)
            assert error["raised"] == name, f"{step}: {error}"
            assert word in error["message"], f"{step}: {error}"
            if sdk.version >= (1, 0, 0):
                assert error["status_code"] == int(step[:3]), f"{step}: {error}"
                assert error["request_id"], f"{step}: {error}"
            if sdk.version >= (1, 61, 5):
                assert error["code"] == CODES[step[:3]], f"{step}: {error}"
                if step == "422":
                    assert [e["field"] for e in error["field_errors"]] == ["format"]


def _check_odd_names(row: Row, results: Results, sdk: Sdk) -> None:
    with row.cell("odd names"):
        for name in ODD_NAMES:
            seen = results.value(f"name {name}")
            assert seen["name"] == name
            if name in sdk.unaddressable:
                continue
            assert seen.get("same", True), f"{name!r} found another export"
            assert not seen["left"], f"{name!r} was not deleted"
            check_archive(results.folder / seen["path"], IMAGES, ANNOTATIONS)
