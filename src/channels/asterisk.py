"""What Asterisk's events mean and which requests carry out an effect, by its REST interface (ARI). Pure.

A waiting caller hears music on its own channel. A talk is a mixing bridge named after its contact, in which whoever has
part in it is. Legs that we dial have names of ours (`naru-` and the effect's key), so that ordering one twice is ordering
it once (409) and its events name what they are about, even before the answer to the order has come.

Source: the interface's own description (rest-api/api-docs of Asterisk 22) and what a real 22.10.1 did, which differs:
`ChannelDestroyed` comes for what we dial, but for a caller only `StasisEnd`; an endpoint nobody has is a 500.
"""

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from channels import farewells, menus
from channels.base import Account, Call, Item, Step, Steps
from channels.menus import Chosen, Menu
from router.effects import EndCaller, RingLeg
from router.inputs import AnswerLeg, EndCall, EndLeg, ReceiveCall
from router.model import AnsweredBy, Identity, Manner, Thread

LEG = "naru-"
ROOM = "naru-room-"
WHISPER = "whisper-"
"""Begins the names of a whisper's two ends, snooping channels, and of the bridge between them (`_whispered`)."""
LAST, LEFT = "naru-last-", "naru-left-"
"""How the words before the end, and what is recorded after them, are named."""
RING_LEAST_S = 5
SILENT, AS_SPOKEN = "-32767", "0"
"""Gains of `VOLUME`: below 0 it divides."""
SAID = "naru-say-"
"""How the sounds that we play are named: by their caller, and in a menu by a number before that."""
SCHEMES = ("sound:", "recording:", "number:", "digits:", "characters:", "tone:")
ANNOUNCE_EVERY_S = 30
ANNOUNCE = ("sound:queue-thereare", "number:{position}", "sound:queue-callswaiting")
ANNOUNCE_FIRST = ("sound:queue-youarenext",)
"""What the exchange's own queues say: "you are currently caller number … waiting to speak with a representative"."""

UNRECORDED = (404, 409, 422, 500)
"""What an exchange answers that does not record (500: it has no folder for it). People talk all the same."""
CONTACT_HEADER = "X-Naru-Contact"

Cause = Literal["completed", "busy", "no_answer", "failed", "canceled"]
CAUSES: dict[int, Cause] = {16: "canceled", 17: "busy", 18: "no_answer", 19: "no_answer", 21: "busy", 32: "canceled"}
"""Q.850 causes of a leg that was never answered; any other is a failure."""
AMD: dict[str, AnsweredBy] = {"HUMAN": "human", "MACHINE": "machine", "NOTSURE": "unknown"}
"""`AMDSTATUS`, as the dialplan hands it to us behind the contact and the side."""
NOISE = (
    *("ChannelVarset", "ChannelDialplan", "ChannelConnectedLine", "ChannelCallerId", "DeviceStateChanged", "Dial"),
    *("PlaybackStarted", "PlaybackContinuing"),
)
"""Events that say nothing we act on: they are filtered at the exchange."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What an event asks for: an input, and what is done at the exchange when it is granted, or when it is not.

    `asked` inputs wait for the decision. `about` names the channel, whose events keep their order. `broken` is done when
    the exchange does not do `then`.
    """

    about: str
    item: Item | None = None
    asked: bool = False
    then: tuple[Step, ...] = ()
    refused: tuple[Step, ...] = ()
    broken: tuple[Step, ...] = ()


def event_of(raw: bytes | str) -> dict[str, Any]:
    """A frame as an object; empty for what is none."""
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    return event if isinstance(event, dict) else {}


def meaning(account: Account, event: Mapping[str, Any]) -> Move | None:
    """Total: whatever an exchange may say. None: nothing that concerns us."""
    kind, channel = event.get("type"), _object(event, "channel")
    name = _text(channel, "id")
    if kind == "ChannelLeftBridge":
        return _out_of_bridge(_object(event, "bridge"))
    if name.startswith(WHISPER):
        return _end_of_whisper(name) if kind == "StasisStart" else None
    if kind == "PlaybackFinished":
        return _heard_out(_object(event, "playback"))
    if kind in ("RecordingFinished", "RecordingFailed"):
        return _left(account, _object(event, "recording"))
    if kind == "ChannelDtmfReceived":
        return _pressed(account, name, _text(event, "digit"), _text(event, "timestamp"))
    if not name:
        return None
    if kind == "StasisStart" and name.startswith(LEG) and channel.get("state") != "Up":
        return None  # made and not dialled yet: whoever picks up is told as a start in state Up
    if kind == "StasisStart":
        return _leg_answered(account, event, name) if name.startswith(LEG) else _arrived(account, event, channel, name)
    if kind in ("StasisEnd", "ChannelDestroyed"):
        return _gone(account, event, name, answered=kind == "StasisEnd" or channel.get("state") == "Up")
    return None


