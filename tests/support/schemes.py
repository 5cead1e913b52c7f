"""The signature schemes of the vectors by name: what each of our functions makes of a vector's inputs.

`SCHEMES[name](inputs)` gives what must equal the vector's `expected`: the signature, or a verifier's verdict.
"""

import base64
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from channels import signatures as s
from channels import standard, twilio

Inputs = dict[str, Any]


def _body(inputs: Inputs) -> bytes:
    return str(inputs["body"]).encode()


def _twilio(inputs: Inputs, fields: dict[str, str], algorithm: str = "sha1") -> str:
    return twilio.signature(inputs["auth_token"], inputs["url"], fields, algorithm)


def _telnyx(inputs: Inputs) -> str:
    """Signed with the vector's seed by a library; our verifier must take it, with the vector's key."""
    seed = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(inputs["signing_seed_hex"]))
    signed = seed.sign(f"{inputs['timestamp']}|".encode() + _body(inputs))
    signature = base64.b64encode(signed).decode()
    assert s.telnyx(inputs["public_key_b64"], inputs["timestamp"], _body(inputs), signature)
    return signature


def _handshake(inputs: Inputs) -> str:
    asked = inputs["query"]
    fits = asked.get("hub.mode") == "subscribe" and s.same(asked.get("hub.verify_token", ""), inputs["verify_token"])
    return asked["hub.challenge"] if fits else ""


SCHEMES: dict[str, Callable[[Inputs], str | bool]] = {
    "aop-signature": lambda i: s.aop(i["app_secret"], i["path"], i["params"]),
    "coupang-cea": lambda i: s.coupang(i["secret_key"], i["signed_date"], i["method"], i["path"], i["query"]),
    "ebay-challenge": lambda i: s.ebay_challenge(i["challenge_code"], i["verification_token"], i["endpoint"]),
    "ebay-ecdsa": lambda i: s.ebay(i["x_ebay_signature"], _body(i), i["public_key_response"]["key"]),
    "grip-fingerprint": lambda i: s.ncloud(
        i["secret_key"], i["access_key"], i["method"], i["uri"], str(i["timestamp"])
    ),
    "hub-signature-256": lambda i: s.meta(i["secret"], _body(i)),
    "jambonz-webhook": lambda i: s.jambonz(i["secret"], str(i["timestamp"]), _body(i)),
    "line-webhook": lambda i: s.line(i["channel_secret"], _body(i)),
    "linkedin-challenge": lambda i: s.linkedin_challenge(i["client_secret"], i["challengeCode"]),
    "linkedin-webhook": lambda i: s.linkedin(i["client_secret"], _body(i)),
    "mailgun-webhook": lambda i: s.mailgun(i["signing_key"], str(i["timestamp"]), i["token"]),
    "messagebird-signed-request": lambda i: s.messagebird(i["signing_key"], str(i["timestamp"]), i["query"], _body(i)),
    "meta-handshake": _handshake,
    "meta-webhook": lambda i: s.meta(i["app_secret"], _body(i)),
    "naver-commerce-oauth-sign": lambda i: s.naver_commerce(i["client_id"], i["client_secret"], str(i["timestamp"])),
    "ncp-apigw-v2": lambda i: s.ncloud(i["secret_key"], i["access_key"], i["method"], i["uri"], str(i["timestamp"])),
    "oauth1-hmac-sha1": lambda i: s.oauth1(i["method"], i["url"], i["params"], i["consumer_secret"], i["token_secret"]),
    "plivo-v2": lambda i: s.plivo(i["auth_token"], i["url"], i["nonce"]),
    "sendgrid-event-webhook": lambda i: s.sendgrid(i["public_key_b64der"], i["timestamp"], _body(i), i["signature"]),
    "shopify-oauth": lambda i: s.shopify_oauth(i["client_secret"], i["query"]),
    "shopify-webhook": lambda i: s.shopify(i["client_secret"], _body(i)),
    "sinch-signed-request": lambda i: s.sinch(
        i["app_secret"], i["verb"], _body(i), i["content_type"], i["x_timestamp"], i["path"]
    ),
    "slack-webhook": lambda i: s.slack(i["signing_secret"], str(i["timestamp"]), _body(i)),
    "solapi-hmac": lambda i: s.solapi(i["api_secret"], i["date"], i["salt"]),
    "standard-webhooks": lambda i: standard.sign(i["secret"], i["webhook-id"], str(i["webhook-timestamp"]), _body(i)),
    "telegram-secret-token": lambda i: s.same(i["header"], i["secret_token"]),
    "telnyx-ed25519": _telnyx,
    "tiktok-shop-webhook": lambda i: s.tiktok_shop(i["app_key"], i["app_secret"], _body(i)),
    "twilio-sha1-form": lambda i: _twilio(i, i["form"]),
    "twilio-sha1-json-body": lambda i: _twilio(i, {}),
    "twilio-sha256": lambda i: _twilio(i, i["form"], "sha256"),
    "twitch-eventsub": lambda i: s.twitch(i["secret"], i["message_id"], i["timestamp"], _body(i)),
    "vonage-jwt": lambda i: (
        s.vonage_jwt(i["token"], i["signature_secret"])
        and not s.vonage_jwt(i["token"], i.get("wrong_secret", "another"))
    ),
    "vonage-md5hash": lambda i: s.vonage_md5(i["params"], i["signature_secret"]),
    "websub-sha1": lambda i: s.websub(i["secret"], _body(i)),
    "x-crc": lambda i: s.x_crc(i["consumer_secret"], i["crc_token"]),
    "x-webhook": lambda i: s.x(i["consumer_secret"], _body(i)),
}
