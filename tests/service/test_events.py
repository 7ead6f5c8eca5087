"""What watchers hear: of one export and of a list, over gRPC and as Server-Sent Events; and what
a console reads besides."""

import json
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from services.formats.registry import FORMATS
from tests.datasets import SCENES, Picture, bbox, jpeg, key_of, put_all, unique
from tests.exports import completed, create, stub
from tests.stack import ROLES, Embedded, Stack

EXPORTS = "/api/v1/developer/exports"
DATASETS = "/api/v1/developer/datasets"
Told = dict[str, Any]


def told(answer: httpx.Response) -> Iterator[tuple[str, str, Any]]:
    """The events of a stream: name, id, data."""
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}
        else:
            fields = {}


def events(
    stack: Stack, path: str, role: str = "viewer", **headers: str
) -> Generator[tuple[str, str, Any], None, None]:
    """The events of a path; the connection ends with the iterator."""
    sent = {"Accept": "text/event-stream", **headers}
    with stack.http(role).stream("GET", path, headers=sent) as answer:
        assert answer.status_code == 200, answer.read()
        yield from told(answer)


@pytest.fixture(scope="module")
def dataset(stack: Stack) -> str:
    name = unique("events")
    put_all(stack, name, [Picture("a.jpg", jpeg(), [bbox("car")])])
    return name


def page_of(dataset: str, **fields: Any) -> pb.WatchExportsRequest:
    return pb.WatchExportsRequest(page=pb.ListExportsRequest(dataset_name=dataset, **fields))


def test_a_list_is_told_and_then_what_changes(stack: Stack, dataset: str) -> None:
    first = completed(stack, dataset)
    with closing_call(
        stub(stack).WatchExports(page_of(dataset), metadata=key_of(stack, "viewer"), timeout=60)
    ) as call:
        page = next(call)
        assert page.is_page
        assert first.id in [export.id for export in page.exports]
        new = create(stack, dataset)
        seen: list[pb.Export] = []
        while not seen or seen[-1].status != pb.EXPORT_STATUS_COMPLETED:
            answer = next(call)
            assert not answer.is_page
            assert answer.total == page.total + 1
            seen += answer.exports
        # Others of the page have not changed.
        assert {export.id for export in seen} == {new.id}
        stub(stack).DeleteExport(
            pb.DeleteExportRequest(id=new.id), metadata=key_of(stack, "owner"), timeout=30
        )
        while not answer.gone:
            answer = next(call)
        assert (list(answer.gone), answer.total) == ([new.id], page.total)


def test_a_watched_list_is_one_page_of_one_organization(stack: Stack, dataset: str) -> None:
    name = unique("Wanted")
    with closing_call(
        stub(stack).WatchExports(
            page_of(dataset, search=name[1:6].upper(), limit=1),
            metadata=key_of(stack, "viewer"),
            timeout=60,
        )
    ) as call:
        before = next(call)
        create(stack, dataset, unique("other"))
        wanted = create(stack, dataset, name)
        answer = next(call)
        assert [export.id for export in answer.exports] == [wanted.id]
        assert answer.total == before.total + 1
    with pytest.raises(grpc.RpcError) as refused:
        next(
            stub(stack).WatchExports(
                page_of(dataset), metadata=key_of(stack, "viewer", "strangers"), timeout=30
            )
        )
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_export_is_told_until_it_has_ended(stack: Stack, dataset: str) -> None:
    export = create(stack, dataset)
    path = f"{EXPORTS}/{export.id}"
    heard = list(events(stack, path))
    assert [name for name, _, _ in heard] == ["export"] * (len(heard) - 1) + ["end"]
    last = heard[-2]
    assert heard[-1][2] == {"reason": "completed"}
    assert last[2] == stack.http("viewer").get(path).json()
    assert (last[2]["stage"], last[2]["segments_done"]) == ("done", last[2]["segment_count"])
    # Who knows it already is not told again, by any form of the path.
    for form in (path, f"{EXPORTS}/{dataset}/{export.name}"):
        assert list(events(stack, form, **{"Last-Event-ID": last[1]})) == heard[-1:]
        assert list(events(stack, form, **{"Last-Event-ID": "another"})) == heard[-2:]


