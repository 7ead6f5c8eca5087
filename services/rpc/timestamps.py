"""Points in time as protobuf has them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(seconds: float) -> Timestamp:
    """Seconds since 1970 as protobuf has them."""
    value = Timestamp()
    value.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return value
