"""Phone by TwiML-compatible webhooks: the caller waits in a provider's queue with music, and is moved to a room.

A room is a conference named by the contact. The agent's leg enters it when it answers; the caller is then redirected
into it, and out of it again to music while on hold or being transferred. Hooks below the channel's own:
`` (a call comes in), `wait` (what a waiting caller hears), `left` (the queue was left), `status` (the call's end),
`leg` and `leg-status` (a leg we dialled answered, or ended), `room` and `hold` (where a caller is sent), `key` (pressed
while waiting), `said` and `recorded` (the words before the end, and the message that was left after them).
"""

from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

from channels import farewells, twilio
from channels.base import (
    About,
    Account,
    Call,
    CallView,
    File,
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
from channels.elsewhere import arrived
from router.effects import AnyEffect, CancelLeg, EndCaller, HoldCaller, JoinCaller, RingLeg
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
            return Reading(reply=_room(webhook.query.get("contact", "")))
        if webhook.path == "key":
            return _key(account, fields, call)
        if webhook.path == "said":
            return Reading(reply=_farewell(account, webhook))
        if webhook.path == "recorded":
            return _recorded(account, fields, call)
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
        if isinstance(effect, CancelLeg):
            return twilio.post(account, f"Calls/{quote(effect.leg)}", ("Status", "completed"))
        if isinstance(effect, EndCaller) and effect.say is not None:
            said = _url(account, "said", what=effect.say, **({"language": effect.language} if effect.language else {}))
            return _redirected(account, effect.call, said)
        if isinstance(effect, EndCaller):
            return twilio.post(account, f"Calls/{quote(effect.call)}", ("Status", "completed"))
        raise Unsendable("not a call")

    def outcome(self, status: int, body: bytes) -> Result:
        return twilio.outcome(status, body)

    def fetch(self, account: Account, ref: str) -> Call:
        return twilio.get(account, f"Recordings/{quote(ref)}.mp3")

    def fetched(self, account: Account, ref: str, status: int, media_type: str, body: bytes) -> File | Result:
        # Told of before it can be had: a recording is a 404 for a moment.
        return arrived(202 if status == 404 else status, media_type, body, "Twilio")


def _incoming(account: Account, fields: dict[str, str], call: str) -> Reading:
    body = ReceiveCall(
        channel=account.channel,
        thread=Thread(external=call, kind="call"),
        identity=_caller(fields),
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
    offered = farewells.offered(account, None)
    text = f"{words.format(position=position) if position else ''} {offered}".strip()
    said = f"<Say language={quoteattr(language)}>{escape(text)}</Say>" if text else ""
    if not offered:
        return _twiml(said, _music(account))
    heard = f'<Gather numDigits="1" timeout="1" actionOnEmptyResult="false" action={quoteattr(_url(account, "key"))}>'
    return _twiml(heard, said, _music(account), "</Gather>")


def _key(account: Account, fields: dict[str, str], call: str) -> Reading:
    """A key that means nothing, or comes too late, leaves the caller where he is. Else he is sent on by the engine."""
    wait = _twiml(_redirect(account, "wait"))
    item = farewells.pressed(account, call, fields.get("Digits", "")[:1])
    if item is None:
        return Reading(reply=wait)
    return Reading((item,), _twiml('<Pause length="20"/>', _redirect(account, "wait")), refused=wait)


def _music(account: Account) -> str:
    return f"<Play>{escape(account.setting('music_url', MUSIC))}</Play>"


def _room(contact: str, is_muted: bool = False) -> HookReply:
    """Nobody's leaving ends the room: who hangs up whom is the engine's decision. Who monitors is heard by nobody."""
    muted = ' muted="true"' if is_muted else ""
    return _twiml(
        f'<Dial><Conference beep="false"{muted} startConferenceOnEnter="true" endConferenceOnExit="false">'
        f"{escape(contact[:64])}</Conference></Dial>"
    )


def _ended(account: Account, path: str, fields: dict[str, str], call: str) -> Reading:
    over = fields.get("QueueResult") in LEFT_FOR_EVER if path == "left" else fields.get("CallStatus") in FINAL
    if not over:
        return Reading(reply=_twiml())
    body = EndCall(channel=account.channel, thread=Thread(external=call, kind="call"))
    return Reading((Item(f"{call}:end", body),), _twiml())


def _farewell(account: Account, webhook: Webhook) -> HookReply:
    """What is said before the line is cut; a message may be left only where that was what was said."""
    what = webhook.query.get("what", "")
    tag, text = farewells.words(account, what, webhook.query.get("language"))
    said = f"<Say language={quoteattr(tag)}>{escape(text)}</Say>" if text else ""
    if what != "voicemail":
        return _twiml(said, "<Hangup/>")
    record = (
        f'<Record maxLength="{farewells.LONGEST_MESSAGE_S}" timeout="{farewells.SILENCE_S}" playBeep="true"'
        f" action={quoteattr(_url(account, 'recorded'))}/>"
    )
    return _twiml(said, record, "<Hangup/>")


def _recorded(account: Account, fields: dict[str, str], call: str) -> Reading:
    """Who hangs up at the tone has left nothing."""
    sid = fields.get("RecordingSid", "")[:64]
    if not sid.isalnum() or fields.get("RecordingDuration", "0") == "0":
        return Reading(reply=_twiml("<Hangup/>"))
    item = farewells.left(account, call, _caller(fields), sid, sid, f"{sid}.mp3", "audio/mpeg")
    return Reading((item,), _twiml("<Hangup/>"))


def _caller(fields: dict[str, str]) -> Identity:
    value = fields.get("From", "")[:60] or "anonymous"
    return Identity(scope="e164", kind="phone", value=value, name=fields.get("CallerName", "")[:100] or None)


def _leg(account: Account, webhook: Webhook, fields: dict[str, str], leg: str) -> Reading:
    key = webhook.query.get("key", "")[:64]
    if webhook.path == "leg":
        answered = AnswerLeg(channel=account.channel, key=key, leg=leg)
        room = _room(webhook.query.get("contact", ""), is_muted=webhook.query.get("side") == "monitor")
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
