"""The table of exports, by a user's hands: live, filtered, paused, opened, acted upon."""

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.console.browsing import NARROW, Visitor
from tests.datasets import SCENES, put_all, unique
from tests.exports import completed, create, get, unzip, watch
from tests.parts import ObjectStore
from tests.stack import Embedded, Production, Stack

Visit = Callable[..., Visitor]


def test_a_key_opens_the_page_and_stays_in_its_tab(embedded: Embedded, visit: Visit) -> None:
    visitor = visit(embedded)
    page = visitor.page
    visitor.expected_statuses.add(401)
    page.goto(embedded.base_url)
    page.get_by_label("API key").fill("pk_live_of-nobody-at-all")
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    page.get_by_label("API key").fill("two words")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no API key")

    visitor.sign_in("viewer")
    expect(page.locator("#role")).to_have_text("viewer")
    assert embedded.key("viewer") not in page.url
    page.reload()
    expect(page.get_by_role("heading", name="Exports", exact=True)).to_be_visible()
    # Another tab has a session of its own.
    other = page.context.new_page()
    other.goto(embedded.base_url)
    expect(other.get_by_label("API key")).to_be_focused()
    page.get_by_role("button", name="Forget key").click()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_exports_come_change_and_go_before_ones_eyes(production: Production, visit: Visit) -> None:
    dataset = _dataset(production)
    visitor = visit(production)
    page = visitor.page
    visitor.sign_in()
    _pause_workers(production)
    try:
        export = create(production, dataset, "appears", format="yolo")
        row = visitor.row("appears")
        expect(row).to_contain_text("pending")
        visitor.act("Cancel", "appears")
        page.get_by_role("button", name="Cancel export").click()
        expect(row).to_contain_text("failed")
        expect(row).to_contain_text("cancelled")
        visitor.act("Retry", "appears")
        expect(row).to_contain_text("pending")
        page.get_by_role("button", name="Pause updates").click()
    finally:
        _resume_workers(production)
    # Paused, the page does not move, whatever happens.
    expect(page.locator("#live")).to_have_text("Paused")
    _until_completed(production, export.id)
    page.wait_for_timeout(1_000)
    expect(row).to_contain_text("pending")
    page.get_by_role("button", name="Pause updates").click()
    expect(row).to_contain_text("completed")
    expect(row).to_contain_text("12 images")

    visitor.act("Delete", "appears")
    # It asks first, and Escape means no.
    page.keyboard.press("Escape")
    expect(row).to_be_visible()
    visitor.act("Delete", "appears")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_the_title_counts_what_finished_while_nobody_looked(
    production: Production, visit: Visit
) -> None:
    dataset = _dataset(production)
    visitor = visit(production)
    visitor.sign_in()
    _pause_workers(production)
    try:
        create(production, dataset, "meanwhile")
        expect(visitor.row("meanwhile")).to_contain_text("pending")
        # Headless tabs are never hidden by others: the page is told that it lost the focus.
        visitor.page.evaluate("document.hasFocus = () => false")
    finally:
        _resume_workers(production)
    expect(visitor.page).to_have_title("(1) Exports · Cartouche")
    expect(visitor.page.locator("#notices")).to_contain_text("meanwhile is completed")
    visitor.page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(visitor.page).to_have_title("Exports · Cartouche")


def test_a_gateway_that_goes_and_comes_back(production: Production, visit: Visit) -> None:
    visitor = visit(production)
    visitor.sign_in()
    production.gateway.stop()
    banner = visitor.page.get_by_role("alert").filter(has_text="Trying again in")
    expect(banner).to_be_visible()
    production.gateway.start()
    production.gateway.wait_ready()
    expect(visitor.page.locator("#live")).to_have_text("Live")
    expect(banner).to_be_hidden()
    # Chromium tells of every connection that was refused.
    visitor.complaints = [text for text in visitor.complaints if "ERR_" not in text]
    visitor.complaints = [text for text in visitor.complaints if "503" not in text]


