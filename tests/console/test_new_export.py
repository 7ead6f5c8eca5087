"""The form of a new export: what it offers, and the preview that answers while one chooses."""

from collections.abc import Callable
from contextlib import suppress

from playwright.sync_api import Error, Route, expect

from tests.console.browsing import Visitor
from tests.datasets import SCENES, count, put_all, unique
from tests.exports import completed
from tests.stack import Embedded

Visit = Callable[..., Visitor]


def test_a_new_export_from_choice_to_archive(embedded: Embedded, visit: Visit) -> None:
    dataset = unique("chosen")
    put_all(embedded, dataset, SCENES)
    completed(embedded, dataset, "taken")
    visitor = visit(embedded)
    visitor.expected_statuses.add(409)
    page = visitor.page
    visitor.sign_in("member")
    page.get_by_role("button", name="New export").click()
    form, preview = page.get_by_role("dialog"), page.locator("#preview")
    create = form.get_by_role("button", name="Create export")
    form.get_by_label("Dataset").select_option(dataset)
    expect(form.locator(".classes")).to_contain_text("sign")
    images, annotations = count()
    expect(preview).to_contain_text(f"Images{images}")
    expect(preview).to_contain_text(f"Annotations{annotations}")

    form.get_by_label("Format").select_option("yolo")
    expect(form.locator("#format-note")).to_contain_text("polylines, keypoints: dropped")
    expect(preview).to_contain_text("degraded")
    form.get_by_label("Status of images").select_option("review")
    expect(preview).to_contain_text("The selection is empty")
    expect(create).to_be_disabled()
    form.get_by_label("Status of images").select_option("")
    form.get_by_label("All classes").uncheck()
    expect(preview).to_contain_text("no class is ticked")
    expect(create).to_be_disabled()
    form.get_by_label("person").check()
    images, annotations = count(among=["person"])
    expect(preview).to_contain_text(f"Images{images}")
    expect(preview).to_contain_text(f"Annotations{annotations}")
    form.get_by_label("Keep images without any of them").check()
    images, _ = count(among=["person"], unannotated=True)
    expect(preview).to_contain_text(f"Images{images}")

    form.get_by_label("Name", exact=True).fill("taken")
    expect(preview).to_contain_text("already")
    create.click()
    expect(form.get_by_role("alert")).to_contain_text("taken")
    expect(form.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Name", exact=True).fill("people")
    expect(preview).not_to_contain_text("already")
    create.click()
    expect(form).to_be_hidden()
    row = visitor.row("people")
    expect(row).to_contain_text("completed")
    expect(row).to_contain_text(f"{annotations} annotations")

    # Made once more, from its own details.
    visitor.open("people").get_by_role("button", name="Export again").click()
    expect(form.get_by_label("person")).to_be_checked()
    expect(form.get_by_label("car")).not_to_be_checked()
    expect(form.get_by_label("Format")).to_have_value("yolo")
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()


def test_the_last_choice_is_what_the_preview_shows(embedded: Embedded, visit: Visit) -> None:
    dataset = unique("hasty")
    put_all(embedded, dataset, SCENES)
    visitor = visit(embedded)
    page = visitor.page
    visitor.sign_in()
    page.get_by_role("button", name="New export").click()
    form, preview = page.get_by_role("dialog"), page.locator("#preview")
    form.get_by_label("Dataset").select_option(dataset)
    expect(preview).to_contain_text("Images12")
    # The answer to an earlier choice is held back until the last one's is there.
    held: list[Route] = []
    page.route("**/preview", lambda route: held.append(route), times=1)
    form.get_by_label("Status of images").select_option("new")
    while not held:
        page.wait_for_timeout(50)
    form.get_by_label("Status of images").select_option("complete")
    images, annotations = count(status="complete")
    expect(preview).to_contain_text(f"Annotations{annotations}")
    with suppress(Error):
        # The page has given it up already.
        held[0].continue_()
    page.wait_for_timeout(500)
    expect(preview).to_contain_text(f"Images{images}")
    expect(preview).to_contain_text(f"Annotations{annotations}")
