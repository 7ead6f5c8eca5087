"""Errors as gRPC sends them: whatever they say arrives, and is short."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from services import errors
from services.rpc.status import STATUS_DETAILS, failure_of
from services.texts import control_error, listed, nearest, quoted

#: Bytes of metadata that gRPC's clients take without a setting of their own.
SOFT_LIMIT = 8 * 1024
#: Those that a server answers with; clients have errors of their own.
KINDS = [
    kind for kind in errors.CartoucheError.__subclasses__() if kind.__module__ == errors.__name__
]
#: Short and long, and with characters of which each takes much on its way.
TEXTS = st.builds(
    lambda text, times: text * times, st.text(max_size=20), st.sampled_from((1, 10, 2_000))
)
TOLD = st.dictionaries(TEXTS, TEXTS, max_size=100)
LIMITED = {"retry_after": "1", "limit": "2", "remaining": "0", "reset": "3"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(message=TEXTS, told=TOLD, fields=TOLD)
def test_every_error_arrives(
    kind: type[errors.CartoucheError], message: str, told: dict[str, str], fields: dict[str, str]
) -> None:
    error = kind("REASON", message, LIMITED | told | LIMITED)
    if isinstance(error, errors.Invalid):
        error.fields = fields
    code, said, trailing = failure_of(error, "r" * 128)
    assert code not in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    sizes = [len(name) + len(value) * 4 / 3 + 32 for name, value in trailing]
    # A character of a message is three on the wire at most for each of its bytes.
    escaped = sum(1 if 32 <= byte < 127 and byte != 37 else 3 for byte in said.encode())
    assert escaped + sum(sizes) < SOFT_LIMIT - 512
    status = Status.FromString(dict(trailing)[STATUS_DETAILS])
    info, request = ErrorInfo(), BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(request)
    assert (info.reason, info.domain) == ("REASON", "cartouche")
    assert len(info.metadata) <= 20
    assert len(request.field_violations) <= 20
    if len(message) < 200:
        assert said.startswith(message) or len(told) + len(fields) > 5


def test_a_value_is_repeated_by_its_beginning() -> None:
    assert quoted("car") == "'car'"
    assert quoted("x" * 60) == repr("x" * 60)
    assert quoted("x" * 100_000) == repr("x" * 60 + "…")


def test_of_many_names_those_that_were_meant_come_first() -> None:
    known = [f"class {number}" for number in range(5_000)] + ["Car", "person"]
    shown = nearest(["clas 7"], known)
    assert shown[0] == "class 7"
    assert sorted(shown) == sorted(known)
    assert listed(shown, len(shown)).endswith(" and 4,982 more")
    assert listed(shown, len(shown)).count("class") == 20
    assert nearest(["car"], ["bat", "Car"])[0] == "Car"
    assert nearest(["nothing like it"], ["bat", "Car"]) == ["bat", "Car"]
    assert listed(["a", "b"], 2) == "'a', 'b'"


@pytest.mark.parametrize("text", ["a\0", "a\nb", "\r", "\x1b[0m", "\x7f", "\x85"])
def test_control_characters_are_named(text: str) -> None:
    problem = control_error(text)
    assert problem is not None
    assert "leave it out" in problem
    assert problem.isprintable()


@pytest.mark.parametrize("text", ["", "a b", "tab\there", "漢字", "e\u0301", "\u200d"])
def test_other_characters_are_fine(text: str) -> None:
    assert control_error(text) is None
