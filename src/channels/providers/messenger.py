"""Facebook Messenger: the messages of one page (developers.facebook.com, Messenger Platform).

A conversation is a person at this page (PSID). What colleagues answer in Business Suite comes as an echo and is shown.
Our own echo names our app or carries our mark in `metadata`: it tells that an uncertain message went out after all.
Read marks say "all until then". `human_agent: yes`, once Meta has allowed it, keeps the window open for seven days.
"""

from channels import meta
from channels.base import (
    About,
    Account,
    Call,
    File,
    Found,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Span,
    Transport,
    Unsendable,
    Webhook,
)
from channels.saying import said
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

MAX_TEXT = 2000


class Messenger:
    name = "messenger"
    about = About(
        title="Facebook Messenger",
        family="messages",
        receives="texts, files, buttons, echoes, edits",
        sends="texts, files one at a time",
        receipts="delivered, read",
        media="both ways",
        made_good="messages (the newest 20 of a conversation)",
        policy="24 hours (7 days with HUMAN_AGENT), 2,000 characters",
        evidence="published vectors",
        verified_against="the signature construction that GitHub publishes a vector for, and Meta's documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("page_id",)
    required_secrets: tuple[str, ...] = ("app_secret", "verify_token", "access_token")
    span_s = 72 * 3600.0  # a list cannot be asked for up to a time

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return meta.verify(account, webhook)

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        return meta.handshake(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(meta.inputs(account, webhook, "page", account.setting("page_id"), MAX_TEXT, "utf16"))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_TEXT, unit="utf16")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, outgoing, text = said(effect, message, "Messenger", MAX_TEXT, "utf16", files=1)
        if outgoing.files and text.strip():
            raise Unsendable("Messenger takes words or a file: send the file first, then the words")
        about = {"text": text} if not outgoing.files else meta.attachment(outgoing.files[0])
        body = {
            "recipient": {"id": deliver.identity.value},
            **meta.why(account, outgoing, now),
            "message": {**about, "metadata": f"{meta.OURS}{deliver.key}"},
        }
        return meta.post(account, f"{account.setting('page_id')}/messages", body, files=outgoing.files)

    def outcome(self, status: int, body: bytes) -> Result:
        return meta.outcome(status, body, "message_id")

    def fetch(self, account: Account, ref: str) -> Call:
        return meta.fetch(ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return meta.fetched(status, media_type, body)

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        return (meta.conversations(account, account.setting("page_id"), "messenger"),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        return meta.found(account, call, span, status, body, account.setting("page_id"), self.policy(account))

    def ask_subscription(self, account: Account, now: float) -> Call:
        return meta.subscribed(account, account.setting("page_id"))

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        return meta.subscription(account, status, body)
