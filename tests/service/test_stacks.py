"""The stacks that other tests run on: real processes that serve, die alone, and come back."""

import psutil
from cartouche.exports.v1.export_service_pb2 import ListExportsRequest
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from tests.stack import Production, Stack

EXPORTS = "/api/v1/developer/exports/"


def test_a_stack_answers_over_rest_and_grpc(stack: Stack) -> None:
    assert stack.http("viewer").get(EXPORTS).status_code == 200
    exports = ExportServiceStub(stack.channel)
    answer = exports.ListExports(
        ListExportsRequest(), metadata=stack.metadata("viewer"), timeout=10
    )
    assert len(answer.exports) == len(stack.http("viewer").get(EXPORTS).json())


def test_keys_of_another_organization_are_others(stack: Stack) -> None:
    assert stack.key("viewer", "elsewhere") != stack.key("viewer")
    assert stack.http("viewer", "elsewhere").get(EXPORTS).status_code == 200


def test_redis_carries_a_stack_too(production_redis: Production) -> None:
    assert production_redis.http("viewer").get(EXPORTS).status_code == 200


def test_a_worker_is_one_process_that_dies_alone(production: Production) -> None:
    worker = production.add_worker()
    assert psutil.Process(worker.pid).children(recursive=True) == []
    worker.kill()
    worker.restart()
    assert worker.stop() == 0
    assert all(p.running for p in production.processes.values() if p is not worker)


def test_the_gateway_comes_back_on_its_port(production: Production) -> None:
    production.gateway.restart()
    assert production.http("viewer").get(EXPORTS).status_code == 200
