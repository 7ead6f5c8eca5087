"""The page's own arithmetic, run where it runs: archives, streams of events, the pace of work."""

import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.console.browsing import Visitor
from tests.datasets import unique
from tests.stack import Production

Visit = Callable[..., Visitor]

TEXT = "one line of text, again and again\n" * 500


def test_archives_larger_than_zip_was_made_for(
    production: Production, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if everything was above 4 GiB: sizes, places and the number of files go where ZIP64 has
    # them.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, method in (("a/stored", zipfile.ZIP_STORED), ("é", zipfile.ZIP_DEFLATED)):
            archive.writestr(zipfile.ZipInfo(name), TEXT, method)
        archive.writestr("empty", b"")
        archive.comment = b"PK\5\6 is no end here"
    assert b"PK\6\6" in file.getvalue()
    found = _read(production, visit, file.getvalue(), ["a/stored", "é", "empty"])
    assert found == [TEXT, TEXT, ""]


@pytest.mark.parametrize("what", ["content", "directory", "end"])
def test_damage_is_told_and_not_shown(production: Production, visit: Visit, what: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("name", TEXT)
    data = bytearray(file.getvalue())
    place = {"content": data.index(b"again"), "directory": data.index(b"PK\1\2"), "end": -22}[what]
    data[place] ^= 1
    (told,) = _read(production, visit, bytes(data), ["name"])
    assert "damaged" in told


def test_events_are_read_however_the_stream_is_cut(production: Production, visit: Visit) -> None:
    stream = (
        'retry: 50\n\n:\n\nevent: page\r\nid: 7\r\ndata: {"a":\r\ndata: "é"}\r\n\r\ndata: 1\n\n'
    )
    found = _page(production, visit).page.evaluate(
        """async (stream) => {
          const { EventParser } = await import("/console/events.js");
          const told = new Set();
          for (let size = 1; size <= stream.length; size += 1) {
            const events = [];
            const parser = new EventParser((event) => events.push(event));
            for (let at = 0; at < stream.length; at += size) {
              parser.push(stream.slice(at, at + size));
            }
            told.add(JSON.stringify([events, parser.lastId, parser.retryMs]));
          }
          return [...told].map((text) => JSON.parse(text));
        }""",
        stream,
    )
    events = [{"type": "page", "data": '{"a":\n"é"}'}, {"type": "message", "data": "1"}]
    assert found == [[events, "7", 50]]


def test_the_timeline_says_what_was_tried_again(production: Production, visit: Visit) -> None:
    told = _page(production, visit).page.evaluate(
        """async () => {
          const { ExportDetails } = await import("/console/export-details.js");
          const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
          const row = {
            id: "x", name: "x", dataset_name: "d", format: "coco", status: "processing",
            class_filter: null, status_filter: null, image_count: 3, file_size: null,
            segment_count: 4, segments_done: 1, stage: "build", expires_at: null,
            created_at: at(-90), queued_at: at(-60), snapshot_at: at(-50), completed_at: null,
          };
          const timeline = (retries) => {
            const { element } = new ExportDetails({ ...row, retries }, { may: () => false });
            return [...element.querySelectorAll(".timeline li")].map((step) => step.textContent);
          };
          const retries = { count: 2, reason: "The object store did not answer.", at: at(-5) };
          return [
            timeline(null),
            timeline({ ...retries, next_at: at(180) }),
            timeline({ ...retries, next_at: at(-1) }),
            timeline({ ...retries, count: 1, next_at: null }),
          ];
        }""",
    )
    assert not any("Tried again" in step for step in told[0])
    assert any(step.startswith("Retried") for step in told[0])
    said = [next(step for step in steps if step.startswith("Tried again")) for steps in told[1:]]
    assert said[0].endswith("2 times. The object store did not answer. It goes on in 3 minutes.")
    assert said[1].endswith("2 times. The object store did not answer.")
    assert said[2].endswith("1 time. The object store did not answer.")


def test_pace_is_that_of_the_last_seconds(production: Production, visit: Visit) -> None:
    found = _page(production, visit).page.evaluate(
        """async () => {
          const { Pace } = await import("/console/progress.js");
          const pace = new Pace();
          const at = (seconds, done) => {
            const row = {id: "x", status: "processing", bytes_total: 1000, bytes_done: done};
            pace.observe(row, seconds * 1000);
            return pace.of(row, seconds * 1000);
          };
          // Slow at first, then ten a second; an export that begins again has no pace.
          return [at(0, 0), at(100, 100), at(105, 150), at(110, 200), at(111, 0)];
        }"""
    )
    assert found[:2] == [None, None]
    assert found[3] == {"perSecond": 10, "secondsLeft": 80}
    assert found[4] is None


def _page(stack: Production, visit: Visit) -> Visitor:
    visitor = visit(stack)
    visitor.page.goto(stack.base_url)
    return visitor


def _read(stack: Production, visit: Visit, data: bytes, names: list[str]) -> Any:
    """The texts of files of an archive in the store, or what is said instead."""
    client, key = stack.store.client(), unique("archive")
    client.put_object(stack.exports_bucket, key, io.BytesIO(data), len(data))
    link = client.presigned_get_object(stack.exports_bucket, key, timedelta(hours=1))
    return _page(stack, visit).page.evaluate(
        """async ([link, size, names]) => {
          const { ZipReader } = await import("/console/zip-reader.js");
          try {
            const archive = await ZipReader.open(link, size);
            const texts = [];
            for (const name of names) {
              const bytes = await archive.read(name);
              texts.push(new TextDecoder().decode(bytes));
              let streamed = "";
              const reader = (await archive.stream(name)).getReader();
              for (let part; !(part = await reader.read()).done; ) streamed += part.value;
              if (streamed !== texts.at(-1)) texts.push(streamed);
            }
            return texts;
          } catch (error) {
            return [error.message];
          }
        }""",
        [link, len(data), names],
    )
