"""How providers sign: each scheme as a function of what is signed, with the source of its formula.

Over raw bytes, as they came. Comparing is `same`, in constant time. The vectors of `tests/channels/vectors.json`, and any
other file of that form (`make test-vectors`), are run against all of them.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import bcrypt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from channels.base import REPLAY_WINDOW_S

BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
BCRYPT_SALT = re.compile(r"^\$2[aby]\$\d\d\$[./A-Za-z0-9]{22}")
MAX_JWT = 8_000


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in constant time; a header may hold anything."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def hex_mac(secret: str | bytes, message: bytes, digest: str = "sha256") -> str:
    return hmac.digest(_bytes(secret), message, digest).hex()


def base64_mac(secret: str | bytes, message: bytes, digest: str = "sha256") -> str:
    return base64.b64encode(hmac.digest(_bytes(secret), message, digest)).decode()


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def basic(authorization: str, user: str, passwords: str) -> bool:
    """Whether a header is basic authentication (RFC 7617) with this user and one of these passwords, separated by spaces."""
    scheme, _, told = authorization.partition(" ")
    given = (unbase64(told.strip()) or b"").decode("utf-8", "replace")
    return scheme.lower() == "basic" and any(same(given, f"{user}:{one}") for one in passwords.split())


def is_fresh(stamp: str, now: float, late_s: float = REPLAY_WINDOW_S) -> bool:
    """Whether a signed time (seconds since 1970, as digits) is not from the future, and not older than `late_s`."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return False
    return -REPLAY_WINDOW_S <= now - int(stamp) <= late_s


# -- social


def meta(app_secret: str, body: bytes) -> str:
    """X-Hub-Signature-256 of Messenger, Instagram, WhatsApp (developers.facebook.com, webhooks); GitHub's is the same."""
    return "sha256=" + hex_mac(app_secret, body)


def line(channel_secret: str, body: bytes) -> str:
    """x-line-signature (developers.line.biz, verify webhook signature)."""
    return base64_mac(channel_secret, body)


def x_crc(consumer_secret: str, crc_token: str) -> str:
    """The answer to X's challenge (docs.x.com, webhooks)."""
    return "sha256=" + base64_mac(consumer_secret, crc_token.encode())


def x(consumer_secret: str, body: bytes) -> str:
    """x-twitter-webhooks-signature (docs.x.com, webhooks)."""
    return "sha256=" + base64_mac(consumer_secret, body)


def linkedin_challenge(client_secret: str, code: str) -> str:
    """challengeResponse (learn.microsoft.com, LinkedIn webhook validation)."""
    return hex_mac(client_secret, code.encode())


def linkedin(client_secret: str, body: bytes) -> str:
    """X-LI-Signature: the prefix is inside what is signed, the header is bare (same source, two public readers)."""
    return hex_mac(client_secret, b"hmacsha256=" + body)


def slack(signing_secret: str, timestamp: str, body: bytes) -> str:
    """X-Slack-Signature (docs.slack.dev, verifying requests)."""
    return "v0=" + hex_mac(signing_secret, f"v0:{timestamp}:".encode() + body)


def twitch(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Twitch-Eventsub-Message-Signature (dev.twitch.tv, handling webhook events)."""
    return "sha256=" + hex_mac(secret, (message_id + timestamp).encode() + body)


def websub(secret: str, body: bytes) -> str:
    """X-Hub-Signature of WebSub (W3C WebSub 7.1.2), as YouTube's hub uses it."""
    return "sha1=" + hex_mac(secret, body, "sha1")


def oauth1(
    method: str,
    url: str,
    params: Mapping[str, str] | Iterable[tuple[str, str]],
    consumer_secret: str,
    token_secret: str,
) -> str:
    """RFC 5849, 3.4: HMAC-SHA1 over the base string. `params` are all of them, those of the query too."""
    pairs = list(params.items() if isinstance(params, Mapping) else params)
    parts = urlsplit(url)
    pairs += [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair not in pairs]
    normal = "&".join(f"{name}={value}" for name, value in sorted((_percent(n), _percent(v)) for n, v in pairs))
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port not in (None, default) else "")
    base = "&".join(map(_percent, (method.upper(), f"{parts.scheme.lower()}://{host}{parts.path or '/'}", normal)))
    return base64_mac(f"{_percent(consumer_secret)}&{_percent(token_secret)}", base.encode(), "sha1")


def _percent(text: str) -> str:
    return quote(text, safe="-._~")


# -- SMS and phone


