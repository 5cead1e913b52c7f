"""Web Push against RFC 8291's own example and a library that browsers' makers wrote (`http_ece`), VAPID against RFC 8292."""

import base64
import hashlib
import json

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from channels import webpush
from channels.webpush import Keys, Subscription, base64url, seal, seal_with, unbase64url, vapid

PLAIN = b"When I grow up, I want to be a watermelon"
OURS = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
THEIRS = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
KEYS = Keys(
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "BTBZMqHH6r4Tts7J_aSIgg"
)
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
    "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private(text: str) -> int:
    return int.from_bytes(unbase64url(text))


def chance(word: str, size: int = 48) -> bytes:
    return hashlib.shake_256(word.encode()).digest(size)


def test_rfc_8291s_example_comes_out_byte_for_byte() -> None:
    """Appendix A."""
    assert base64url(seal_with(PLAIN, KEYS, private(OURS), unbase64url(SALT))) == BODY


def test_what_we_seal_another_library_opens() -> None:
    key, auth = ec.generate_private_key(ec.SECP256R1()), chance("auth", 16)
    scalar = key.private_numbers().private_value.to_bytes(32)
    theirs = Keys(webpush.public_key(base64url(scalar)), base64url(auth))
    for plain in (b"", "새 메시지".encode(), b"x" * 3000):
        sealed = seal(plain, theirs, chance(f"a {len(plain)}"))
        assert http_ece.decrypt(sealed, private_key=key, auth_secret=auth, version="aes128gcm") == plain
    one, other = (seal(b"x", theirs, chance(word)) for word in ("one", "other"))
    assert one[:16] != other[:16] and one[21:86] != other[21:86], "salt and key are new each time"


def test_what_cannot_be_sealed_for_is_told_when_it_is_registered() -> None:
    assert webpush.fault(Subscription("https://push.test/1", KEYS)) is None
    for p256dh in ("", "AAAA", "B" + KEYS.p256dh[1:-1] + "A", "가", "!" * 87, KEYS.p256dh + "AAAA"):
        assert webpush.fault(Subscription("", Keys(p256dh, KEYS.auth))), p256dh
    for auth in ("", "AAAA", "가", KEYS.auth * 2):
        assert webpush.fault(Subscription("", Keys(KEYS.p256dh, auth))), auth
    for plain, chance in ((b"x" * 3001, b"c" * 48), (b"x", b"c" * 47)):
        with pytest.raises(ValueError):
            seal(plain, KEYS, chance)


def test_who_sends_is_signed_for_one_push_service_and_half_a_day() -> None:
    header = vapid("https://fcm.googleapis.com/fcm/send/abc", OURS, "mailto:it@shop.test", 1_700_000_000.5)
    scheme, token, key = header.split(" ")
    assert (scheme, token[:2], key[:2]) == ("vapid", "t=", "k=")
    raw = base64.urlsafe_b64decode(key[2:] + "=")
    public = {"x": base64url(raw[1:33]), "y": base64url(raw[33:])}
    found = jwt.decode(token[2:].rstrip(","), ECKey.import_key({"kty": "EC", "crv": "P-256", **public}))
    assert found.header == {"typ": "JWT", "alg": "ES256"}
    wanted = {"aud": "https://fcm.googleapis.com", "exp": 1_700_043_200, "sub": "mailto:it@shop.test"}
    assert json.loads(json.dumps(found.claims)) == wanted
    assert private(OURS) and private(THEIRS)
