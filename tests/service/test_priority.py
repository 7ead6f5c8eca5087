"""What builds archives gives way to what answers calls."""

import os
import sys
from pathlib import Path

import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from services.settings import Settings
from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import create, watch
from tests.processes import Process
from tests.stack import Stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no niceness")


def niceness(process: Process) -> dict[str, set[int]]:
    """Of the threads of a process, by the first of them and the others."""
    tasks = Path(f"/proc/{process.pid}/task")
    found: dict[str, set[int]] = {"first": set(), "others": set()}
    for task in tasks.iterdir():
        key = "first" if task.name == str(process.pid) else "others"
        found[key].add(os.getpriority(os.PRIO_PROCESS, int(task.name)))
    return found


def test_threads_that_work_give_way_and_no_others(stack: Stack) -> None:
    base = os.getpriority(os.PRIO_PROCESS, 0)
    if base >= (nice := Settings(_env_file=None).worker_nice):
        pytest.skip("all of this gives way already")
    dataset = unique("nice")
    put_all(stack, dataset, [Picture("a.jpg", jpeg())])
    assert watch(stack, create(stack, dataset).id)[-1].status == pb.EXPORT_STATUS_COMPLETED
    worked = 0
    for process in stack.processes.values():
        found = niceness(process)
        # Leases are kept and calls answered as before.
        assert found["first"] == {base}
        assert found["others"] <= {base, nice}
        assert base in found["others"]
        worked += nice in found["others"]
    assert worked >= 1
