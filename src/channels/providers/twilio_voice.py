"""Phone by TwiML-compatible webhooks: the caller waits in a provider's queue with music, and is moved to a room.

A room is a conference named by the contact. The agent's leg enters it when it answers; the caller is then redirected
into it, and out of it again to music while on hold or being transferred. A supervisor's leg comes in muted, and is sent
into the room again to be heard otherwise. Hooks below the channel's own:
`` (a call comes in), `wait` (what a waiting caller hears), `left` (the queue was left), `status` (the call's end),
`leg` and `leg-status` (a leg we dialled answered, or ended), `room` and `hold` (where a caller is sent).
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

from channels import twilio
from channels.base import (
    About,
    Account,
    Call,
    CallView,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
)
from router.effects import AnyEffect, CancelLeg, EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.inputs import AnswerLeg, EndCall, EndLeg, ReceiveCall
from router.model import Identity, Kind, ReplyPolicy, Thread

FINAL = ("completed", "busy", "no-answer", "failed", "canceled")
LEFT_FOR_EVER = ("hangup", "error", "system-error", "queue-full")
"""Results of a queue after which nobody is on the line: our answer to them ends the call."""
SAY = {
    "ko": ("ko-KR", "잠시만 기다려 주세요. 대기 순서는 {position}번입니다."),
    "en": ("en-US", "Please hold. You are number {position} in line."),
}
MUSIC = "https://com.twilio.sounds.music.s3.amazonaws.com/MARKOVICHAMP-Borghestral.mp3"


class TwilioVoice:
    name = "twilio_voice"
    about = About(
        title="Phone by Twilio and those compatible with it (TwiML)",
        family="phone",
        receives="calls",
        sends="calls",
        evidence="vendor's library",
        verified_against="Twilio's own SDK (signatures, TwiML) and a carrier of ours that interprets TwiML",
    )
    kinds: tuple[Kind, ...] = ("voice",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("account_sid", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return twilio.verify(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        fields = twilio.form(webhook)
        call = fields.get("CallSid", "")[:64]
        if not call:
            return Reading(reply=HookReply(422, "no CallSid"))
        if webhook.path == "wait":
            return Reading(reply=_wait(account, look(call)))
        if webhook.path == "hold":
            return Reading(reply=_twiml(_music(account), _redirect(account, "hold")))
        if webhook.path == "room":
            return Reading(reply=_room(account, webhook.query))
        if webhook.path in ("left", "status"):
            return _ended(account, webhook.path, fields, call)
        if webhook.path in ("leg", "leg-status"):
            return _leg(account, webhook, fields, call)
        if webhook.path == "":
            return _incoming(account, fields, call)
        return Reading(reply=HookReply(404))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(allowed=False, reason="a-call-has-no-messages")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        if isinstance(effect, RingLeg):
            return _ring(account, effect)
        if isinstance(effect, JoinCaller):
            return _redirected(account, effect.call, _url(account, "room", contact=effect.contact))
        if isinstance(effect, HoldCaller):
            return _redirected(account, effect.call, _url(account, "hold"))
        if isinstance(effect, SetManner):
            where = {"contact": effect.contact, "manner": effect.manner, "owner": effect.owner_leg}
            return _redirected(account, effect.leg, _url(account, "room", **where))
        if isinstance(effect, CancelLeg):
            return twilio.post(account, f"Calls/{quote(effect.leg)}", ("Status", "completed"))
        if isinstance(effect, EndCaller):
            return twilio.post(account, f"Calls/{quote(effect.call)}", ("Status", "completed"))
        raise Unsendable("not a call")

    def outcome(self, status: int, body: bytes) -> Result:
        return twilio.outcome(status, body)


def _incoming(account: Account, fields: dict[str, str], call: str) -> Reading:
    caller = fields.get("From", "")[:60] or "anonymous"
    body = ReceiveCall(
        channel=account.channel,
        thread=Thread(external=call, kind="call"),
        identity=Identity(scope="e164", kind="phone", value=caller, name=fields.get("CallerName", "")[:100] or None),
        to=fields.get("To", "")[:60] or None,
        language=account.setting("language") or None,
    )
    enqueue = (
        f"<Enqueue waitUrl={quoteattr(_url(account, 'wait'))} action={quoteattr(_url(account, 'left'))}>"
        f"{escape(account.channel)}</Enqueue>"
    )
    item, reply = Item(call, body), _twiml(enqueue)
    if account.settings.get("refuse_when_full") is True:  # before it is answered: nobody pays for a call that is busy
        return Reading((item,), reply, refused=_twiml('<Reject reason="busy"/>'), late=reply)
    return Reading((item,), reply)


def _wait(account: Account, call: CallView | None) -> HookReply:
    position = call.position if call else 0
    language, words = SAY.get(account.setting("language", "ko"), SAY["en"])
    said = f"<Say language={quoteattr(language)}>{escape(words.format(position=position))}</Say>" if position else ""
    return _twiml(said, _music(account))


def _music(account: Account) -> str:
    return f"<Play>{escape(account.setting('music_url', MUSIC))}</Play>"


def _room(account: Account, query: Mapping[str, str]) -> HookReply:
    """Nobody's leaving ends the room: who hangs up whom is the engine's decision.

    Who whispers coaches the owner's leg. Were that not in the room any more, the room would not take the supervisor's
    (error 13240, "the call fails to the action URL"): by that he listens. A participant's `Coaching` can be changed over
    REST too, but only by the conference's SID, which nobody here knows.
    """
    contact, manner = query.get("contact", "")[:64], query.get("manner", "")
    dial, heard = "<Dial>", ""
    if manner == "listen":
        heard = ' muted="true"'
    elif manner == "whisper":
        dial = f"<Dial action={quoteattr(_url(account, 'room', contact=contact, manner='listen'))}>"
        heard = f" coach={quoteattr(query.get('owner', '')[:64])}"
    return _twiml(
        f'{dial}<Conference beep="false"{heard} startConferenceOnEnter="true" endConferenceOnExit="false">'
        f"{escape(contact)}</Conference></Dial>"
    )


def _ended(account: Account, path: str, fields: dict[str, str], call: str) -> Reading:
    over = fields.get("QueueResult") in LEFT_FOR_EVER if path == "left" else fields.get("CallStatus") in FINAL
    if not over:
        return Reading(reply=_twiml())
    body = EndCall(channel=account.channel, thread=Thread(external=call, kind="call"))
    return Reading((Item(f"{call}:end", body),), _twiml())


def _leg(account: Account, webhook: Webhook, fields: dict[str, str], leg: str) -> Reading:
    key = webhook.query.get("key", "")[:64]
    if webhook.path == "leg":
        answered = AnswerLeg(channel=account.channel, key=key, leg=leg)
        part = {"manner": "listen"} if webhook.query.get("side") == "monitor" else {}
        room = _room(account, {"contact": webhook.query.get("contact", ""), **part})
        return Reading((Item(f"{leg}:answered", answered),), room, refused=_twiml("<Hangup/>"))
    status = fields.get("CallStatus", "")
    if status not in FINAL:
        return Reading()
    cause = status.replace("-", "_")
    ended = EndLeg(channel=account.channel, key=key, leg=leg, cause=cause)  # type: ignore[arg-type]
    return Reading((Item(f"{leg}:end", ended),))


def _ring(account: Account, effect: RingLeg) -> Call:
    if not effect.address:
        raise Unsendable("the agent has no phone")
    return twilio.post(
        account,
        "Calls",
        ("To", effect.address),
        ("From", account.setting("number")),
        ("Url", _url(account, "leg", key=effect.key, contact=effect.contact, side=effect.side)),
        ("StatusCallback", _url(account, "leg-status", key=effect.key)),
        ("StatusCallbackEvent", "completed"),
        ("Timeout", str(max(5, int(effect.timeout_s)))),
    )


def _redirected(account: Account, call: str, url: str) -> Call:
    return twilio.post(account, f"Calls/{quote(call)}", ("Url", url), ("Method", "POST"))


def _redirect(account: Account, path: str) -> str:
    return f'<Redirect method="POST">{escape(_url(account, path))}</Redirect>'


def _url(account: Account, path: str, **query: str) -> str:
    return f"{account.hook_url}/{path}" + (f"?{urlencode(query)}" if query else "")


def _twiml(*verbs: str) -> HookReply:
    body = '<?xml version="1.0" encoding="UTF-8"?><Response>' + "".join(verbs) + "</Response>"
    return HookReply(200, body, "application/xml")
