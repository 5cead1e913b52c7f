"""Telegram bots (core.telegram.org/bots/api), also where a bot answers as its owner's account (business connection).

Nothing is signed: Telegram repeats the secret token of `setWebhook` in a header. A message is named by its chat and
number, which an edit names again; updates come until they are answered 2xx, in order. Groups whose owner turns them into
supergroups go on under another number: the old conversation is told so. Files are fetched in two requests.
"""

from typing import Any
from urllib.parse import quote

import msgspec

from channels import loose, multipart, telegram
from channels.base import (
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
    by_status,
)
from channels.elsewhere import arrived
from channels.saying import said
from channels.signatures import same
from router.effects import AnyEffect
from router.inputs import ReceiveMessage, ReviseMessage
from router.model import Content, Identity, Kind, ReplyPolicy, Text, Thread

API = "https://api.telegram.org"
MAX_TEXT, MAX_CAPTION = 4096, 1024
MAX_PHOTO_BYTES = 10_000_000
UPLOAD_S = 60.0
PENDING_S = 600.0
"""A failure that is older is over: what waits then is only on its way."""


class Telegram:
    name = "telegram"
    about = About(
        title="Telegram bot",
        family="messages",
        receives="texts, files, edits, groups, business accounts",
        sends="texts, one file at a time",
        media="both ways",
        policy="4,096 characters",
        evidence="documents",
        verified_against="Telegram's documented secret token, updates and answers",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ("bot_token", "secret_token")

    def verify(self, account: Account, webhook: Webhook) -> bool:
        given = webhook.headers.get("x-telegram-bot-api-secret-token", "")
        return any(same(secret, given) for secret in account.secrets["secret_token"].split())

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        update = loose.decoded(webhook.body)
        for name in ("message", "business_message"):
            if loose.fields(update, name):
                return Reading(_received(account, webhook, loose.fields(update, name)))
        for name in ("edited_message", "edited_business_message"):
            if loose.fields(update, name):
                return Reading(_edited(account, loose.fields(update, name), loose.key(update, "update_id")))
        return Reading()

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT, unit="utf16")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        has_file = message is not None and bool(message.files)
        most = MAX_CAPTION if has_file else MAX_TEXT
        deliver, outgoing, text = said(effect, message, "Telegram", most, "utf16", files=1)
        body: dict[str, Any] = {"chat_id": deliver.thread.external, "caption" if has_file else "text": text}
        connection, number = outgoing.last_headers.get("business-connection"), outgoing.last_headers.get("message", "")
        if connection:
            body["business_connection_id"] = connection
        if deliver.thread.kind == "group" and number.isascii() and number.isdigit():
            body["reply_parameters"] = {"message_id": int(number), "allow_sending_without_reply": True}
        if has_file:
            return _with_file(account, body, outgoing.files[0])
        headers = {"content-type": "application/json"}
        return Call(url=_url(account, "sendMessage"), headers=headers, body=msgspec.json.encode(body))

    def outcome(self, status: int, body: bytes) -> Result:
        told = loose.decoded(body)
        sent, chat = loose.key(told, "result", "message_id"), loose.key(told, "result", "chat", "id")
        if 200 <= status < 300 and loose.at(told, "ok") is True:
            return Result("accepted", (f"{chat}:{sent}",) if sent else ())
        code = int(loose.number(told, "error_code") or 0) or (status if status >= 300 else 400)
        words = loose.text(told, "description", most=300)
        wait_s = loose.number(told, "parameters", "retry_after")
        moved = loose.text(told, "parameters", "migrate_to_chat_id", most=30)
        if code == 429:
            return Result("retry", detail=words, after_s=min(max(wait_s or 5, 1), 3600))
        return by_status(code, f"{words} (the group is now {moved})" if moved else words)

    def fetch(self, account: Account, ref: str) -> Call:
        return Call(method="GET", url=f"{_url(account, 'getFile')}?file_id={quote(ref.partition(' ')[0], safe='')}")

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        """The first answer names the path. A file that looks like it would have to know its own lasting id."""
        told = loose.decoded(body) if media_type == "application/json" else None
        path = loose.text(told, "result", "file_path", most=500)
        if path and loose.text(told, "result", "file_unique_id") == ref.partition(" ")[2]:
            token = account.secrets["bot_token"]
            base = account.setting("api_url", API).rstrip("/")
            return Call(method="GET", url=f"{base}/file/bot{token}/{quote(path)}")
        words = loose.text(told, "description", most=200)
        return (
            Result("rejected", detail=words)
            if status == 400 and words
            else arrived(status, media_type, body, "Telegram")
        )

    def ask_subscription(self, account: Account, now: float) -> Call:
        return Call(method="GET", url=_url(account, "getWebhookInfo"))

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        """Telegram keeps what it could not deliver for a day, and says why it could not. `url` is empty where none is set."""
        told = loose.record_of(body)
        info = loose.fields(told, "result")
        if status != 200 or not info:
            return f"{status} {loose.text(told, 'description', most=300)}".strip()
        url = loose.text(info, "url", most=500)
        if url != account.hook_url:
            return f"its webhook is '{url}', not {account.hook_url}"
        waiting, last = loose.number(info, "pending_update_count") or 0, loose.number(info, "last_error_date") or 0
        if not waiting or now - last > PENDING_S:
            return None
        return f"{waiting:.0f} updates wait there: {loose.text(info, 'last_error_message', most=300)}"


