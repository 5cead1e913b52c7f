"""Phone by TwiML-compatible webhooks: the caller waits in a provider's queue with music, and is moved to a room.

A room is a conference named by the contact. The agent's leg enters it when it answers; the caller is then redirected
into it, and out of it again to music while on hold or being transferred. A supervisor's leg comes in muted, and is sent
into the room again to be heard otherwise. Hooks below the channel's own:
`` (a call comes in), `menu` (a key was pressed, or none; its URL says in which menu), `wait` (what a waiting caller
hears), `key` (what one pressed), `left` (the queue was left), `status` (the call's end), `leg` and `leg-status` (a leg we
dialled answered, or ended), `room` and `hold` (where a caller is sent), `said` and `recorded` (the words before the end,
and the message that was left after them).
"""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

import msgspec

from channels import farewells, menus, twilio
from channels.base import (
    About,
    Account,
    Call,
    Calls,
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
from channels.menus import Chosen, Menu, Place
from router.effects import AnyEffect, CancelLeg, EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.inputs import AnswerLeg, EndCall, EndLeg, ReceiveCall
from router.model import AnsweredBy, Identity, Kind, ReplyPolicy, Thread

FINAL = ("completed", "busy", "no-answer", "failed", "canceled")
LEFT_FOR_EVER = ("hangup", "error", "system-error", "queue-full")
"""Results of a queue after which nobody is on the line: our answer to them ends the call."""
ANSWERED_BY: dict[str, AnsweredBy] = {"human": "human", "machine": "machine", "fax": "fax", "unknown": "unknown"}
"""`AnsweredBy` up to its first `_`: a machine's says besides how its greeting ended."""
SAY = {
    "ko": ("ko-KR", "잠시만 기다려 주세요. 대기 순서는 {position}번입니다."),
    "en": ("en-US", "Please hold. You are number {position} in line."),
}
WAIT = {
    "ko": ("1분 안에 연결될 예정입니다.", "{minutes}분 안에 연결될 예정입니다."),
    "en": ("We expect to answer within one minute.", "We expect to answer within {minutes} minutes."),
}
LONGEST_TOLD_S = 1800.0
"""Nobody is told of a longer wait: it would be of no use."""
SPOKEN = {"ko": "ko-KR", "en": "en-US", "ja": "ja-JP", "zh": "zh-CN", "fr": "fr-FR", "de": "de-DE", "es": "es-ES"}
"""A language as `<Say>` wants it; one that names its country already (`en-GB`) goes as it is."""
UNHEARD_S = 3
"""For so long a caller who is not known yet, or has no place yet, is asked about again every second; then there is music."""
MUSIC = "https://com.twilio.sounds.music.s3.amazonaws.com/MARKOVICHAMP-Borghestral.mp3"


class TwilioVoice:
    name = "twilio_voice"
    about = About(
        title="Phone by Twilio and those compatible with it (TwiML)",
        family="phone",
        receives="calls",
        sends="calls",
        media="recordings stay at the provider",
        evidence="vendor's library",
        verified_against="Twilio's own SDK (signatures, TwiML) and a carrier of ours that interprets TwiML",
    )
    kinds: tuple[Kind, ...] = ("voice",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("account_sid", "number")
    required_secrets: tuple[str, ...] = ("auth_token",)

    def settings_fault(self, settings: Mapping[str, Any]) -> str | None:
        if settings.get("menu") is not None and settings.get("refuse_when_full") is True:
            return (
                "settings.menu: a menu answers the call, and refuse_when_full refuses before it is answered: take one"
            )
        return farewells.fault(settings) or menus.menu_fault(settings, _unplayable)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return twilio.verify(account, webhook)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        fields = twilio.form(webhook)
        call = fields.get("CallSid", "")[:64]
        if not call:
            return Reading(reply=HookReply(422, "no CallSid"))
        if webhook.path == "wait":
            return Reading(reply=_wait(account, look(call), fields.get("QueueTime", "")))
        if webhook.path == "hold":
            return Reading(reply=_twiml(*_heard(account, look(call), "hold"), _redirect(account, "hold")))
        if webhook.path == "room":
            return Reading(reply=_room(account, webhook.query))
        if webhook.path == "key":
            return _key(account, webhook, fields, call)
        if webhook.path == "said":
            return Reading(reply=_farewell(account, webhook))
        if webhook.path == "recorded":
            return _recorded(account, fields, call)
        if webhook.path in ("left", "status"):
            return _ended(account, webhook.path, fields, call)
        if webhook.path in ("leg", "leg-status"):
            return _leg(account, webhook, fields, call)
        if webhook.path == "menu":
            return _pressed(account, webhook, fields, call)
        if webhook.path == "":
            menu = menus.menu_of(account.settings)
            return (
                _incoming(account, fields, call) if menu is None else Reading(reply=_asked(account, menu, menus.START))
            )
        return Reading(reply=HookReply(404))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(allowed=False, reason="a-call-has-no-messages")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call | Calls:
        if isinstance(effect, RingLeg):
            return _ring(account, effect)
        if isinstance(effect, JoinCaller):
            room = _redirected(account, effect.call, _url(account, "room", contact=effect.contact))
            return Calls(before=(_record(account, effect.call),), call=room) if _records(account) else room
        if isinstance(effect, HoldCaller):
            hold = _redirected(account, effect.call, _url(account, "hold"))
            return Calls(before=(_pause(account, effect.call),), call=hold) if _records(account) else hold
        if isinstance(effect, SetManner):
            where = {"contact": effect.contact, "manner": effect.manner, "owner": effect.owner_leg}
            return _redirected(account, effect.leg, _url(account, "room", **where))
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


def _incoming(account: Account, fields: dict[str, str], call: str, chosen: Chosen = Chosen()) -> Reading:
    body = ReceiveCall(
        channel=account.channel,
        thread=Thread(external=call, kind="call"),
        identity=_caller(fields),
        to=fields.get("To", "")[:60] or None,
        language=chosen.language or account.setting("language") or None,
        attributes=chosen.attributes,
    )
    enqueue = (
        f"<Enqueue waitUrl={quoteattr(_url(account, 'wait'))} action={quoteattr(_url(account, 'left'))}>"
        f"{escape(account.channel)}</Enqueue>"
    )
    item, reply = Item(call, body), _twiml(enqueue)
    if account.settings.get("refuse_when_full") is True:  # before it is answered: nobody pays for a call that is busy
        return Reading((item,), reply, refused=_twiml('<Reject reason="busy"/>'), late=reply)
    return Reading((item,), reply)


def _wait(account: Account, call: CallView | None, waited_s: str) -> HookReply:
    is_unknown = call is None or (call.status == "queued" and call.position == 0)
    if is_unknown and waited_s.isascii() and waited_s.isdigit() and int(waited_s[:9]) < UNHEARD_S:
        return _twiml('<Pause length="1"/>', _redirect(account, "wait"))
    return _twiml(*_heard(account, call, "wait"))


def _heard(account: Account, call: CallView | None, where: str) -> tuple[str, ...]:
    """The place in line, the keys that may be pressed, and music. `where` is what is gone on with after a key."""
    waits = call is not None and call.position > 0
    offered = farewells.offered(account, call.language) if call is not None and waits else None
    if offered is None:
        return _place(account, call), _music(account)
    action = quoteattr(_url(account, "key", back=where))
    gather = f'<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="1" method="POST" action={action}>'
    return gather, _place(account, call), _say(*offered), _music(account), "</Gather>"


def _key(account: Account, webhook: Webhook, fields: dict[str, str], call: str) -> Reading:
    """A key that means nothing, or comes too late, leaves the caller where he is. Else he is sent on by the engine."""
    back = _redirect(account, "hold" if webhook.query.get("back") == "hold" else "wait")
    press = webhook.headers.get("i-twilio-idempotency-token") or str(int(webhook.t))
    item = farewells.pressed(account, call, fields.get("Digits", "")[:1], press)
    if item is None:
        return Reading(reply=_twiml(back))
    return Reading((item,), _twiml('<Pause length="20"/>', back), refused=_twiml(back))


def _place(account: Account, call: CallView | None) -> str:
    """The caller's place in line; nothing where it is not known."""
    if call is None or not call.position:
        return ""
    spoken = call.language or account.setting("language", "ko")
    language, words = SAY.get(spoken.partition("-")[0], SAY["en"])
    said = words.format(position=call.position)
    if call.wait_s is not None and call.wait_s <= LONGEST_TOLD_S:
        minutes = max(1, math.ceil(call.wait_s / 60))
        said += " " + WAIT.get(spoken.partition("-")[0], WAIT["en"])[minutes > 1].format(minutes=minutes)
    return _say(language, said)


def _say(language: str, words: str) -> str:
    return f"<Say language={quoteattr(SPOKEN.get(language, language))}>{escape(words)}</Say>"


# -- the menu before the queue


def _asked(account: Account, menu: Menu, place: Place) -> HookReply:
    """One key is waited for. The redirect behind it is come to when none was pressed: nobody need know of
    `actionOnEmptyResult`."""
    here, chosen = menus.at(menu, place)
    own = account.setting("language", "ko")
    said = [_say(*each) if here.say else f"<Play>{escape(each[1])}</Play>" for each in menus.heard(here, chosen, own)]
    url = _url(account, "menu", keys=place.keys, tries=str(place.tries))
    gather = (
        f'<Gather input="dtmf" numDigits="1" finishOnKey="" timeout="{here.timeout_s}" method="POST" '
        f"action={quoteattr(url)}>{''.join(said)}</Gather>"
    )
    return _twiml(gather, f'<Redirect method="POST">{escape(url)}</Redirect>')


def _pressed(account: Account, webhook: Webhook, fields: dict[str, str], call: str) -> Reading:
    """The next menu, or the queue with what was chosen. Who has hung up meanwhile is queued nowhere."""
    if fields.get("CallStatus") in FINAL:
        return Reading(reply=_twiml())
    menu = menus.menu_of(account.settings)
    if menu is None:  # it was taken away while somebody listened
        return _incoming(account, fields, call)
    place = menus.place_of(webhook.query.get("keys", ""), webhook.query.get("tries", ""))
    step = menus.after(menu, place, fields.get("Digits", "")[:1])
    if isinstance(step, Place):
        return Reading(reply=_asked(account, menu, step))
    return _incoming(account, fields, call, step)


def _unplayable(menu: Menu) -> str | None:
    sounds = [menu.play] if isinstance(menu.play, str) else list(menu.play.values())
    wrong = [sound for sound in sounds if not sound.startswith(("https://", "http://"))]
    return f"`play` takes the address of a sound (https://…), not '{wrong[0][:60]}'" if wrong else None


# -- recording: of the customer's call, which lasts while agents change; it is paused while the caller is not in the room


def _records(account: Account) -> bool:
    return account.settings.get("record") is True


def _record(account: Account, call: str) -> Call:
    """Go on with the recording that is paused; where there is none (404), begin one. Two at once could not be paused
    (error 16108), so nothing else begins one."""
    begin = twilio.post(account, f"Calls/{quote(call)}/Recordings")
    resume = twilio.post(account, f"Calls/{quote(call)}/Recordings/Twilio.CURRENT", ("Status", "in-progress"))
    return msgspec.structs.replace(resume, otherwise=begin)


def _pause(account: Account, call: str) -> Call:
    paused = ("Status", "paused"), ("PauseBehavior", "skip")
    return twilio.post(account, f"Calls/{quote(call)}/Recordings/Twilio.CURRENT", *paused)


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


def _farewell(account: Account, webhook: Webhook) -> HookReply:
    """What is said before the line is cut; a message may be left only where that was what was said."""
    what = webhook.query.get("what", "")
    language, text = farewells.words(account, what, webhook.query.get("language"))
    said = _say(language, text) if text else ""
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
        by = ANSWERED_BY.get(fields.get("AnsweredBy", "").partition("_")[0])
        answered = AnswerLeg(channel=account.channel, key=key, leg=leg, answered_by=by)
        side = webhook.query.get("side")
        part = {"manner": "listen"} if side == "monitor" else {}
        room = _room(account, {"contact": webhook.query.get("contact", ""), **part})
        reply = _twiml(_redirect(account, "hold")) if side == "first" else room
        return Reading((Item(f"{leg}:answered", answered),), reply, refused=_twiml("<Hangup/>"))
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
        ("From", effect.caller_id or account.setting("number")),
        ("Url", _url(account, "leg", key=effect.key, contact=effect.contact, side=effect.side)),
        ("StatusCallback", _url(account, "leg-status", key=effect.key)),
        ("StatusCallbackEvent", "completed"),
        ("Timeout", str(max(5, int(effect.timeout_s)))),
        *(_of_a_customer(account) if effect.is_to_customer else ()),
    )


def _of_a_customer(account: Account) -> tuple[tuple[str, str], ...]:
    """A customer who is called comes into the room by picking up, so the recording begins there."""
    recorded = (("Record", "true"),) if _records(account) else ()
    return (*recorded, ("MachineDetection", "Enable")) if _detects(account) else recorded


def _detects(account: Account) -> bool:
    """Whether what answers a customer's phone is told apart before the call goes on: the leg is answered with it."""
    return account.settings.get("detect_machines") is True


def _redirected(account: Account, call: str, url: str) -> Call:
    return twilio.post(account, f"Calls/{quote(call)}", ("Url", url), ("Method", "POST"))


def _redirect(account: Account, path: str) -> str:
    return f'<Redirect method="POST">{escape(_url(account, path))}</Redirect>'


def _url(account: Account, path: str, **query: str) -> str:
    return f"{account.hook_url}/{path}" + (f"?{urlencode(query)}" if query else "")


def _twiml(*verbs: str) -> HookReply:
    body = '<?xml version="1.0" encoding="UTF-8"?><Response>' + "".join(verbs) + "</Response>"
    return HookReply(200, body, "application/xml")
