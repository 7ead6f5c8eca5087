"""The short form of `make soak`, and what it must see."""

import sqlite3
import threading
from pathlib import Path

import pytest

from tests.datasets import Picture, jpeg, put_all, unique
from tests.load.burst import EXPORTS, create_at_once
from tests.load.soak import SLACK, Figures, Outcome, soak
from tests.load.tenants import Tenant, tenants
from tests.stack import Embedded, Stack

CREATES = 250
#: More than a server has threads, and a second of its creates.
IN_LINE = 40

pytestmark = pytest.mark.timeout(300)


def test_creates_at_once_are_all_answered_and_all_there(stack: Stack) -> None:
    some = tenants(stack, 5)
    burst = create_at_once(stack, some, CREATES)
    assert burst.unanswered() == []
    made = [answer.json() for answer in burst.answers if answer.status == 201]
    assert len({export["id"] for export in made}) == len(made)
    found = set()
    for tenant in some:
        listed = stack.http("owner", tenant.organization).get(f"{EXPORTS}/?limit=1000").json()
        found |= {export["id"] for export in listed}
    assert found == {export["id"] for export in made}


def test_who_stands_in_line_for_too_long_is_told_to_come_back(embedded: Embedded) -> None:
    """While somebody else keeps the database to himself for longer than anybody should wait."""
    tenant = Tenant(embedded.organization, unique("line"), embedded.key("owner"))
    put_all(embedded, tenant.dataset, [Picture("a.jpg", jpeg())])
    locked, free = threading.Event(), threading.Event()

    def hold() -> None:
        file = Path(embedded.env["CARTOUCHE_HOME"]) / "cartouche.db"
        record = sqlite3.connect(file, isolation_level=None, timeout=30)
        record.execute("BEGIN IMMEDIATE")
        locked.set()
        free.wait(11)
        record.execute("ROLLBACK")
        record.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(30)
        burst = create_at_once(embedded, [tenant], IN_LINE, "line")
    finally:
        free.set()
        holder.join()
    assert burst.unanswered() == []
    assert burst.statuses.keys() == {201, 429}
    told = next(answer for answer in burst.answers if answer.status == 429)
    assert told.json()["error"] == "overloaded"
    assert told.headers["retry-after"] == "5"
    # Who does so is served.
    names = {a.json()["name"] for a in burst.answers if a.status == 201}
    again = create_at_once(embedded, [tenant], IN_LINE, "line")
    assert again.statuses == {201: IN_LINE - len(names), 409: len(names)}


def test_nothing_grows_in_a_short_soak() -> None:
    """On one of its own: what other tests have left behind goes when it goes."""
    with Embedded("soak", {"CARTOUCHE_RECONCILE_INTERVAL": "0.3"}) as stack:
        outcome = soak(stack, tenants(stack, 2), seconds=4, warm_up=3, quiet=2)
    assert outcome.cycles
    assert outcome.verdict == "flat", "\n".join(outcome.lines())


@pytest.mark.parametrize("name", [name for name, slack in SLACK.items() if slack < 1e30])
def test_what_grows_is_seen(name: str) -> None:
    start = Figures(dict.fromkeys(SLACK, 1_000.0))
    end = Figures({**start.counts, name: 1_101.0 + SLACK[name]})
    assert Outcome(start, start, 1, 1, []).verdict == "flat"
    assert Outcome(start, end, 1, 1, []).verdict == f"not flat: more {name}"
    assert Outcome(start, start, 1, 1, ["one"]).verdict.startswith("not flat")