def _arrived(account: Account, event: Mapping[str, Any], channel: Mapping[str, Any], call: str) -> Move:
    """`Stasis(app,inbound,NUMBER)`: the number that was called, else the extension."""
    caller, words = _object(channel, "caller"), _words(event)
    called = words[1] if len(words) > 1 and words[0] == "inbound" else _text(_object(channel, "dialplan"), "exten")
    body = ReceiveCall(
        channel=account.channel,
        thread=Thread(external=call, kind="call"),
        identity=Identity(
            scope="e164",
            kind="phone",
            value=e164(_text(caller, "number"), account.setting("country_code")) or "anonymous",
            name=_text(caller, "name")[:100] or None,
        ),
        to=called[:60] or None,
        language=account.setting("language") or None,
    )
    return Move(
        about=call, item=Item(call, body), asked=True, then=waiting(account, call), refused=(hang_up(call, "busy"),)
    )


def waiting(account: Account, call: str) -> tuple[Step, ...]:
    """How a caller waits: with music, or, where that costs too much or is not wanted, with the ringing tone alone."""
    at = f"channels/{quote(call, safe='')}"
    if account.setting("waiting", "music") == "ring":
        return (Step(method="POST", path=f"{at}/ring", fine=(404, 409, 412)),)
    return answer(call), music(account, call)


def answer(call: str) -> Step:
    return Step(method="POST", path=f"channels/{quote(call, safe='')}/answer", fine=(404, 409, 412))


def quiet(call: str) -> Step:
    """The music stops."""
    return Step(method="DELETE", path=f"channels/{quote(call, safe='')}/moh", fine=(404, 409, 412))


def music(account: Account, call: str) -> Step:
    query = (("mohClass", account.setting("music", "default")),)
    return Step(method="POST", path=f"channels/{quote(call, safe='')}/moh", query=query)


def _leg_answered(account: Account, event: Mapping[str, Any], leg: str) -> Move:
    words = _words(event)
    contact, side = (words[1], words[2]) if len(words) > 2 and words[0] == "leg" else ("", "")
    by = AMD.get(words[3]) if len(words) > 3 else None
    body = AnswerLeg(channel=account.channel, key=leg.removeprefix(LEG), leg=leg, answered_by=by)
    recorded = _recording(account, contact) if side == "customer" else ()
    answered = (*into_room(contact, leg, is_muted=side == "monitor"), *recorded)
    if side == "first":
        answered = (music(account, leg),)
    return Move(
        about=leg,
        item=Item(f"{leg}:answered", body),
        asked=True,
        then=answered if contact else (),
        refused=(hang_up(leg),),
    )


def _gone(account: Account, event: Mapping[str, Any], name: str, answered: bool) -> Move:
    if not name.startswith(LEG):
        body = EndCall(channel=account.channel, thread=Thread(external=name, kind="call"))
        return Move(about=name, item=Item(end_of(name), body))
    cause = event.get("cause")
    why: Cause = "completed" if answered else CAUSES.get(cause if isinstance(cause, int) else 0, "failed")
    return Move(about=name, item=ended(account, name, why))


def ended(account: Account, leg: str, cause: Cause) -> Item:
    body = EndLeg(channel=account.channel, key=leg.removeprefix(LEG), leg=leg, cause=cause)
    return Item(end_of(leg), body)


def end_of(channel: str) -> str:
    """What the end of a call or a leg is called, however often it is told."""
    return f"{channel}:end"


def _out_of_bridge(bridge: Mapping[str, Any]) -> Move | None:
    """A room that everybody has left is taken down; a bridge lives until it is. Of a whisper neither end is of use alone."""
    name, alone = _text(bridge, "id"), _in_it(bridge)
    if name.startswith(WHISPER) and alone:
        return Move(about=name, then=tuple(hang_up(end) for end in alone))
    if not name.startswith((ROOM, WHISPER)) or alone:
        return None
    return Move(about=name, then=(Step(method="DELETE", path=f"bridges/{quote(name, safe='')}", fine=(404,)),))


# -- the end of a wait: words, and perhaps a message that is left. What comes next is in the names of what we ordered.


