"""What holds for every view: axe's rules in light and dark, the policy, the size."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.console.browsing import NARROW, WIDE, Visitor
from tests.console.views import views
from tests.exports import completed
from tests.stack import Embedded

Visit = Callable[..., Visitor]
CONSOLE = Path(__file__).parents[2] / "gateway" / "console"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_view_keeps_the_rules_of_accessibility(
    embedded: Embedded, visit: Visit, dark: bool
) -> None:
    visitor = visit(embedded, dark=dark, size=WIDE)
    found = {name: problems for name in views(visitor) if (problems := visitor.violations())}
    assert found == {}


def test_narrow_views_keep_them_too(embedded: Embedded, visit: Visit) -> None:
    visitor = visit(embedded, size=NARROW)
    for name in views(visitor):
        assert visitor.violations() == [], name
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_the_policy_lets_no_script_of_others_run(embedded: Embedded, visit: Visit) -> None:
    visitor = visit(embedded)
    visitor.sign_in()
    policy = httpx.get(embedded.base_url, trust_env=False).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    ran = visitor.page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.head.append(script);
          const refused = await fetch("http://127.0.0.2:9/").then(() => false, () => true);
          return [window.ran, refused];
        }"""
    )
    assert ran == [None, True]
    assert len(visitor.complaints) >= 2
    assert all("Content Security Policy" in text for text in visitor.complaints)
    visitor.complaints.clear()
    visitor.origins.discard("http://127.0.0.2:9")


def test_the_files_are_small_and_speak_to_nobody_else() -> None:
    files = [path for path in CONSOLE.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100 * 1024
    for path in files:
        named = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
        # Addresses of standards in comments, and the names of XML.
        assert {url for url in named if not re.search(r"whatwg\.org|w3\.org", url)} == set(), path


def test_names_are_text_wherever_they_are_shown(embedded: Embedded, visit: Visit) -> None:
    name = "<img src=x onerror=alert(1)>"
    completed(embedded, "street-scenes", name)
    visitor = visit(embedded)
    visitor.sign_in()
    expect(visitor.open(name)).to_contain_text("street-scenes")
    expect(visitor.page.locator("td img, th img, pre img")).to_have_count(0)
