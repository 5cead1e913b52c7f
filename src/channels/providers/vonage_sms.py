"""SMS by Vonage: the Messages API (JSON, a JWT in `Authorization`), and inbound texts of the older SMS API (`sig`).

In, `path` "": message_uuid, from, to, channel, message_type, text | image; `status`: message_uuid, status, error, client_ref.
Sources: developer.vonage.com messages API v1, messages/concepts/messages-status-callbacks, messaging/sms/guides/inbound-sms,
getting-started/concepts/webhooks. Numbers are without +. It repeats for 24 hours what was not answered with 2xx.
"""

from urllib.parse import parse_qsl

import msgspec

from channels import loose, sms
from channels.base import (
    REPLAY_WINDOW_S,
    About,
    Account,
    Call,
    File,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
)
from channels.elsewhere import leads_to
from channels.signatures import is_fresh, jwt_claims, same, vonage_jwt, vonage_md5
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

REPEATED_S = 24 * 3600.0 + REPLAY_WINDOW_S
"""Repetitions may bear their first time; they are told apart by their keys."""
MAX_TEXT = 1_000
STATUS: dict[str, SendStatus] = {
    "submitted": "sent",
    "delivered": "delivered",
    "read": "read",
    "rejected": "failed",
    "undeliverable": "failed",
}
MEDIA = {
    "image": "image/*",
    "audio": "audio/*",
    "video": "video/*",
    "file": "application/octet-stream",
    "vcard": "text/vcard",
}


class VonageSms:
    name = "vonage_sms"
    about = About(
        title="SMS by Vonage",
        family="sms",
        receives="texts, media",
        sends="texts",
        receipts="sent, delivered, failed",
        media="in",
        policy="1,000 letters",
        evidence="published vectors",
        verified_against="the JWT and md5 vectors of Vonage's own SDK tests, documented payloads",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("api_key", "number")
    required_secrets: tuple[str, ...] = ("api_secret", "signature_secret")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """A JWT that is bound to this body; else, where there is none, `sig` by the older md5 method."""
        scheme, _, token = webhook.headers.get("authorization", "").partition(" ")
        secrets = account.secrets["signature_secret"].split()
        if scheme.lower() == "bearer":
            return any(_is_signed(token.strip(), secret, webhook) for secret in secrets)
        fields = _fields(webhook)
        given = fields.get("sig", "")
        return (
            bool(given)
            and is_fresh(fields.get("timestamp", ""), webhook.t, REPEATED_S)
            and any(same(given.lower(), vonage_md5(fields, secret)) for secret in secrets)
        )

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.fields(loose.decoded(webhook.body))
        if not said:
            said = dict(_fields(webhook))
        if not said:
            return Reading(reply=sms.NOT_JSON)
        if "msisdn" in said and "messageId" in said:
            return Reading(_old(account, said))
        if "status" in said or webhook.path == "status":
            return Reading(_receipt(account, said))
        if loose.text(said, "channel", most=400) not in ("sms", "mms", ""):
            return Reading()
        media = tuple(
            (loose.text(found, "url", most=2_000), kind)
            for name, kind in MEDIA.items()
            for found in (loose.fields(said, name),)
            if found
        )
        captions = [loose.text(loose.fields(said, name), "caption", most=2_000) for name in MEDIA]
        item = sms.message(
            account,
            loose.text(said, "message_uuid", most=400),
            sms.e164(loose.text(said, "from", most=400)),
            sms.e164(loose.text(said, "to", most=400)),
            "\n".join(filter(None, [loose.text(said, "text", most=20_000), *captions])),
            media,
            loose.time(said, "timestamp"),
        )
        return Reading((item,) if item else ())

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        sms.no_files(message)
        body = {
            "message_type": "text",
            "channel": "sms",
            "from": account.setting("number").lstrip("+"),
            "to": deliver.identity.value.lstrip("+"),
            "text": sms.fitting(text, MAX_TEXT, MAX_TEXT),
            "client_ref": deliver.key[:100],
            "webhook_url": f"{account.hook_url}/status",
            "webhook_version": "v1",
        }
        return Call(
            url=account.setting("api_url", "https://api.nexmo.com").rstrip("/") + "/v1/messages",
            headers={"content-type": "application/json", "accept": "application/json"},
            body=msgspec.json.encode(body),
            basic=(account.setting("api_key"), account.secrets["api_secret"]),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        words = f"{loose.text(said, 'title', most=400)}: {loose.text(said, 'detail', most=400)}".strip(": ")
        return sms.ended(status, (loose.text(said, "message_uuid", most=400),), words)

    def fetch(self, account: Account, ref: str) -> Call:
        ours = leads_to(ref, "nexmo.com", ".nexmo.com", "vonage.com", ".vonage.com")
        return sms.fetch(ref, basic=(account.setting("api_key"), account.secrets["api_secret"]) if ours else None)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return sms.fetched(status, media_type, body)


def _is_signed(token: str, secret: str, webhook: Webhook) -> bool:
    claims = jwt_claims(token, secret) or {}
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or not 0 < issued < 1e12 or not isinstance(claims.get("payload_hash"), str):
        return False
    return is_fresh(f"{issued:.0f}", webhook.t, REPEATED_S) and vonage_jwt(token, secret, webhook.body, webhook.t)


def _fields(webhook: Webhook) -> dict[str, str]:
    """The parameters of the older API, in the body or in a JSON object of texts."""
    said = loose.fields(loose.decoded(webhook.body))
    if said:
        return {name: str(value) for name, value in said.items() if isinstance(value, str | int)}
    try:
        return dict(parse_qsl(webhook.body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return {}


def _old(account: Account, said: dict[str, object]) -> tuple[Item, ...]:
    if loose.text(said, "status", most=400):
        return _receipt(account, {**said, "message_uuid": said["messageId"]})
    item = sms.message(
        account,
        loose.text(said, "messageId", most=400),
        sms.e164(loose.text(said, "msisdn", most=400)),
        sms.e164(loose.text(said, "to", most=400)),
        loose.text(said, "text", most=20_000),
    )
    return (item,) if item else ()


def _receipt(account: Account, said: dict[str, object]) -> tuple[Item, ...]:
    error = loose.fields(said.get("error"))
    words = f"{loose.text(error, 'title', most=400)} {loose.text(error, 'detail', most=400)}"
    ours = loose.text(said, "client_ref", most=100)
    status = STATUS.get(loose.text(said, "status", most=400).lower())
    return sms.receipt(account, loose.text(said, "message_uuid", most=400), status, words, ours)