def test_a_list_is_told_as_events(stack: Stack, dataset: str) -> None:
    heard = events(stack, f"{EXPORTS}/?dataset_name={dataset}&limit=5")
    with closing(heard):
        name, _, page = next(heard)
        plain = stack.http("viewer").get(f"{EXPORTS}/?dataset_name={dataset}&limit=5")
        assert (name, page["exports"]) == ("page", plain.json())
        assert page["total"] == int(plain.headers["X-Total-Count"])
        export = create(stack, dataset)
        changed: list[Told] = []
        while not changed or changed[-1]["status"] != "completed":
            name, _, told_ = next(heard)
            assert name == "changes"
            changed += told_["exports"]
        assert {row["id"] for row in changed} == {export.id}


def test_a_refusal_is_no_stream(stack: Stack) -> None:
    accepts = {"Accept": "text/event-stream"}
    unknown = f"{EXPORTS}/00000000-0000-4000-8000-000000000000"
    for path, key, status in (
        (unknown, stack.key("viewer"), 404),
        (f"{EXPORTS}/", "pk_live_wrong", 401),
        (f"{EXPORTS}/", "", 401),
        (f"{EXPORTS}/?limit=0", stack.key("viewer"), 422),
    ):
        answer = httpx.get(
            stack.base_url + path, headers={**accepts, "X-API-Key": key}, trust_env=False
        )
        assert answer.status_code == status
        assert answer.json()["message"]
    # HEAD is answered as always, and nobody else gets events.
    head = stack.http("viewer").head(f"{EXPORTS}/", headers=accepts)
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")


def test_a_deletion_ends_a_stream(stack: Stack, dataset: str) -> None:
    put_all(stack, many := unique("many"), SCENES)
    export = create(stack, many, include_images=True)
    heard = events(stack, f"{EXPORTS}/{export.id}")
    with closing(heard):
        next(heard)
        stack.http("owner").delete(f"{EXPORTS}/{export.id}")
        # It may have been completed before.
        last = next(data for name, _, data in heard if name == "end")
        assert last["reason"] in ("deleted", "completed")


def test_a_stream_ends_before_its_gateway() -> None:
    with Embedded("events-end") as stack:
        ends: list[Any] = []
        began = threading.Event()

        def listen() -> None:
            for name, _, data in events(stack, f"{EXPORTS}/"):
                began.set()
                if name == "end":
                    ends.append(data)

        listening = threading.Thread(target=listen)
        listening.start()
        assert began.wait(30)
        assert stack.processes["run"].stop() == 0
        listening.join(20)
        assert ends == [{"reason": "shutdown"}]


def test_datasets_and_formats_are_read(stack: Stack, dataset: str) -> None:
    client = stack.http("viewer")
    listed = client.get(f"{DATASETS}/?limit=1000").json()
    assert listed["total"] == len(listed["datasets"])
    one = client.get(f"{DATASETS}/{dataset}").json()
    assert one in listed["datasets"]
    assert (one["image_count"], [kind["name"] for kind in one["classes"]]) == (1, ["car"])
    put_all(stack, odd := unique("odd/näme %2F"), [Picture("a.jpg", jpeg())])
    quoted = odd.replace("%", "%25").replace("/", "%2F").replace(" ", "%20")
    assert client.get(f"{DATASETS}/{quoted}").json()["name"] == odd
    for name in ("none", "%FF", "%00", "..%2F..", "a" * 200):
        assert client.get(f"{DATASETS}/{name}").status_code == 404
    assert client.post(f"{DATASETS}/").status_code == 405
    for path in (f"{DATASETS}/?limit=0", f"{DATASETS}/{dataset}", "/api/v1/developer/formats/"):
        assert httpx.get(stack.base_url + path, trust_env=False).status_code == 401
    found = client.get("/api/v1/developer/formats/").json()["formats"]
    assert found == [
        {"name": f.name, "description": f.description, "cannot_hold": f.cannot_hold}
        for f in FORMATS.values()
    ]


@pytest.mark.parametrize("role", ROLES)
def test_answers_say_the_role_of_the_key(stack: Stack, role: str) -> None:
    answer = stack.http(role).get(f"{EXPORTS}/?limit=1")
    assert answer.headers["X-API-Key-Role"] == role


class closing_call:
    """A stream that is cancelled at the end of the block."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __enter__(self) -> Any:
        return self._call

    def __exit__(self, *_: object) -> None:
        self._call.cancel()