def end(account: Account, effect: EndCaller) -> Steps:
    """Hang up on a caller, after words where there are some. A sound that is not there is as if it had been heard."""
    if effect.say is None:
        return Steps((hang_up(effect.call),), over=effect.call)
    number = effect.caller.value if effect.caller is not None else ""
    name = f"{LAST}{effect.say}-{_plain(number)}-{effect.call}"
    language = effect.language or account.setting("language")
    words = play(effect.call, name, (farewells.sound(account, effect.say),), language)
    steps = (*_unsaid(account, effect.call), answer(effect.call), quiet(effect.call), words)
    return Steps(steps, caller=effect.call, over=effect.call)


def _heard_out(playback: Mapping[str, Any]) -> Move | None:
    what, number, call = _ordered(_text(playback, "id"), LAST)
    if not call:
        return None
    if what != "voicemail":
        return Move(about=call, then=(hang_up(call),))
    query = (
        ("name", f"{LEFT}{what}-{number}-{call}"),
        ("format", "wav"),
        ("maxDurationSeconds", str(farewells.LONGEST_MESSAGE_S)),
        ("maxSilenceSeconds", str(farewells.SILENCE_S)),
        ("beep", "true"),
        ("terminateOn", "any"),
        ("ifExists", "fail"),
    )
    record = Step(method="POST", path=f"channels/{quote(call, safe='')}/record", query=query, fine=(404, 409, 422))
    return Move(about=call, then=(record,), broken=(hang_up(call),))


def _left(account: Account, recording: Mapping[str, Any]) -> Move | None:
    """A message that a caller has left, also one who just hung up; nothing but the tone is none."""
    name = _text(recording, "name")
    _, number, call = _ordered(name, LEFT)
    if not call:
        return None
    length_s = recording.get("duration")
    if recording.get("state") == "failed" or not isinstance(length_s, int) or length_s < 1:
        return Move(about=call, then=(hang_up(call),))
    caller = Identity(scope="e164", kind="phone", value=number or "anonymous")
    item = farewells.left(account, call, caller, name, name, f"{call}.wav", "audio/wav")
    return Move(about=call, item=item, then=(hang_up(call),))


def stored(account: Account, recording: str) -> Call:
    """The request for a recording's file."""
    url = f"{account.setting('url').rstrip('/')}/recordings/stored/{quote(recording, safe='')}/file"
    return Call(url=url, method="GET", basic=(account.secrets["username"], account.secrets["password"]))


def _pressed(account: Account, call: str, key: str, at: str) -> Move | None:
    item = None if call.startswith(LEG) else farewells.pressed(account, call, key, at)
    return None if item is None else Move(about=call, item=item, asked=True)


def _plain(number: str) -> str:
    return "".join(letter for letter in number if letter in "+0123456789")[:20]


def _ordered(name: str, prefix: str) -> tuple[str, str, str]:
    """(what, number, call) of something that we ordered; empty for anything else's."""
    what, _, rest = name.removeprefix(prefix).partition("-") if name.startswith(prefix) else ("", "", "")
    number, _, call = rest.partition("-")
    return what, number, call


# -- requests


def _into_bridge(bridge: str, channel: str, *more: tuple[str, str]) -> tuple[Step, ...]:
    at = f"bridges/{quote(bridge, safe='')}"
    return (
        Step(method="POST", path=at, query=(("type", "mixing"),), fine=(409,)),
        Step(method="POST", path=f"{at}/addChannel", query=(("channel", channel), *more)),
    )


def into_room(contact: str, channel: str, is_muted: bool = False) -> tuple[Step, ...]:
    """Somebody joins a contact's talk. Who listens in is heard by nobody."""
    return _into_bridge(f"{ROOM}{contact}", channel, *((("mute", "true"),) if is_muted else ()))


def join(account: Account, contact: str, call: str) -> Steps:
    """The caller comes from the music into the room, and the recording goes on, or begins, where one is made. What is
    being said ends first: an exchange would move him only after it."""
    steps = (
        *_unsaid(account, call),
        answer(call),
        quiet(call),
        *into_room(contact, call),
        *_recording(account, contact),
    )
    return Steps(steps, caller=call)


def _unsaid(account: Account, call: str) -> tuple[Step, ...]:
    return (silence(sound_name(call)),) if announce_every_s(account) else ()


