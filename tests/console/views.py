"""Every view of the console, one after the other, as a person comes to them."""

from collections.abc import Iterator

from playwright.sync_api import expect

from tests.console.browsing import Visitor
from tests.exports import PATIENCE
from tests.stack import Stack

DATASET = "street-scenes"


def views(visitor: Visitor) -> Iterator[str]:
    """Shows each view and gives its name, while it is shown."""
    page, stack = visitor.page, visitor.stack
    prepare(stack)
    page.goto(stack.base_url)
    page.get_by_label("API key").wait_for()
    yield "key"
    visitor.sign_in()
    visitor.row("Training set").wait_for()
    yield "exports"
    page.get_by_label("Select Training set").check()
    details = visitor.open("Training set")
    details.get_by_role("button", name="Read the reasons").click()
    expect(details.locator(".plain li").first).to_be_visible()
    yield "details"
    visitor.act("Delete", "Training set")
    page.get_by_role("alertdialog").wait_for()
    yield "question"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New export").click()
    page.get_by_label("Format").last.select_option("yolo")
    expect(page.locator("#preview")).to_contain_text("What the format would lose")
    expect(page.locator("#preview[aria-busy=true]")).to_have_count(0)
    yield "form"
    page.keyboard.press("Escape")
    visitor.act("Look inside", "Training set")
    expect(page.locator("figure")).to_have_count(8)
    visitor.wait_for_pictures()
    yield "look"
    page.get_by_role("button", name="Close").last.click()
    page.get_by_label("Search by name").fill("nothing has this name")
    page.get_by_role("heading", name="No export matches").wait_for()
    yield "nothing"
    page.get_by_role("button", name="Clear the filters").click()


def prepare(stack: Stack) -> None:
    """Makes the exports that the views show, once."""
    http = stack.http()
    root = "/api/v1/developer/exports/"
    if http.get(f"{root}{DATASET}/Training set").is_success:
        return
    for name, kind, more in (
        ("Annotations for review", "pictograph", {}),
        ("Detector, cars and people", "yolo", {"class_filter": ["car", "person"]}),
        ("Poses", "yolo_pose", {}),
        ("Training set", "coco", {"organize_by_split": True}),
    ):
        body = {"dataset_name": DATASET, "name": name, "format": kind, "include_images": True}
        http.post(root, json=body | more).raise_for_status()
    with http.stream(
        "GET", f"{root}{DATASET}/Training set", headers=_EVENTS, timeout=PATIENCE
    ) as told:
        assert "completed" in told.read().decode()


_EVENTS = {"Accept": "text/event-stream"}
