"""Signatures of messages, as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, time, payload."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
#: The specification asks for 24 to 64 bytes.
_SECRET_BYTES = 32
#: Seconds for which messages are signed with the secret before the last one, too.
BOTH_SECRETS = 24 * 3600.0


def new_secret() -> str:
    """A secret that only sender and receiver know."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signatures(keys: Sequence[str], message_id: str, at: int, payload: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret.

    Args:
        keys: secrets, each with its prefix.
        message_id: the value of `webhook-id`.
        at: seconds since 1970, the value of `webhook-timestamp`.
        payload: the body as it is sent.
    """
    signed = f"{message_id}.{at}.".encode() + payload
    return " ".join(f"v1,{_signature(key, signed)}" for key in keys)


def _signature(key: str, signed: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
