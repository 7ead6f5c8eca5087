"""Pages of a long list: as long as asked for, in one order, whatever is added meanwhile."""

from typing import Any

import httpx
import pytest

from tests.conformance.material import ORGANIZATION, PAGES, ROWS, LongList
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"
NEWEST = "pictograph-python/1.69.146"
#: ROWS, and one failed and one endless export.
TOTAL = ROWS + 2


@pytest.fixture
def http(cartouche: Stack, long_list: LongList) -> httpx.Client:
    assert len(long_list.rows) == TOTAL
    return cartouche.http("viewer", ORGANIZATION)


def page(http: httpx.Client, agent: str = "curl/8", **params: Any) -> Any:
    answer = http.get(
        EXPORTS, params={"dataset_name": PAGES} | params, headers={"User-Agent": agent}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 500, 999, 1000])
def test_a_page_has_as_many_rows_as_were_asked_for(
    http: httpx.Client, long_list: LongList, limit: int
) -> None:
    assert [row["name"] for row in page(http, limit=limit)] == long_list.names()[:limit]
    last = page(http, limit=limit, offset=TOTAL - 1)
    assert [row["name"] for row in last] == long_list.names()[-1:]


def test_without_a_limit_it_has_a_hundred(http: httpx.Client) -> None:
    assert len(page(http)) == 100


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1.5", "many", ""])
def test_other_limits_are_refused(http: httpx.Client, limit: str) -> None:
    answer = http.get(EXPORTS, params={"limit": limit})
    assert answer.status_code == 422
    assert "limit" in answer.json()["detail"]


@pytest.mark.parametrize("limit", [7, 300, 1000])
def test_pages_join_into_the_whole_list(
    http: httpx.Client, long_list: LongList, limit: int
) -> None:
    names: list[str] = []
    while rows := page(http, limit=limit, offset=len(names)):
        names += [row["name"] for row in rows]
        if limit == 7 and len(names) >= 70:
            break
    assert names == long_list.names()[: len(names)]
    assert limit == 7 or len(names) == TOTAL


def test_pagination_counts_what_the_client_can_read(
    http: httpx.Client, long_list: LongList
) -> None:
    readable = long_list.names("pictograph", "dota")
    first = page(http, NEWEST, limit=1000)
    assert [row["name"] for row in first["data"]] == readable[:1000]
    total = len(readable)
    assert total < TOTAL
    assert first["pagination"] == {
        "total": total,
        "limit": 1000,
        "offset": 0,
        "has_more": total > 1000,
    }
    middle = page(http, NEWEST, limit=10, offset=5)
    assert middle["pagination"] == {"total": total, "limit": 10, "offset": 5, "has_more": True}
    last = page(http, NEWEST, limit=10, offset=total - 10)
    assert [row["name"] for row in last["data"]] == readable[-10:]
    assert last["pagination"]["has_more"] is False
    assert page(http, NEWEST, offset=total)["data"] == []


def test_what_is_added_while_a_client_pages_hides_nothing(cartouche: Stack, dataset: str) -> None:
    http = cartouche.http("owner", ORGANIZATION)

    def create(name: str) -> None:
        made = http.post(EXPORTS, json={"dataset_name": dataset, "name": name})
        assert made.status_code == 201

    for number in range(6):
        create(f"before {number}")
    seen: list[str] = []
    for offset in range(0, 12, 2):
        rows = page(http, dataset_name=dataset, limit=2, offset=offset)
        seen += [row["name"] for row in rows]
        create(f"during {offset}")
    # Newest first: what is added moves rows back, where the client still comes.
    before = [name for name in dict.fromkeys(seen) if name.startswith("before")]
    assert before == [f"before {number}" for number in reversed(range(6))]
