"""Instagram direct messages of one professional account (developers.facebook.com, Instagram API with Instagram Login).

A conversation is a person at this account (IGSID). Echoes come with the messages; they carry no mark of ours, so ours are
told by the app's id where it is named, else by the id that Instagram gave our message. Read marks name a message. What a
customer takes back is deleted here too. Answers are at most 1000 bytes of UTF-8, some 330 letters of Korean.
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
    Webhook,
)
from channels.saying import said
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy

MAX_BYTES = 1000
GRAPH = "https://graph.instagram.com/v25.0"


class Instagram:
    name = "instagram"
    about = About(
        title="Instagram direct messages",
        family="messages",
        receives="texts, files, buttons, echoes, deletions",
        sends="texts",
        receipts="read",
        media="in",
        made_good="messages (the newest 20 of a conversation)",
        policy="24 hours (7 days with HUMAN_AGENT), 1,000 bytes",
        evidence="published vectors",
        verified_against="the signature construction that GitHub publishes a vector for, and Meta's documented payloads",
    )
    kinds: tuple[Kind, ...] = ("social",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("account_id",)
    required_secrets: tuple[str, ...] = ("app_secret", "verify_token", "access_token")
    span_s = 72 * 3600.0  # a list cannot be asked for up to a time

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return meta.verify(account, webhook)

    def handshake(self, account: Account, webhook: Webhook) -> HookReply:
        return meta.handshake(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        ours = account.setting("account_id")
        return Reading(meta.inputs(account, webhook, "instagram", ours, MAX_BYTES, "bytes_utf8"))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=MAX_BYTES, unit="bytes_utf8")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        deliver, outgoing, text = said(effect, message, "Instagram", MAX_BYTES, "bytes_utf8")
        page = account.setting("page_id")
        tag = {"tag": meta.HUMAN_AGENT} if meta.is_late(account, outgoing, now) else {}
        body = {"recipient": {"id": deliver.identity.value}, **tag, "message": {"text": text}}
        if page:  # the account hangs on a page, whose token does not expire
            return meta.post(account, f"{page}/messages", body)
        return meta.post(account, f"{account.setting('account_id')}/messages", body, GRAPH)

    def outcome(self, status: int, body: bytes) -> Result:
        return meta.outcome(status, body, "message_id")

    def fetch(self, account: Account, ref: str) -> Call:
        return meta.fetch(ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Call | Result:
        return meta.fetched(status, media_type, body)

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        page = account.setting("page_id")
        if page:
            return (meta.conversations(account, page, "instagram"),)
        return (meta.conversations(account, account.setting("account_id"), "instagram", GRAPH),)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        return meta.found(account, call, span, status, body, account.setting("account_id"), self.policy(account))

    def ask_subscription(self, account: Account, now: float) -> Call:
        page = account.setting("page_id")
        return (
            meta.subscribed(account, page) if page else meta.subscribed(account, account.setting("account_id"), GRAPH)
        )

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        return meta.subscription(account, status, body)