def messagebird(signing_key: str, timestamp: str, query: Mapping[str, str], body: bytes) -> str:
    """MessageBird-Signature, signed requests (developers.messagebird.com)."""
    head = f"{timestamp}\n{urlencode(sorted(query.items()))}\n".encode()
    return base64_mac(signing_key, head + hashlib.sha256(body).digest())


def vonage_md5(params: Mapping[str, str], signature_secret: str) -> str:
    """`sig` by the md5hash method (developer.vonage.com, signed SMS webhooks). In values & and = become _."""
    clean = {name: value.replace("&", "_").replace("=", "_") for name, value in params.items() if name != "sig"}
    text = "".join(f"&{name}={value}" for name, value in sorted(clean.items())) + signature_secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def vonage_jwt(token: str, signature_secret: str, body: bytes | None = None, now: float | None = None) -> bool:
    """A JWT (RFC 7519) by HS256 in `Authorization: Bearer`; `payload_hash`, where it is, is SHA-256 of the raw body."""
    claims = jwt_claims(token, signature_secret)
    if claims is None:
        return False
    expires = claims.get("exp")
    if now is not None and isinstance(expires, int | float) and expires < now:
        return False
    hashed = claims.get("payload_hash")
    return body is None or hashed is None or same(str(hashed), hashlib.sha256(body).hexdigest())


def jwt_claims(token: str, secret: str) -> dict[str, Any] | None:
    """The claims of a JWT that this secret signed by HS256; None for any other."""
    head, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    if len(token) > MAX_JWT or not signature:
        return None
    wanted = base64.urlsafe_b64encode(hmac.digest(secret.encode(), f"{head}.{payload}".encode(), "sha256"))
    if not same(wanted.decode().rstrip("="), signature):
        return None
    try:
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, payload)
        )
    except (ValueError, RecursionError):
        return None
    known = isinstance(header, dict) and isinstance(claims, dict) and header.get("alg") == "HS256"
    return claims if known else None


def plivo(auth_token: str, url: str, nonce: str) -> str:
    """X-Plivo-Signature-V2 (plivo.com docs, validating requests): the URL without its query, and the nonce."""
    scheme, host, path, _, _ = urlsplit(url)
    return base64_mac(auth_token, (urlunsplit((scheme, host, path, "", "")) + nonce).encode())


def sinch(app_secret: str, verb: str, body: bytes, content_type: str, timestamp: str, path: str) -> str:
    """The signature in `Authorization: application KEY:…` (developers.sinch.com, callback signed request)."""
    content = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() if body else ""
    text = f"{verb}\n{content}\n{content_type}\nx-timestamp:{timestamp}\n{path}"
    return base64_mac(unbase64(app_secret) or b"", text.encode())


def sinch_webhook(secret: str, body: bytes, nonce: str, timestamp: str) -> str:
    """x-sinch-webhook-signature of SMS and Conversation (sinch 2.3.0, validate_sinch_event_signature_with_nonce)."""
    return base64_mac(secret, body + f".{nonce}.{timestamp}".encode())


def telnyx(public_key: str, timestamp: str, body: bytes, signature: str) -> bool:
    """telnyx-signature-ed25519 over timestamp|body (developers.telnyx.com, webhook signing). Keys in base64."""
    key, given = unbase64(public_key), unbase64(signature)
    if key is None or given is None:
        return False
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(given, timestamp.encode() + b"|" + body)
    except (InvalidSignature, ValueError):
        return False
    return True


def jambonz(secret: str, timestamp: str, body: bytes) -> str:
    """Jambonz-Signature (docs.jambonz.org, securing webhooks)."""
    return f"t={timestamp},v1=" + hex_mac(secret, f"{timestamp}.".encode() + body)


def ncloud(secret_key: str, access_key: str, method: str, uri: str, timestamp_ms: str) -> str:
    """x-ncp-apigw-signature-v2 (api.ncloud-docs.com); Grip's fingerprint is made in the same way."""
    return base64_mac(secret_key, f"{method} {uri}\n{timestamp_ms}\n{access_key}".encode())


def solapi(api_secret: str, date: str, salt: str) -> str:
    """`signature` in Solapi's Authorization (solapi 5.0.3, authenticator)."""
    return hex_mac(api_secret, (date + salt).encode())


# -- mail


def sendgrid(public_key: str, timestamp: str, body: bytes, signature: str) -> bool:
    """X-Twilio-Email-Event-Webhook-Signature: ECDSA P-256, SHA-256, over timestamp and raw body. The key is base64 DER."""
    key, given = unbase64(public_key), unbase64(signature)
    return key is not None and given is not None and _ecdsa(key, given, timestamp.encode() + body, hashes.SHA256())


