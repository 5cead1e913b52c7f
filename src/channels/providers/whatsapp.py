"""WhatsApp by Meta's Cloud API (developers.facebook.com, WhatsApp Business Platform).

Since 2026 a customer is named by an id that is the business's own (BSUID, `US.1349…`); the telephone number may be
missing, and is a mere attribute. Whoever has no such id yet is named by the number. An answer may be given within 24
hours of the customer's last message (error 131047 after that: templates are not sent from here). Statuses come late,
twice and out of order. Files are fetched in two requests, by a link of five minutes.
"""

import re
from typing import Any
from urllib.parse import quote

from channels import loose, meta, whatsapp
from channels.base import (
    About,
    Account,
    Call,
    File,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Webhook,
)
from channels.elsewhere import leads_to
from channels.saying import said
from router.effects import AnyEffect
from router.inputs import ReceiveMessage, ReceiveReceipt, ReviseMessage
from router.model import Content, Identity, Kind, ReplyPolicy, SendStatus, Thread

MAX_TEXT = 4096
BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,140}")
STATUS: dict[str, SendStatus] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",
    "failed": "failed",
}
UNSEEN = ("reaction", "system", "ephemeral", "request_welcome")
METAS = (".fbsbx.com", ".fbcdn.net", ".facebook.com", ".whatsapp.net")
"""Where files may lie: our access token goes with the request, so it goes to Meta alone."""


