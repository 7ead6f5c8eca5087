"""More tabs than a browser opens connections to one server: only the one that is shown streams."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Playwright, expect

from tests.console.browsing import Visitor, window
from tests.datasets import SCENES, put_all, unique
from tests.exports import completed
from tests.stack import Production

#: Two more than Chromium's connections to a server of HTTP/1.1.
TABS = 8
TITLE = "Exports · Cartouche"


@pytest.fixture
def tabs(playwright: Playwright, tmp_path: Path) -> Iterator[BrowserContext]:
    """An empty window."""
    with window(playwright, tmp_path) as context:
        yield context


def test_every_tab_is_live_when_it_is_shown(production: Production, tabs: BrowserContext) -> None:
    dataset = unique("tabs")
    put_all(production, dataset, SCENES)
    visitors = []
    for _ in range(TABS):
        visitor = Visitor(tabs, production)
        visitor.page.bring_to_front()
        visitor.sign_in()
        visitors.append(visitor)
    first, *_, last = visitors
    assert first.page.evaluate("document.hidden")
    assert not last.page.evaluate("document.hidden")

    # What begins and ends between two looks of a hidden tab is counted in its title too.
    completed(production, dataset, "while hidden", format="csv")
    expect(last.row("while hidden")).to_contain_text("completed")
    expect(last.page).to_have_title(TITLE)
    # It looks again after half a minute, or when the network is back.
    first.page.evaluate("dispatchEvent(new Event('online'))")
    expect(first.page).to_have_title(f"(1) {TITLE}")

    # Whatever a tab has missed, it shows when it is shown, and is live from then on.
    completed(production, dataset, "missed", format="csv")
    first.page.bring_to_front()
    expect(first.row("missed")).to_contain_text("completed")
    expect(first.page).to_have_title(TITLE)
    completed(production, dataset, "seen", format="csv")
    expect(first.row("seen")).to_contain_text("completed")
    for visitor in visitors:
        visitor.check()