def _url(account: Account, method: str) -> str:
    return f"{account.setting('api_url', API).rstrip('/')}/bot{account.secrets['bot_token']}/{method}"


def _with_file(account: Account, body: dict[str, Any], file: File) -> Call:
    """A photo where it is one that Telegram shows as such, else a document; the words are its caption."""
    is_photo = file.media_type in ("image/jpeg", "image/png") and len(file.body) <= MAX_PHOTO_BYTES
    fields = [(n, v if isinstance(v, str) else msgspec.json.encode(v).decode()) for n, v in body.items() if v != ""]
    media_type, raw = multipart.form(fields, [("photo" if is_photo else "document", file)])
    method = "sendPhoto" if is_photo else "sendDocument"
    return Call(url=_url(account, method), headers={"content-type": media_type}, body=raw, timeout_s=UPLOAD_S)


def _received(account: Account, webhook: Webhook, message: dict[str, Any]) -> tuple[Item, ...]:
    chat, number = loose.key(message, "chat", "id"), loose.key(message, "message_id")
    parts = telegram.parts(message)
    moved = loose.key(message, "migrate_to_chat_id")
    if moved:
        parts = (Text(text=f"[This group has become a supergroup: it goes on in the conversation {moved}.]"),)
    person = loose.fields(message, "from")
    is_ours = loose.at(person, "is_bot") is True or bool(loose.fields(message, "sender_business_bot"))
    if not chat or not number or not parts or (is_ours and not moved):
        return ()
    connection = loose.key(message, "business_connection_id")
    is_owner = bool(connection) and loose.text(person, "id") != chat
    body = ReceiveMessage(
        channel=account.channel,
        thread=_thread(message, chat),
        identity=_identity(loose.fields(message, "chat") if is_owner else person, chat),
        dedupe_key=f"{chat}:{number}",
        occurred_at=loose.moment(message, "date", now=webhook.t),
        author="external_console" if is_owner or moved else "customer",
    )
    return (Item(body.dedupe_key, body, Content(parts=parts, headers=_headers(message))),)


def _headers(message: dict[str, Any]) -> dict[str, str]:
    """What an answer needs: the message it is to, and on whose behalf."""
    connection = loose.key(message, "business_connection_id")
    number = loose.key(message, "message_id")
    return {"message": number, **({"business-connection": connection} if connection else {})}


def _thread(message: dict[str, Any], chat: str) -> Thread:
    return Thread(external=chat, kind="dm" if loose.text(message, "chat", "type") == "private" else "group")


def _identity(person: dict[str, Any], chat: str) -> Identity:
    names = (loose.text(person, "first_name", most=100), loose.text(person, "last_name", most=90))
    called = " ".join(filter(None, names)) or loose.text(person, "username", most=100)
    return Identity(scope="telegram", kind="external", value=loose.key(person, "id") or chat, name=called or None)


def _edited(account: Account, message: dict[str, Any], update: str) -> tuple[Item, ...]:
    chat, number, parts = loose.key(message, "chat", "id"), loose.key(message, "message_id"), telegram.parts(message)
    if not chat or not number or not parts or not update:
        return ()
    key = f"{chat}:{number}"
    body = ReviseMessage(channel=account.channel, thread=_thread(message, chat), change="edited", dedupe_key=key)
    return (Item(f"update:{update}", body, Content(parts=parts, headers=_headers(message))),)