def _recording(account: Account, contact: str) -> tuple[Step, ...]:
    if account.settings.get("record") is not True:
        return ()
    room, name = quote(f"{ROOM}{contact}", safe=""), quote(f"naru-{contact}", safe="")
    query = (("name", f"naru-{contact}"), ("format", "wav"), ("ifExists", "append"))
    return (
        Step(method="DELETE", path=f"recordings/live/{name}/pause", fine=UNRECORDED),
        Step(method="POST", path=f"bridges/{room}/record", query=query, fine=UNRECORDED),
    )


def hold(account: Account, contact: str, call: str) -> Steps:
    room, name = quote(f"{ROOM}{contact}", safe=""), quote(f"naru-{contact}", safe="")
    paused = Step(method="POST", path=f"recordings/live/{name}/pause", fine=UNRECORDED)
    out = Step(
        method="POST", path=f"bridges/{room}/removeChannel", query=(("channel", call),), fine=(400, 404, 409, 422)
    )
    pause = (paused,) if account.settings.get("record") is True else ()
    return Steps((out, *pause, music(account, call)), caller=call)


def ring(account: Account, effect: RingLeg) -> Steps:
    """Dial a phone. `agent_endpoint` and `trunk_endpoint` say how: `PJSIP/{address}`, `PJSIP/{address}@trunk`.

    A customer's is first listened to, where `amd_context` names the part of the dialplan that does so and then hands it to
    us. What is dialled into a dialplan tells us of nothing, so its events are asked for.
    """
    key, contact, side, address = effect.key, effect.contact, effect.side, effect.address
    is_outside = effect.is_to_customer or address.startswith("+")
    form = account.setting("trunk_endpoint" if is_outside else "agent_endpoint", "PJSIP/{address}")
    caller, leg = effect.caller_id or account.setting("number"), f"{LEG}{key}"
    dialled = (
        ("endpoint", form.replace("{address}", address)),
        ("timeout", str(max(RING_LEAST_S, int(effect.timeout_s)))),
        *((("callerId", caller),) if caller else ()),
    )
    context, path = account.setting("amd_context"), f"channels/{quote(leg, safe='')}"
    if effect.is_to_customer and context:
        query = (*dialled, ("context", context), ("extension", "s"), ("priority", "1"))
        body = msgspec.json.encode({"variables": {"ROOM_CONTACT": contact, "ROOM_SIDE": side}})
        events = f"applications/{quote(app(account), safe='')}/subscription"
        listens = Step(method="POST", path=events, query=(("eventSource", f"channel:{leg}"),))
        return Steps((Step(method="POST", path=path, query=query, body=body, fine=(409,)), listens), leg)
    query = (*dialled, ("app", app(account)), ("appArgs", f"leg,{contact},{side}"))
    told = None if is_outside else _told(account, form, effect)
    return Steps((Step(method="POST", path=path, query=query, body=told, fine=(409,)),), leg)


def _told(account: Account, form: str, effect: RingLeg) -> bytes | None:
    """What a SIP phone is told besides: which contact rings it, or one click at a desk could not answer both; and to pick
    up by itself where somebody waits on the line already (most desk phones know `answer-after`)."""
    if not form.startswith("PJSIP/"):
        return None
    told = {CONTACT_HEADER: effect.contact} if account.settings.get("webrtc") else {}
    if effect.at_once:
        told["Call-Info"] = "<sip:naru>;answer-after=0"
    return (
        msgspec.json.encode({"variables": {f"PJSIP_HEADER(add,{name})": value for name, value in told.items()}})
        if told
        else None
    )


# -- supervisors who speak


def heard(account: Account, contact: str, leg: str, manner: Manner, owner_leg: str) -> Steps:
    """Whoever monitors stays in the room in every manner, and so hears the same; what changes is who hears him.

    Listening, the room takes nothing from his leg. Whispering, his voice is made silent on its way into the room
    (VOLUME divides it by the greatest sample there is) and brought to the owner's ear past it. The silence is wanted: a
    whisper is mixed into what a phone is sent anyway, and while the customer is held nobody else sends the owner
    anything. So that nobody is heard for want of a module (setting a function that is not there is no error), it is
    asked for first.
    """
    whisper = _whispered(leg, owner_leg)
    over = hang_up(f"{whisper}.from")
    if manner == "listen":
        return Steps((*into_room(contact, leg, is_muted=True), over))
    if manner == "barge":
        return Steps((*into_room(contact, leg), _volume(leg, AS_SPOKEN), over))
    return Steps(
        (
            Step(method="GET", path="asterisk/modules/func_volume.so"),
            _volume(leg, SILENT),
            *into_room(contact, leg),
            over,
            _snoop(account, leg, f"{whisper}.from", "spy", "in"),
            _snoop(account, owner_leg, f"{whisper}.to", "whisper", "out"),
        )
    )


