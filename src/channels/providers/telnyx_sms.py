"""SMS and MMS by Telnyx: JSON events in, signed with Ed25519; JSON out.

data.event_type: message.received; message.sent and message.finalized (payload.to[].status). An event may come twice, and a
link to a file lasts for a while only. Sources: developers.telnyx.com receiving-webhooks, delivery-update, telnyx 4.189.
"""

import msgspec

from channels import loose, sms
from channels.base import (
    About,
    Account,
    Call,
    File,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
)
from channels.signatures import is_fresh, telnyx
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy, SendStatus

GSM_LETTERS, OTHER_LETTERS = 1_530, 670
"""Ten parts of 153 or 67 letters."""
STATUS: dict[str, SendStatus] = {
    "sent": "sent",
    "delivery_unconfirmed": "sent",
    "delivered": "delivered",
    "sending_failed": "failed",
    "delivery_failed": "failed",
}


class TelnyxSms:
    name = "telnyx_sms"
    about = About(
        title="SMS by Telnyx",
        family="sms",
        receives="texts, media",
        sends="texts",
        receipts="sent, delivered, failed",
        media="in",
        policy="1,530 letters, 670 if other than Latin",
        evidence="vendor's library",
        verified_against="a signature that Telnyx's own library takes, documented payloads",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("number", "public_key")
    required_secrets: tuple[str, ...] = ("api_key",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        stamp = webhook.headers.get("telnyx-timestamp", "")
        given = webhook.headers.get("telnyx-signature-ed25519", "")
        if not is_fresh(stamp, webhook.t):
            return False
        return any(telnyx(key, stamp, webhook.body, given) for key in account.setting("public_key").split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        data = loose.fields(loose.decoded(webhook.body), "data")
        payload = loose.fields(data, "payload")
        kind, external = loose.text(data, "event_type", most=400), loose.text(payload, "id", most=400)
        if not data:
            return Reading(reply=sms.NOT_JSON)
        to = next(iter(loose.objects(payload.get("to"))), {})
        if kind in ("message.sent", "message.finalized"):
            error = next(iter(loose.objects(payload.get("errors"))), {})
            words = " ".join(loose.text(error, name, most=400) for name in ("code", "title", "detail"))
            return Reading(sms.receipt(account, external, STATUS.get(loose.text(to, "status", most=400)), words))
        if kind != "message.received":
            return Reading()
        media = [
            (loose.text(one, "url", most=2_000), loose.text(one, "content_type", most=100)) for one in _media(payload)
        ]
        words = "\n".join(
            filter(None, (loose.text(payload, "subject", most=400), loose.text(payload, "text", most=20_000)))
        )
        item = sms.message(
            account,
            external,
            sms.e164(loose.text(loose.fields(payload, "from"), "phone_number", most=400)),
            sms.e164(loose.text(to, "phone_number", most=400)),
            words,
            tuple(media),
            loose.time(payload, "received_at"),
        )
        return Reading((item,) if item else ())

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=GSM_LETTERS)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, text = sms.delivery(effect, message)
        sms.no_files(message)
        body = {
            "from": account.setting("number"),
            "to": deliver.identity.value,
            "text": sms.fitting(text, GSM_LETTERS, OTHER_LETTERS),
            "type": "SMS",
            "webhook_url": account.hook_url,
        }
        if account.setting("messaging_profile_id"):
            body["messaging_profile_id"] = account.setting("messaging_profile_id")
        return Call(
            url=account.setting("api_url", "https://api.telnyx.com").rstrip("/") + "/v2/messages",
            headers={"content-type": "application/json", "authorization": f"Bearer {account.secrets['api_key']}"},
            body=msgspec.json.encode(body),
        )

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.fields(loose.decoded(body))
        error = next(iter(loose.objects(said.get("errors"))), {})
        words = " ".join(loose.text(error, name, most=400) for name in ("code", "title", "detail"))
        return sms.ended(status, (loose.text(loose.fields(said, "data"), "id", most=400),), words)

    def fetch(self, account: Account, ref: str) -> Call:
        return sms.fetch(ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return sms.fetched(status, media_type, body)


def _media(payload: dict[str, object]) -> list[dict[str, object]]:
    return loose.objects(payload.get("media"))[: sms.MAX_MEDIA]
