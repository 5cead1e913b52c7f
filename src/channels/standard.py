"""Signatures by the Standard Webhooks rules (standardwebhooks.com), for the webhooks that we get and those we send.

`v1,` + base64(HMAC-SHA256(key, id.timestamp.body)); the key is the secret without `whsec_`, decoded from base64.
"""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64


def sign(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    key = _decoded(secret)
    if key is None:
        key = hashlib.sha256(secret.encode()).digest()
    mac = hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def is_good(secret: str) -> bool:
    """Whether a secret is as the rules want it, so that any receiver's library takes it: 24 to 64 bytes in base64."""
    key = _decoded(secret)
    return key is not None and MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES


def _decoded(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