class WhatsApp:
    name = "whatsapp"
    about = About(
        title="WhatsApp (Cloud API)",
        family="messages",
        receives="texts, files, buttons, edits, echoes",
        sends="texts",
        receipts="sent, delivered, read, failed",
        media="in",
        policy="24 hours, 4,096 characters",
        evidence="published vectors",
        verified_against="the signature construction that GitHub publishes a vector for, and Meta's documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("phone_number_id",)
    required_secrets: tuple[str, ...] = ("app_secret", "verify_token", "access_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return meta.verify(account, webhook)

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        return meta.handshake(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        items: list[Item] = []
        for entry in meta.entries(webhook.body, "whatsapp_business_account"):
            for change in loose.many(entry, "changes"):
                value = loose.fields(change, "value")
                if loose.text(value, "metadata", "phone_number_id") != account.setting("phone_number_id"):
                    continue
                people = [one for one in loose.many(value, "contacts") if isinstance(one, dict)]
                for message in loose.many(value, "messages"):
                    items += _message(account, webhook, people, message)
                for message in loose.many(value, "message_echoes"):
                    items += _message(account, webhook, people, message, is_echo=True)
                for status in loose.many(value, "statuses"):
                    items += _status(account, status)
        return Reading(tuple(items))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT, unit="utf16")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, _, text = said(effect, message, "WhatsApp", MAX_TEXT, "utf16")
        whom = deliver.identity.value
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **({"recipient": whom} if BSUID.fullmatch(whom) else {"to": whom}),
            "type": "text",
            "text": {"body": text, "preview_url": False},
            "biz_opaque_callback_data": f"{meta.OURS}{deliver.key}",
        }
        return meta.post(account, f"{account.setting('phone_number_id')}/messages", body)

    def outcome(self, status: int, body: bytes) -> Result:
        return meta.outcome(status, body, "messages", 0, "id")

    def ask_subscription(self, account: Account, now: float) -> Call:
        return meta.get(account, f"{quote(account.setting('phone_number_id'))}?fields=webhook_configuration")

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        """The number's own address counts before its account's, and that before the app's."""
        told = loose.fields(loose.decoded(body), "webhook_configuration")
        if status != 200 or not told:
            return f"{status} {meta.outcome(status, body).detail or 'no webhook is set'}"
        levels = (loose.text(told, name) for name in ("phone_number", "whatsapp_business_account", "application"))
        url = next(filter(None, levels), "")
        return None if url == account.hook_url else f"its webhook is '{url}', not {account.hook_url}"

    def fetch(self, account: Account, ref: str) -> Call:
        return meta.get(account, f"{quote(ref, safe='')}?phone_number_id={quote(account.setting('phone_number_id'))}")

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        """The first answer names the link. A customer's file could look like it, but for the id that he does not know."""
        told = loose.decoded(body) if status == 200 and media_type == "application/json" else None
        if loose.text(told, "id") != ref or not loose.text(told, "url"):
            return meta.fetched(status, media_type, body)
        url = loose.text(told, "url", most=meta.MAX_REF)
        return (
            meta.get(account, url) if leads_to(url, *METAS) else Result("rejected", detail="its link leads elsewhere")
        )


def _message(
    account: Account, webhook: Webhook, people: list[dict[str, Any]], message: Any, is_echo: bool = False
) -> list[Item]:
    id_, kind = loose.key(message, "id"), loose.text(message, "type", most=40)
    phone = loose.text(message, "to" if is_echo else "from", most=40)
    bsuid = loose.key(message, "to_user_id" if is_echo else "from_user_id")
    if not id_ or not (bsuid or phone) or kind in UNSEEN:
        return []
    person = _person(people, bsuid, phone)
    bsuid = bsuid or loose.key(person, "user_id")
    thread = Thread(external=bsuid or phone)
    change = loose.fields(message, kind) if kind in ("edit", "revoke") else {}
    earlier = loose.key(change, "original_message_id")
    if earlier:
        edited = kind == "edit"
        now_said = Content(parts=whatsapp.parts(loose.fields(change, "message"))) if edited else Content()
        what = ReviseMessage(
            channel=account.channel, thread=thread, change="edited" if edited else "deleted", dedupe_key=earlier
        )
        return [Item(id_, what, now_said)]
    sent_at = loose.moment(message, "timestamp", now=webhook.t)
    facts = {"phone": f"+{phone}" if phone else "", "username": loose.text(person, "profile", "username", most=100)}
    body = ReceiveMessage(
        channel=account.channel,
        thread=thread,
        identity=Identity(
            scope=f"whatsapp:{account.setting('scope') or account.setting('phone_number_id')}",
            kind="external",
            value=thread.external,
            name=loose.name(person, "profile", "name"),
        ),
        dedupe_key=id_,
        occurred_at=sent_at,
        to=account.setting("phone_number_id"),
        attributes={name: value for name, value in facts.items() if value},
        author="external_console" if is_echo else "customer",
        policy=None if is_echo else ReplyPolicy(max_length=MAX_TEXT, unit="utf16", until=sent_at + meta.DAY_S),
    )
    return [Item(id_, body, Content(parts=whatsapp.parts(message), headers={"message": id_}))]


def _person(people: list[dict[str, Any]], bsuid: str, phone: str) -> dict[str, Any]:
    """The contact that a message is from: by either name, else the only one there is."""
    for one in people:
        if (bsuid and loose.key(one, "user_id") == bsuid) or (phone and loose.text(one, "wa_id") == phone):
            return one
    return people[0] if len(people) == 1 else {}


def _status(account: Account, status: Any) -> list[Item]:
    """By our own name of the message where it comes back with the status, so that an uncertain one is cleared up too."""
    id_, became = loose.key(status, "id"), STATUS.get(loose.text(status, "status"))
    if not id_ or became is None:
        return []
    fault = loose.at(status, "errors", 0)
    told = loose.text(fault, "error_data", "details", most=300) or loose.text(fault, "title", most=300)
    detail = f"{loose.text(fault, 'code', most=20)} {told}".strip() or None
    ours = loose.text(status, "biz_opaque_callback_data", most=100)
    if ours.startswith(meta.OURS):
        body = ReceiveReceipt(message=ours.removeprefix(meta.OURS), status=became, detail=detail)
    else:
        body = ReceiveReceipt(channel=account.channel, external=id_, status=became, detail=detail)
    return [Item(f"{id_}:{became}", body)]
