"""Our own web chat. It has no provider to call: the widget's socket (channels.chat) reads the journal itself."""

from channels.base import (
    About,
    Account,
    Call,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
)
from router.effects import AnyEffect
from router.model import Kind, ReplyPolicy


class WebChat:
    name = "webchat"
    about = About(
        title="Web chat, our widget and your app",
        family="chat",
        receives="texts, files",
        sends="texts, files",
        media="both ways",
        evidence="real server",
        verified_against="Chromium, through the widget",
    )
    kinds: tuple[Kind, ...] = ("chat",)
    transport: Transport = "own"
    required_settings: tuple[str, ...] = ()
    required_secrets: tuple[str, ...] = ()

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        return Reading(reply=HookReply(404))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=20_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        raise Unsendable("the widget reads its messages itself")

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="nothing is sent here")
