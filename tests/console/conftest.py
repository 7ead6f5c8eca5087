"""One Chromium for all tests of the console, a tab for each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.console.browsing import Visitor, launch, visiting
from tests.stack import Stack


# Not for the session: while Playwright runs, no other test of this thread may run a loop.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A running browser."""
    opened = launch(playwright)
    yield opened
    opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens tabs, whose complaints fail the test at its end."""
    with ExitStack() as tabs:

        def opened(stack: Stack, **options: Any) -> Visitor:
            return tabs.enter_context(visiting(browser, stack, **options))

        yield opened
