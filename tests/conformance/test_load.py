"""ghz, a load generator that knows nothing but the contract, for ten seconds."""

import json
from pathlib import Path

from cartouche.exports.v1 import export_service_pb2 as contract
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.conformance.conftest import run_client
from tests.conformance.material import ORGANIZATION, LongList
from tests.conformance.table import Table
from tests.needs import need_tool
from tests.stack import Stack


def test_fifty_callers_at_once_meet_no_error(
    cartouche: Stack, long_list: LongList, table: Table, tmp_path: Path
) -> None:
    with table.row("ghz, 50 calls at once", "get") as row:
        done = run_client(
            [
                need_tool("ghz"),
                "--insecure",
                f"--protoset={_descriptors(tmp_path)}",
                "--call=cartouche.exports.v1.ExportService/GetExport",
                f"--data={json.dumps({'id': long_list.broken['id']})}",
                f"--metadata={json.dumps({'x-api-key': cartouche.key('viewer', ORGANIZATION)})}",
                "--concurrency=50",
                "--duration=10s",
                # Calls that are on their way at the end are waited for.
                "--duration-stop=wait",
                "--format=json",
                cartouche.grpc_address,
            ],
            tmp_path,
        )
        with row.cell("get"):
            assert done.returncode == 0, done.stdout + done.stderr
            report = json.loads(done.stdout)
            assert report["statusCodeDistribution"] == {"OK": report["count"]}
            assert report["count"] >= 50
            row.note("get", f"{report['count'] / 10:.0f}/s")


def _descriptors(folder: Path) -> Path:
    """The contract in its compiled form: ghz's own parser does not know `optional` in proto3."""
    files = FileDescriptorSet()
    for descriptor in (timestamp_pb2.DESCRIPTOR, contract.DESCRIPTOR):
        files.file.add().ParseFromString(descriptor.serialized_pb)
    path = folder / "contract.binpb"
    path.write_bytes(files.SerializeToString())
    return path
