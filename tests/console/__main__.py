"""`make console-check`: shows every view of the console in light, dark and on a narrow screen,
judges each by axe's rules, and writes pictures of them to docs/images/.
"""

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from tests.console.browsing import NARROW, Visitor, launch, visiting
from tests.console.views import views
from tests.stack import Embedded

PICTURES = Path(__file__).parents[2] / "docs" / "images"
#: The window of the pictures.
SHOWN = ViewportSize(width=1280, height=800)
#: The views that README and docs show; the others are only judged.
KEPT = ("exports", "details", "form", "look")
#: Bytes that a picture may have.
LARGEST = 150_000


def main() -> int:
    """Ends with 0 where no view breaks a rule."""
    problems = []
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Embedded("console") as stack, sync_playwright() as playwright:
        browser = launch(playwright)
        for word, dark, size in (
            ("light", False, SHOWN),
            ("dark", True, SHOWN),
            ("narrow", False, NARROW),
        ):
            with visiting(browser, stack, dark=dark, size=size) as visitor:
                for name in views(visitor):
                    found = visitor.violations()
                    problems += [f"{word} {name}: {problem}" for problem in found]
                    if name in KEPT:
                        _keep(visitor, f"console-{name}-{word}.png")
                    print(f"{word:7} {name:8} {len(found)} violations", flush=True)
        browser.close()
    print("\n".join(problems))
    return bool(problems)


def _keep(visitor: Visitor, name: str) -> None:
    picture = Image.open(BytesIO(visitor.page.screenshot())).convert("RGB")
    # Pages have few colours; those that show photographs are kept smaller.
    for share in (1, 0.7, 0.5):
        size = round(picture.width * share), round(picture.height * share)
        shown = picture.resize(size, Image.Resampling.LANCZOS)
        shown.quantize(128, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)
        if (PICTURES / name).stat().st_size < LARGEST:
            break
    print(f"        {name}: {(PICTURES / name).stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