def _whispered(leg: str, owner_leg: str) -> str:
    """A whisper's bridge. Its ends `.from` and `.to` snoop on either leg, and each goes with the leg it snoops on."""
    return f"{WHISPER}{leg.removeprefix(LEG)}.{owner_leg.removeprefix(LEG)}"


def _volume(leg: str, gain: str) -> Step:
    """Of what comes from a leg, as the room gets it; whoever snoops hears it before."""
    query = (("variable", "VOLUME(RX)"), ("value", gain))
    return Step(method="POST", path=f"channels/{quote(leg, safe='')}/variable", query=query)


def _snoop(account: Account, leg: str, name: str, what: Literal["spy", "whisper"], direction: str) -> Step:
    query = ((what, direction), ("app", app(account)), ("appArgs", "whisper"))
    return Step(method="POST", path=f"channels/{quote(leg, safe='')}/snoop/{quote(name, safe='')}", query=query)


def _end_of_whisper(name: str) -> Move:
    """An end has come to be: it is bridged with the other, whichever is first."""
    bridge = name.rpartition(".")[0]
    return Move(about=bridge, then=_into_bridge(bridge, name))


def hang_up(channel: str, reason: str = "normal") -> Step:
    path = f"channels/{quote(channel, safe='')}"
    return Step(method="DELETE", path=path, query=(("reason", reason),), fine=(404,))


def back_to_dialplan(call: str) -> Step:
    """Where nothing can be decided the exchange's own plan goes on: another number, a voice mailbox."""
    return Step(method="POST", path=f"channels/{quote(call, safe='')}/continue", fine=(404, 409, 412))


def app(account: Account) -> str:
    return account.setting("app", "naru")


def e164(number: str, country_code: str) -> str:
    """A caller's number as trunks give it: national ones (one leading 0) get the country's code, internal ones stay."""
    number = number.strip()[:40]
    if country_code and number.startswith("0") and not number.startswith("00") and number.isdigit():
        return f"+{country_code.lstrip('+')}{number[1:]}"
    return f"+{number[2:]}" if number.startswith("00") and number.isdigit() else number


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found[:200] if isinstance(found, str) else ""


