"""A version follows the one before without a pause: both work on one database at once."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.pipeline import DATASET, RecordedPipeline, recorded, wait_until
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ
from tests.previous import previous_version, program_of
from tests.processes import free_port
from tests.stack import CARTOUCHE, CartoucheProcess, Production

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def upgraded(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, object_store: ObjectStore, noise: list[Path]
) -> Iterator[RecordedPipeline]:
    """A stack of the previous version, with two workers."""
    program = program_of(previous_version())
    with recorded(
        postgresql, rabbitmq, object_store, noise, "faults-upgrade", program=program
    ) as pipeline:
        yield pipeline


def test_an_upgrade_without_a_pause(upgraded: RecordedPipeline) -> None:
    stack = upgraded.stack
    old = stack.workers
    across = upgraded.create("across the migration")
    upgraded.wait_half_way(across)
    stack.program = CARTOUCHE
    stack.command("migrate")
    # The old version's processes go on after the migration.
    assert upgraded.digest(across) == upgraded.reference
    assert upgraded.digest(upgraded.create("after the migration")) == upgraded.reference
    serves_both_ways(upgraded)

    # Planned by the old version, finished by the new one.
    begun = upgraded.create("begun by the old")
    upgraded.halt_half_way(begun)
    # So that the old version can go on with what the new one begins.
    stack.env["CARTOUCHE_WORK_VERSION"] = "1"
    new = stack.add_worker()
    for worker in old:
        worker.resume()
        worker.stop()
    assert upgraded.digest(begun) == upgraded.reference

    # Planned by the new version, finished by the old one, as when an upgrade is taken back.
    taken_back = upgraded.create("taken back")
    upgraded.wait_half_way(taken_back)
    old[0].start()
    old[0].wait_ready()
    new.stop()
    assert upgraded.digest(taken_back) == upgraded.reference

    # Else the old version leaves it alone, until the new one is back.
    del stack.env["CARTOUCHE_WORK_VERSION"]
    old[0].stop()
    newest = stack.add_worker()
    left = upgraded.create("left alone")
    upgraded.wait_half_way(left)
    old[0].start()
    old[0].wait_ready()
    newest.stop()
    done = upgraded.segments_done(left)
    # It works, and might have worked on the other.
    assert upgraded.digest(upgraded.create("meanwhile")) == upgraded.reference
    assert upgraded.segments_done(left) == done
    newest.start()
    newest.wait_ready()
    assert upgraded.digest(left) == upgraded.reference

    # All at once.
    new.start()
    new.wait_ready()
    shared = [upgraded.create(f"shared {number}") for number in range(3)]
    assert {upgraded.digest(export_id) for export_id in shared} == {upgraded.reference}
    old[0].stop()

    stack.server.stop()
    stack.gateway.stop()
    for name in ("serve", "gateway"):
        stack.spawn(name, name).wait_ready()
    assert upgraded.digest(upgraded.create("all new")) == upgraded.reference


def serves_both_ways(upgraded: RecordedPipeline) -> None:
    """A gateway of each version works with a server of the other."""
    stack = upgraded.stack
    for server, gateway in (("old", "new"), ("new", "old")):
        env = dict(stack.env)
        started = []
        if server == "new":
            env["CARTOUCHE_GRPC_PORT"] = str(free_port())
            env["CARTOUCHE_SERVER"] = f"127.0.0.1:{env['CARTOUCHE_GRPC_PORT']}"
            started.append(_started(stack, "serve", env, CARTOUCHE))
        env["CARTOUCHE_HTTP_PORT"] = str(free_port())
        program = CARTOUCHE if gateway == "new" else program_of(previous_version())
        started.append(_started(stack, "gateway", env, program))
        with httpx.Client(
            base_url=f"http://127.0.0.1:{env['CARTOUCHE_HTTP_PORT']}",
            headers={"X-API-Key": stack.key("owner")},
            trust_env=False,
        ) as client:
            name = f"gateway {gateway}"
            made = client.post(
                "/api/v1/developer/exports/", json={"dataset_name": DATASET, "name": name}
            )
            assert made.status_code == 201, made.text
            upgraded.completed(made.json()["id"])
            read = client.get(f"/api/v1/developer/exports/{DATASET}/{name}")
            assert read.json()["status"] == "completed"
        for process in reversed(started):
            process.stop()


def _started(stack: Production, part: str, env: dict[str, str], program: Path) -> CartoucheProcess:
    process = CartoucheProcess(f"{part}-of-two", [part], stack.folder, env, program)
    stack.processes[process.name] = process
    process.start()
    return process.wait_ready()


def test_an_export_does_not_wait_for_a_version_that_is_gone(
    on_rabbitmq: RecordedPipeline,
) -> None:
    """Its archive begins again, with what there is now."""
    export_id = on_rabbitmq.create("begun otherwise")
    on_rabbitmq.halt_half_way(export_id)
    for worker in on_rabbitmq.stack.workers:
        worker.kill()
    built = {change.number for change in on_rabbitmq.history(export_id) if change.done}
    on_rabbitmq.rows(
        "UPDATE exports SET snapshot = jsonb_set(snapshot::jsonb, '{deflate}',"
        " '\"zlib 0.9 level 1\"')::json WHERE id = %s RETURNING id",
        export_id,
    )
    # As if every one of them had been given back as often as it takes.
    on_rabbitmq.rows(
        "UPDATE steps SET failures = 6 WHERE export_id = %s RETURNING number", export_id
    )
    on_rabbitmq.restore_workers()
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    builds = on_rabbitmq.builds(export_id)
    assert built
    assert min(builds[number] for number in built) == 2
    wait_until(
        lambda: (
            [k.rpartition("/")[2] for k in on_rabbitmq.left_in_store(export_id)] == ["archive.zip"]
        ),
        "only the archive is left",
    )
