"""Signatures: as the standard's own library checks them."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from services.webhooks.signing import new_secret, signatures


def headers(keys: list[str], payload: bytes, at: int) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": signatures(keys, "msg_1", at, payload),
    }


@given(st.dictionaries(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), max_size=4))
def test_the_standards_library_takes_every_signature(data: dict[str, int]) -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    payload = orjson.dumps(data)
    at = int(datetime.now(UTC).timestamp())
    told = headers([new, old], payload, at)
    for secret in (old, new):
        assert Webhook(secret).verify(payload, told) == data
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(payload, told)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(payload + b" ", told)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(payload, headers([new], payload, at - 3600))