def _in_it(bridge: Mapping[str, Any]) -> list[str]:
    """The channels in a bridge."""
    found = bridge.get("channels")
    return [name[:200] for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _words(event: Mapping[str, Any]) -> list[str]:
    words = event.get("args")
    return [word[:200] for word in words if isinstance(word, str)] if isinstance(words, list) else []


# -- what is said to a caller: the menu, the place in line


def key_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """(call, key) of a `ChannelDtmfReceived`; "" for what is no key."""
    key = _text(event, "digit")
    return _text(_object(event, "channel"), "id"), key if key in menus.KEYS else ""


def sound_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """(call, name) of a `PlaybackFinished`."""
    playback = _object(event, "playback")
    return _text(playback, "target_uri").removeprefix("channel:"), _text(playback, "id")


def sound_name(call: str, number: int = 0) -> str:
    return f"{SAID}{number}-{call}" if number else f"{SAID}{call}"


def play(call: str, name: str, sounds: tuple[str, ...], language: str) -> Step:
    query = (("media", ",".join(sounds)), *((("lang", language),) if language else ()))
    return Step(method="POST", path=f"channels/{quote(call, safe='')}/play/{quote(name, safe='')}", query=query)


def silence(name: str) -> Step:
    """A sound ends at once, if it has not."""
    return Step(method="DELETE", path=f"playbacks/{quote(name, safe='')}", fine=(404, 409))


def with_chosen(move: Move, chosen: Chosen) -> Move:
    """A caller's arrival with what was chosen in the menu."""
    assert move.item is not None and isinstance(move.item.body, ReceiveCall)
    said = move.item.body
    body = msgspec.structs.replace(said, attributes=chosen.attributes, language=chosen.language or said.language)
    return msgspec.structs.replace(move, item=msgspec.structs.replace(move.item, body=body))


def announce_every_s(account: Account) -> float:
    """How often a waiting caller is told the place; 0: never. Who is not answered hears nothing but the ringing tone."""
    if account.setting("waiting", "music") == "ring":
        return 0
    every_s = account.settings.get("announce_every_s", ANNOUNCE_EVERY_S)
    return float(every_s) if _is_number(every_s) else ANNOUNCE_EVERY_S


def place_said(account: Account, position: int) -> tuple[str, ...]:
    """The sounds that say a place in line."""
    usual = _sounds(account.settings.get("announce")) or ANNOUNCE
    first = _sounds(account.settings.get("announce_first")) or ANNOUNCE_FIRST
    keys = farewells.sound(account, farewells.NAMES_KEYS)
    place = (sound.replace("{position}", str(position)) for sound in (first if position == 1 else usual))
    return (*place, *((keys,) if keys else ()))


def settings_fault(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with what a channel's callers shall hear."""
    if settings.get("menu") is not None and settings.get("waiting") == "ring":
        return "settings.menu: a menu answers the call, and with `waiting: ring` it is not answered: take one"
    every_s = settings.get("announce_every_s", ANNOUNCE_EVERY_S)
    if not _is_number(every_s) or not (every_s == 0 or 10 <= every_s <= 600):
        return "settings.announce_every_s: 10 to 600 seconds, or 0 for never"
    for name in ("announce", "announce_first"):
        said = settings.get(name)
        if said is not None and (not isinstance(said, list) or _sounds(said) != tuple(said) or not said):
            return f"settings.{name}: a list of at most {MAX_SOUNDS} sounds, each one of {', '.join(SCHEMES)}"
    return farewells.fault(settings) or menus.menu_fault(settings, _unplayable)


MAX_SOUNDS = 10


def _sounds(value: Any) -> tuple[str, ...]:
    """Those of a list that an exchange can play; a comma would part one in two."""
    listed = value[:MAX_SOUNDS] if isinstance(value, list) else []
    return tuple(each for each in listed if isinstance(each, str) and _is_sound(each))


def _is_sound(text: str) -> bool:
    return text.startswith(SCHEMES) and "," not in text and len(text) <= 300


def _unplayable(menu: Menu) -> str | None:
    if menu.say:
        return "an exchange has no voice that reads words: record them and give the sound in `play`"
    sounds = [menu.play] if isinstance(menu.play, str) else list(menu.play.values())
    wrong = [sound for sound in sounds if not _is_sound(sound)]
    return f"`play` takes one sound ({', '.join(SCHEMES)}), not '{wrong[0][:60]}'" if wrong else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- what is there, after a time of which nobody told


def by_id(said: Any) -> dict[str, dict[str, Any]]:
    """The exchange's channels or bridges by name, from the body of `GET /channels` or `/bridges`."""
    try:
        found = msgspec.json.decode(said) if isinstance(said, str | bytes) else said
    except (msgspec.MsgspecError, RecursionError):
        return {}
    listed = found if isinstance(found, list) else []
    return {_text(each, "id"): each for each in listed if isinstance(each, dict) and _text(each, "id")}


def whispers(channels: Mapping[str, Any], bridges: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events about whispers that were missed: an end whose other one has gone, or that waits to be bridged, and
    bridges that nobody is in."""
    missed: list[dict[str, Any]] = []
    for name, bridge in bridges.items():
        if name.startswith(WHISPER) and not _in_it(bridge):
            missed.append({"type": "ChannelLeftBridge", "bridge": bridge})
    bridged = {end for bridge in bridges.values() for end in _in_it(bridge)}
    for name in (name for name in channels if name.startswith(WHISPER)):
        at, _, end = name.rpartition(".")
        if f"{at}.{'to' if end == 'from' else 'from'}" not in channels:
            missed.append({"type": "ChannelLeftBridge", "bridge": {"id": at, "channels": [name]}})
        elif name not in bridged:
            missed.append({"type": "StasisStart", "channel": {"id": name}})
    return missed


def is_ours(channel: Mapping[str, Any], application: str) -> bool:
    """Whether a channel is in our application now: its last step in the dialplan was `Stasis(application,…)`. A leg has a
    name like those of another channel of ours at the same exchange; one that still rings tells us when it is answered."""
    plan, name = _object(channel, "dialplan"), _text(channel, "id")
    words = _text(plan, "app_data").split(",")
    return not name.startswith(WHISPER) and _text(plan, "app_name") == "Stasis" and words[0] == application


def arrival(channel: Mapping[str, Any]) -> dict[str, Any]:
    """The event that was missed: a caller's arrival. A leg of which the engine knows nothing is asked about likewise, and
    hung up when refused."""
    words = _text(_object(channel, "dialplan"), "app_data").split(",")[1:]
    return {"type": "StasisStart", "channel": channel, "args": words}
