"""Web Push: a message sealed for one browser (RFC 8291, aes128gcm of RFC 8188), and who sends it (VAPID, RFC 8292).

What is sealed can be read by the browser that made the subscription, not by its push service.
"""

import base64
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
RECORD_BYTES = 4096
MAX_PLAIN_BYTES = 3_000
"""Push services take at least 4,096 bytes sealed (RFC 8030, 7.2); ours are far shorter."""
VAPID_LIFE_S = 12 * 3600.0


class Keys(msgspec.Struct, frozen=True):
    """Of a subscription: the browser's public key and its secret, both base64url."""

    p256dh: str
    auth: str


class Subscription(msgspec.Struct, frozen=True):
    """As `PushSubscription.toJSON()` gives it."""

    endpoint: str
    keys: Keys


def fault(subscription: Subscription) -> str | None:
    """Why nothing could be sealed for it."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(CURVE, unbase64url(subscription.keys.p256dh))
    except ValueError:
        return "p256dh is no point of P-256"
    return None if len(_secret(subscription.keys)) == 16 else "auth must have 16 bytes"


def seal(plain: bytes, keys: Keys, chance: bytes) -> bytes:
    """The body of a push. `chance` are 48 bytes that nobody knows and that never come twice: key and salt of this one.

    Raises ValueError for keys that are none.
    """
    if len(plain) > MAX_PLAIN_BYTES or len(chance) < 48:
        raise ValueError("too long, or too little chance")
    return seal_with(plain, keys, int.from_bytes(chance[:32]) % (ORDER - 1) + 1, chance[32:48])


def seal_with(plain: bytes, keys: Keys, private: int, salt: bytes) -> bytes:
    """RFC 8291, 3.4, with the application server's key for this message and the salt given."""
    ours = ec.derive_private_key(private, CURVE)
    point = _point(ours.public_key())
    theirs = unbase64url(keys.p256dh)
    shared = ours.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, theirs))
    key = _derived(shared, _secret(keys), b"WebPush: info\x00" + theirs + point, 32)
    sealed = AESGCM(_derived(key, salt, b"Content-Encoding: aes128gcm\x00", 16)).encrypt(
        _derived(key, salt, b"Content-Encoding: nonce\x00", 12), plain + b"\x02", None
    )
    return salt + RECORD_BYTES.to_bytes(4) + bytes([len(point)]) + point + sealed


def vapid(endpoint: str, private_key: str, subject: str, now: float) -> str:
    """The Authorization header. `private_key` is the 32 bytes in base64url, as tools for VAPID print it."""
    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now + VAPID_LIFE_S), "sub": subject}
    signer = ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "d": private_key.rstrip("="), **_coordinates(public_key(private_key))}
    )
    return f"vapid t={jwt.encode({'typ': 'JWT', 'alg': 'ES256'}, claims, signer)}, k={public_key(private_key)}"


def public_key(private_key: str) -> str:
    """What a page subscribes with (`applicationServerKey`). Raises ValueError."""
    return base64url(_point(ec.derive_private_key(int.from_bytes(unbase64url(private_key)), CURVE).public_key()))


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unbase64url(text: str) -> bytes:
    """Raises ValueError."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _secret(keys: Keys) -> bytes:
    try:
        return unbase64url(keys.auth)
    except ValueError:
        return b""


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _coordinates(public: str) -> dict[str, str]:
    raw = unbase64url(public)
    return {"x": base64url(raw[1:33]), "y": base64url(raw[33:])}


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=salt, info=info).derive(secret)