def test_an_organization_that_has_nothing_yet(production: Production, visit: Visit) -> None:
    visitor = visit(production)
    page = visitor.page
    page.goto(production.base_url)
    page.get_by_label("API key").fill(production.key("owner", unique("new")))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No exports yet")).to_be_visible()
    expect(page.locator("#shown")).to_have_text("0 exports")
    assert visitor.violations() == []
    page.get_by_role("button", name="Make the first export").click()
    expect(page.locator("#preview")).to_contain_text("no dataset yet")
    expect(page.get_by_role("button", name="Create export")).to_be_disabled()


def test_search_and_filters_select_and_stay_in_the_address(
    production: Production, visit: Visit
) -> None:
    dataset = _dataset(production)
    for name, kind in (("red kite", "coco"), ("Red fox", "csv"), ("hare", "csv")):
        completed(production, dataset, name, format=kind)
    visitor = visit(production)
    page, rows = visitor.page, visitor.page.locator("tr.row .name")
    visitor.sign_in()
    page.get_by_label("Dataset").first.select_option(dataset)
    expect(rows).to_have_text(["hare", "Red fox", "red kite"])
    page.get_by_label("Search by name").fill("RED")
    expect(rows).to_have_text(["Red fox", "red kite"])
    page.get_by_label("Format", exact=True).first.select_option("csv")
    expect(rows).to_have_text(["Red fox"])
    page.reload()
    expect(rows).to_have_text(["Red fox"])
    page.get_by_label("Status", exact=True).first.select_option("failed")
    expect(page.get_by_role("heading", name="No export matches")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(visitor.row("hare")).to_be_visible()


def test_details_tell_everything_and_copy_it(
    production: Production, visit: Visit, tmp_path: Path
) -> None:
    dataset = _dataset(production)
    export = completed(production, dataset, "told", format="pascal_voc", include_images=True)
    visitor = visit(production)
    page = visitor.page
    visitor.sign_in()
    details = visitor.open("told")
    expect(details).to_contain_text(dataset)
    for step in ("Created", "Planned", "Checked", "Completed", "Expires"):
        expect(details.locator(".timeline")).to_contain_text(step)
    details.get_by_role("button", name="Read the reasons").click()
    expect(details.get_by_role("status")).to_contain_text("1 degraded")
    details.get_by_role("button", name="Copy CRC-32").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{export.crc32:08x}"
    details.get_by_role("button", name="Copy curl lines").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    body = json.loads(copied.split("-d '")[1].rstrip("'"))
    assert body == {
        "dataset_name": dataset,
        "name": "told",
        "format": "pascal_voc",
        "include_images": True,
    }
    with page.expect_download() as started:
        visitor.act("Download", "told")
    started.value.save_as(tmp_path / "told.zip")
    assert len(unzip((tmp_path / "told.zip").read_bytes()).namelist()) > len(SCENES)


def test_what_is_tried_again_is_in_the_timeline(
    production: Production, object_store: ObjectStore, visit: Visit
) -> None:
    dataset = _dataset(production)
    visitor = visit(production)
    visitor.sign_in()
    object_store.kill()
    try:
        export = create(production, dataset, "held up", include_images=True)
        timeline = visitor.open("held up").locator(".timeline")
        expect(timeline).to_contain_text("The object store did not answer.", timeout=30_000)
    finally:
        object_store.start()
    _until_completed(production, export.id)
    expect(timeline.locator(".done").filter(has_text="Completed")).to_be_visible()
    expect(timeline).to_contain_text("Tried again")


def test_several_at_once(production: Production, visit: Visit) -> None:
    dataset = _dataset(production)
    names = [f"heap {number}" for number in range(3)]
    for name in names:
        completed(production, dataset, name)
    visitor = visit(production)
    page = visitor.page
    visitor.sign_in()
    page.get_by_label("Search by name").fill("heap")
    expect(page.locator("tr.row")).to_have_count(3)
    page.get_by_label("Select all exports shown").check()
    page.get_by_label("Select heap 1").uncheck()
    expect(page.locator("#bulk-count")).to_have_text("2 selected")
    page.get_by_role("group", name="Selected exports").get_by_role("button", name="Delete").click()
    asked = page.get_by_role("alertdialog")
    expect(asked).to_contain_text("heap 0")
    asked.get_by_role("button", name="Delete").click()
    expect(page.locator("tr.row .name")).to_have_text(["heap 1"])
    expect(page.locator("#bulk")).to_be_hidden()


def test_a_viewer_is_offered_only_what_it_may(production: Production, visit: Visit) -> None:
    dataset = _dataset(production)
    completed(production, dataset, "seen")
    visitor = visit(production)
    visitor.sign_in("viewer")
    row = visitor.row("seen")
    expect(row.get_by_role("button", name="Download seen")).to_be_visible()
    expect(row.get_by_role("button", name="Delete seen")).to_have_count(0)
    expect(visitor.page.get_by_role("button", name="New export")).to_be_hidden()


def test_hundreds_of_rows_and_only_what_changes_is_written(
    production: Production, visit: Visit
) -> None:
    dataset = _dataset(production)
    _pause_workers(production)
    try:
        made = [create(production, dataset, f"many {number:03}").id for number in range(230)]
        visitor = visit(production)
        page = visitor.page
        visitor.sign_in()
        page.get_by_label("Search by name").fill("many")
        expect(page.locator("#shown")).to_have_text("100 of 230 exports")
        page.get_by_role("button", name="Show 100 more").click()
        page.get_by_role("button", name="Show 30 more").click()
        expect(page.locator("tr.row")).to_have_count(230)
        page.evaluate(
            """() => {
              window.touched = new Set();
              new MutationObserver((changes) => changes.forEach(({target}) => {
                const place = target.closest ? target : target.parentElement;
                const row = place.closest("tr.row");
                // Times age by themselves.
                const name = row?.querySelector(".name").textContent;
                if (row && !place.closest("time")) window.touched.add(name);
              })).observe(document.getElementById("rows"),
                {subtree: true, childList: true, characterData: true, attributes: true});
            }"""
        )
        visitor.stack.http().post(f"/api/v1/developer/exports/{made[7]}/cancel").raise_for_status()
        expect(visitor.row("many 007")).to_contain_text("failed")
        assert page.evaluate("[...window.touched]") == ["many 007"]
        production.http().post(
            "/api/v1/developer/exports/bulk-delete", json={"export_ids": made}
        ).raise_for_status()
        expect(page.get_by_role("heading", name="No export matches")).to_be_visible()
    finally:
        _resume_workers(production)


def test_by_keyboard_alone_on_a_narrow_screen(embedded: Embedded, visit: Visit) -> None:
    completed(embedded, "street-scenes", "by hand", format="csv")
    visitor = visit(embedded, size=NARROW)
    page = visitor.page
    page.goto(embedded.base_url)
    page.keyboard.insert_text(embedded.key("owner"))
    page.keyboard.press("Enter")
    name = visitor.row("by hand").get_by_role("button", name="by hand", exact=True)
    name.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if name.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("tr.panel")).to_contain_text("Timeline")
    expect(name).to_have_attribute("aria-expanded", "true")
    # Nothing reaches over the edge.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _dataset(stack: Stack) -> str:
    name = unique("shown")
    put_all(stack, name, SCENES)
    return name


def _pause_workers(stack: Production) -> None:
    for worker in stack.workers:
        worker.pause()


def _resume_workers(stack: Production) -> None:
    for worker in stack.workers:
        worker.resume()


def _until_completed(stack: Stack, export_id: str) -> None:
    watch(stack, export_id)
    assert get(stack, export_id).completed_at.seconds
