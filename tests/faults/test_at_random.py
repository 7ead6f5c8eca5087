"""The short form of `make faults`: every kind of fault once, always the same ones; and that a
violation is one."""

from collections.abc import Mapping
from io import BytesIO

import psycopg
import pytest

from services.exports.model import staging_prefix
from tests.chaos.campaign import campaign
from tests.chaos.kinds import KINDS
from tests.chaos.replicas import Pair
from tests.chaos.rig import Rig
from tests.chaos.run import Outcome
from tests.chaos.schedule import Variant
from tests.chaos.verdict import look
from tests.needs import need_part
from tests.parts import MinIO, PostgreSQL, RabbitMQ

SEED = 11

pytestmark = pytest.mark.timeout(600)


def test_every_kind_of_fault_loses_nothing() -> None:
    for part in (PostgreSQL, MinIO, RabbitMQ):
        need_part(part)
    if reason := Pair.missing():
        pytest.skip(reason)
    said: list[str] = []
    outcome = campaign(RabbitMQ, SEED, len(KINDS), said.append, afterwards=plant)
    assert not outcome.violations, "\n".join(said)
    assert len(outcome.accepted) >= len(KINDS) // 2
    disturbed = frozenset().union(*(struck.exports for struck in outcome.struck))
    assert len(disturbed) >= len(KINDS) // 4


def plant(rig: Rig, outcome: Outcome, known: Mapping[Variant, str]) -> None:
    """Does what must not be, and looks whether it is found."""
    store, bucket = rig.minio.client(), rig.exports_bucket
    completed = rig.rows(
        "SELECT organization_id, id FROM exports"
        " WHERE status = 'completed' AND name LIKE 'order-%%' ORDER BY id"
    )
    (organization_id, other), (_, cut), (_, stuck) = completed[:3]
    key = f"{organization_id}/{other}/archive.zip"
    with store.get_object(bucket_name=bucket, object_name=key) as answer:
        data = bytearray(answer.read())
    data[len(data) // 2] ^= 1
    store.put_object(bucket, key, BytesIO(data), len(data))
    store.put_object(bucket, f"{organization_id}/{cut}/archive.zip", BytesIO(data[:9]), 9)
    left = f"{staging_prefix(organization_id, other)}left"
    store.put_object(bucket, left, BytesIO(b"left"), 4)
    with psycopg.connect(rig.database_url, autocommit=True) as connection:
        connection.execute("UPDATE exports SET status = 'processing' WHERE id = %s", [stuck])
        connection.execute(
            "UPDATE steps SET kind = 'finish', due_at = 9e9 WHERE export_id = %s", [stuck]
        )
        connection.execute(
            "INSERT INTO claim_history (who, export_id, number, kind, was_held, held, was_attempt,"
            " attempt, was_done, done) VALUES"
            " ('a', 'x', 1, 'segment', false, true, 0, 1, false, false),"
            " ('b', 'x', 1, 'segment', true, true, 1, 2, false, false)"
        )
    with rig.processes["serve"].err.open("a") as log:
        log.write('{"message": "a step failed", "exception": "KeyError: planted"}\n')
    found = [(violation.export_id, violation.text) for violation in look(rig, outcome, known)]
    for export_id, text in (
        (other, "has another archive than undisturbed"),
        (cut, "its archive has 9 bytes"),
        (other, f"the bucket holds {left}"),
        (stuck, "is stuck: processing"),
        (stuck, "a step is not over"),
        ("x", "b took attempt 2 while a held it"),
        ("", "KeyError: planted"),
    ):
        assert any(export_id == i and text in t for i, t in found), (export_id, text, found)
