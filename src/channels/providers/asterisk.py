"""Phone by a company's own Asterisk (FreePBX, Issabel), over ARI. What it means and asks is in `channels.asterisk`, the
connection in `channels.ari`.
"""

from collections.abc import Mapping
from typing import Any

from channels import asterisk
from channels.base import (
    About,
    Account,
    Call,
    File,
    HookReply,
    Look,
    Outgoing,
    Reading,
    Result,
    Steps,
    Transport,
    Unsendable,
    Webhook,
)
from channels.elsewhere import arrived
from router.effects import AnyEffect, CancelLeg, EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.model import Kind, ReplyPolicy


class Asterisk:
    name = "asterisk"
    about = About(
        title="Phone by Asterisk (ARI)",
        family="phone",
        receives="calls",
        sends="calls",
        media="messages that callers leave; recordings stay on the exchange",
        evidence="real server",
        verified_against="Asterisk 22.10.1: recorded traces in the tests, a real one with real audio by `make asterisk`",
    )
    kinds: tuple[Kind, ...] = ("voice",)
    transport: Transport = "ari"
    required_settings: tuple[str, ...] = ("url",)
    required_secrets: tuple[str, ...] = ("username", "password")
    repeats_safely = True

    def settings_fault(self, settings: Mapping[str, Any]) -> str | None:
        return asterisk.settings_fault(settings)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # nothing comes but by the connection that we open ourselves

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        move = asterisk.meaning(account, asterisk.event_of(webhook.body))
        return Reading((move.item,) if move is not None and move.item is not None else (), HookReply(204))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(allowed=False, reason="a-call-has-no-messages")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Steps:
        match effect:
            case RingLeg(address=""):
                raise Unsendable("the agent has no phone")
            case RingLeg():
                return asterisk.ring(account, effect)
            case JoinCaller():
                return asterisk.join(account, effect.contact, effect.call)
            case HoldCaller():
                return asterisk.hold(account, effect.contact, effect.call)
            case SetManner():
                return asterisk.heard(account, effect.contact, effect.leg, effect.manner, effect.owner_leg)
            case CancelLeg():
                return Steps((asterisk.hang_up(effect.leg),))
            case EndCaller():
                return asterisk.end(account, effect)
        raise Unsendable("not a call")

    def fetch(self, account: Account, ref: str) -> Call:
        return asterisk.stored(account, ref)

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Result:
        return arrived(status, "audio/wav", body, "the exchange")

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="calls are not made by webhook")
