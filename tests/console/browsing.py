"""A person at the console: a real Chromium, what it shows, says and asks the network for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    ViewportSize,
)

from services.storage.embedded import HOST
from tests.needs import need_tool
from tests.processes import Process
from tests.stack import Production, Stack

WIDE = ViewportSize(width=1360, height=860)
NARROW = ViewportSize(width=390, height=800)
#: Milliseconds that anything may take on a busy machine.
PATIENCE = 60_000


# Root has no sandbox; a container's /dev/shm is small.
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium; the tests download no browser."""
    return playwright.chromium.launch(executable_path=need_tool("chromium"), args=_ARGUMENTS)


@contextmanager
def window(playwright: Playwright, folder: Path) -> Iterator[BrowserContext]:
    """A window whose tabs hide each other, as a person's do.

    A browser that Playwright launches believes that all of its tabs are shown.

    Args:
        playwright: a running one.
        folder: for the browser's profile.
    """
    command = [need_tool("chromium"), "--headless", "--remote-debugging-port=0", *_ARGUMENTS]
    chromium = Process("chromium", [*command, f"--user-data-dir={folder}"], folder, os.environ)
    told = folder / "DevToolsActivePort"
    chromium.start()
    try:
        chromium.wait_until(lambda: told.exists() and "\n" in told.read_text())
        port = told.read_text().split()[0]
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", no_defaults=True)
        (context,) = browser.contexts
        context.set_default_timeout(PATIENCE)
        yield context
        browser.close()
    finally:
        chromium.stop()


class Visitor:
    """A tab of the console of one stack, and all that went wrong in it."""

    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self.stack = stack
        self.page: Page = context.new_page()
        #: Errors and warnings of the browser's console, and errors that no script has caught.
        self.complaints: list[str] = []
        #: Answers of this status are complained about by Chromium, and are meant.
        self.expected_statuses: set[int] = set()
        self.origins: set[str] = set()
        self.urls: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._see)

    def sign_in(self, role: str = "owner") -> None:
        """Opens the page and enters the role's key."""
        self.page.goto(self.stack.base_url)
        self.page.get_by_label("API key").fill(self.stack.key(role))
        self.page.get_by_role("button", name="Open the console").click()
        self.page.get_by_text("Live", exact=True).wait_for()

    def row(self, name: str) -> Locator:
        """The row of an export."""
        return self.page.locator("tr.row").filter(has=self.page.get_by_text(name, exact=True))

    def open(self, name: str) -> Locator:
        """The details of an export, which this opens."""
        self.row(name).get_by_role("button", name=name, exact=True).click()
        return self.page.locator("tr.panel").filter(has=self.page.get_by_text("Timeline"))

    def act(self, verb: str, name: str) -> None:
        """Presses a button of a row."""
        self.row(name).get_by_role("button", name=f"{verb} {name}").click()

    def wait_for_pictures(self) -> None:
        """Waits until every picture of a look inside is drawn: none has the plain ground left."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll(".tile canvas")].every((canvas) => {
              const [r, g, b] = canvas.getContext("2d")
                .getImageData(canvas.width - 3, 3, 1, 1).data;
              return r !== 0x2b || g !== 0x31 || b !== 0x3b;
            })"""
        )

    def violations(self) -> list[str]:
        """What axe's rules find wrong with what is shown, WCAG's AA and best practices."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found
            for node in rule["nodes"]
        ]

    def check(self) -> None:
        """Nothing was complained of, and nobody was asked but the gateway and the store.

        Raises:
            AssertionError: names what was.
        """
        assert self.complaints == [], self.complaints
        foreign = {
            origin for origin in self.origins - {self.stack.base_url} if not self._is_store(origin)
        }
        assert foreign == set(), foreign
        assert [url for url in self.urls if "pk_live_" in url] == []

    def _is_store(self, origin: str) -> bool:
        if isinstance(self.stack, Production):
            return origin == self.stack.store.endpoint
        # The embedded store takes any free port.
        return urlsplit(origin).hostname == HOST

    def _hear(self, message: ConsoleMessage) -> None:
        meant = any(f"status of {status} " in message.text for status in self.expected_statuses)
        # The tests read pixels back more often than the page does, which does not.
        meant = meant or "willReadFrequently" in message.text
        if message.type in ("error", "warning") and not meant:
            self.complaints.append(message.text)

    def _see(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.urls.append(request.url)
        if parts.scheme in ("http", "https"):
            self.origins.add(f"{parts.scheme}://{parts.netloc}")


@contextmanager
def visiting(
    browser: Browser,
    stack: Stack,
    *,
    dark: bool = False,
    size: ViewportSize = WIDE,
) -> Iterator[Visitor]:
    """A new tab, which must have nothing to complain of at the end.

    Args:
        browser: a running one.
        stack: whose console it opens.
        dark: what the person prefers.
        size: of the window, in CSS pixels.
    """
    context = browser.new_context(
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        viewport=size,
        locale="en-GB",
        timezone_id="UTC",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
    try:
        visitor = Visitor(context, stack)
        yield visitor
        visitor.check()
    finally:
        context.close()
