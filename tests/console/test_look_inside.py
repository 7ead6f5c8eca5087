"""A look into archives, read by range requests from the store itself."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.console.browsing import Visitor
from tests.datasets import Picture, bbox, jpeg, polygon, polyline, put_all, unique
from tests.exports import completed
from tests.stack import Production, Stack

Visit = Callable[..., Visitor]

WIDTH, HEIGHT = 160, 120
OUTER = [(10.0, 10.0), (90.0, 10.0), (90.0, 90.0), (10.0, 90.0)]
HOLE = [(30.0, 30.0), (70.0, 30.0), (70.0, 70.0), (30.0, 70.0)]


@pytest.mark.parametrize("kind", ["pictograph", "coco"])
def test_the_first_images_and_their_annotations(stack: Stack, visit: Visit, kind: str) -> None:
    dataset = unique("inside")
    put_all(
        stack,
        dataset,
        [
            # Turned by a quarter when it is shown: the sides change places.
            Picture(
                "a/turned é.jpg", jpeg(HEIGHT, WIDTH, 1, orientation=6), [bbox("car", 100, 80)]
            ),
            Picture("b.jpg", jpeg(WIDTH, HEIGHT, 2), [polygon("sign", OUTER, HOLE)]),
            Picture("c.jpg", jpeg(WIDTH, HEIGHT, 3), [polyline("lane", (5, 5), (150, 110))]),
            *(Picture(f"d{n}.jpg", jpeg(WIDTH, HEIGHT, n), ()) for n in range(8)),
        ],
    )
    completed(
        stack,
        dataset,
        f"{dataset} {kind}",
        format=kind,
        include_images=True,
        organize_by_split=True,
    )
    visitor = visit(stack)
    visitor.sign_in()
    visitor.act("Look inside", f"{dataset} {kind}")
    look = visitor.page.get_by_role("dialog")
    figures = look.locator("figure")
    expect(figures).to_have_count(8)
    expect(look.get_by_role("status")).to_have_text("The first 8 images of 11.")
    expect(figures.nth(0)).to_contain_text("a/turned é.jpg")
    expect(look.locator("canvas").nth(1)).to_have_attribute("aria-label", "1 sign")
    expect(look.get_by_label("Classes")).to_contain_text("sign")

    # The picture is there, the outline too, and its hole is open.
    visitor.wait_for_pictures()
    shown = {
        name: _pixel(visitor, 1, *point)
        for name, point in {"inside": (20, 50), "hole": (50, 50), "outside": (140, 100)}.items()
    }
    assert shown["hole"] == shown["outside"] != shown["inside"]
    # A picture that its EXIF turns is drawn as people see it.
    assert _pixel(visitor, 0, 105, 85) != _pixel(visitor, 0, 60, 100)
    look.get_by_role("checkbox", name="Annotations").uncheck()
    assert _pixel(visitor, 1, 20, 50) != shown["inside"]

    look.get_by_role("button", name="Enlarge b.jpg").click()
    expect(look.get_by_role("button", name="Back to all images")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    look.get_by_role("button", name="Show more images").click()
    expect(figures).to_have_count(11)
    visitor.page.keyboard.press("Escape")
    expect(look).to_have_count(0)


def test_annotations_alone_are_drawn_on_plain_ground(stack: Stack, visit: Visit) -> None:
    dataset = unique("bare")
    put_all(stack, dataset, [Picture("b.jpg", jpeg(WIDTH, HEIGHT), [bbox("car")])])
    completed(stack, dataset, dataset, format="coco")
    visitor = visit(stack)
    visitor.sign_in()
    visitor.act("Look inside", dataset)
    expect(visitor.page.locator("figure")).to_contain_text("no image file in the archive")


def test_what_the_page_cannot_draw_or_reach_it_says(production: Production, visit: Visit) -> None:
    dataset = unique("closed")
    put_all(production, dataset, [Picture("b.jpg", jpeg(WIDTH, HEIGHT), [bbox("car")])])
    completed(production, dataset, "other words", format="csv")
    completed(production, dataset, "out of reach", format="coco")
    visitor = visit(production)
    page = visitor.page
    visitor.sign_in()
    visitor.act("Look inside", "other words")
    expect(page.get_by_role("dialog")).to_contain_text("formats pictograph and coco")
    page.get_by_role("button", name="Close").click()

    # A store that allows no page to read: the browser keeps its answers back.
    page.route(f"{production.store.endpoint}/**", lambda route: route.abort("accessdenied"))
    visitor.act("Look inside", "out of reach")
    look = page.get_by_role("dialog")
    expect(look.get_by_role("status")).to_contain_text("does not let this page read")
    visitor.complaints = [text for text in visitor.complaints if "ERR_ACCESS_DENIED" not in text]
    page.unroute_all()
    with page.expect_download() as started:
        look.get_by_role("button", name="Download").click()
    assert started.value.suggested_filename == "out of reach.zip"


def _pixel(visitor: Visitor, canvas: int, x: float, y: float) -> list[int]:
    """The colour at a place of an image of the grid, in the image's own pixels; JPEG is not
    exact, so in steps of 8."""
    colour: list[int] = (
        visitor.page.locator(".tile canvas")
        .nth(canvas)
        .evaluate(
            """(canvas, [x, y, width]) => {
          const scale = canvas.width / width;
          const {data} = canvas.getContext("2d").getImageData(x * scale, y * scale, 1, 1);
          return [...data.slice(0, 3)].map((value) => Math.round(value / 8));
        }""",
            [x, y, WIDTH],
        )
    )
    return colour