def mailgun(signing_key: str, timestamp: str, token: str) -> str:
    """`signature.signature` (documentation.mailgun.com, securing webhooks); a token is good once."""
    return hex_mac(signing_key, (timestamp + token).encode())


# -- malls


def ebay_challenge(challenge_code: str, verification_token: str, endpoint: str) -> str:
    """challengeResponse (developer.ebay.com, notification endpoint)."""
    return hashlib.sha256((challenge_code + verification_token + endpoint).encode()).hexdigest()


def ebay_key_id(header: str) -> str | None:
    """The name of the key that signed, from X-EBAY-SIGNATURE."""
    found = _ebay_header(header)
    kid = found.get("kid")
    return kid if isinstance(kid, str) and len(kid) <= 100 else None


def _ebay_header(header: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def ebay(header: str, body: bytes, public_key: str) -> bool:
    """X-EBAY-SIGNATURE: ECDSA over the raw body, or over the same JSON written compactly, as eBay's SDK has it.

    `public_key` is PEM, on one line as eBay gives it.
    """
    given = unbase64(str(_ebay_header(header).get("signature", "")))
    kind = hashes.SHA256() if "256" in str(_ebay_header(header).get("digest", "SHA1")) else hashes.SHA1()  # noqa: S303
    inner = public_key.replace("-----BEGIN PUBLIC KEY-----", "").replace("-----END PUBLIC KEY-----", "")
    key = unbase64("".join(inner.split()))
    if given is None or key is None:
        return False
    if _ecdsa(key, given, body, kind):
        return True
    try:
        compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return _ecdsa(key, given, compact, kind)


def _ecdsa(der: bytes, signature: bytes, message: bytes, digest: hashes.HashAlgorithm) -> bool:
    try:
        key = load_pem_public_key(der) if der.startswith(b"-----") else load_der_public_key(der)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, message, ec.ECDSA(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def shopify_oauth(client_secret: str, query: str) -> str:
    """`hmac` of an OAuth callback (shopify.dev): the other parameters, sorted, joined by &."""
    pairs = [(n, v) for n, v in parse_qsl(query, keep_blank_values=True) if n not in ("hmac", "signature")]
    escaped = ((_shopify(n).replace("=", "%3D"), _shopify(v)) for n, v in pairs)
    return hex_mac(client_secret, "&".join(sorted(f"{name}={value}" for name, value in escaped)).encode())


def _shopify(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")


def shopify(client_secret: str, body: bytes) -> str:
    """X-Shopify-Hmac-Sha256 (shopify.dev, webhooks)."""
    return base64_mac(client_secret, body)


def naver_commerce(client_id: str, client_secret: str, timestamp_ms: str) -> str:
    """client_secret_sign (apicenter.commerce.naver.com, authentication): bcrypt with the client's secret as salt, "" when
    it is none.

    The last letter of a bcrypt salt has four bits that mean nothing; libraries refuse those that are not zero.
    """
    if not BCRYPT_SALT.match(client_secret):
        return ""
    salt = client_secret[:28] + BCRYPT_ALPHABET[BCRYPT_ALPHABET.index(client_secret[28]) & 0b110000]
    hashed = bcrypt.hashpw(f"{client_id}_{timestamp_ms}".encode(), salt.encode())
    return base64.b64encode(hashed).decode()


def coupang(secret_key: str, signed_date: str, method: str, path: str, query: str) -> str:
    """`signature` of Coupang's CEA Authorization (developers.coupangcorp.com, HMAC)."""
    return hex_mac(secret_key, (signed_date + method + path + query).encode())


def tiktok_shop(app_key: str, app_secret: str, body: bytes) -> str:
    """`Authorization` of a webhook (partner.tiktokshop.com, webhooks)."""
    return hex_mac(app_secret, app_key.encode() + body)


def tiktok_shop_request(app_secret: str, path: str, params: Mapping[str, str], body: bytes) -> str:
    """`sign` of a request of ours (partner.tiktokshop.com, sign your API request): path, each key and value, sorted, and
    the body, with the secret before and behind."""
    pairs = "".join(name + value for name, value in sorted(params.items()) if name not in ("sign", "access_token"))
    return hex_mac(app_secret, (app_secret + path + pairs).encode() + body + app_secret.encode())


def aop(app_secret: str, path: str, params: Mapping[str, str]) -> str:
    """`_aop_signature` of 1688's param2 protocol: the path from param2/ on, and each key and value, sorted."""
    text = path[path.find("param2/") :] if "param2/" in path else path
    text += "".join(sorted(name + value for name, value in params.items() if name != "_aop_signature"))
    return hex_mac(app_secret, text.encode(), "sha1").upper()
