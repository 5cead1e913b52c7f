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

from channels.base import Account, Item, Step, Steps
from router.inputs import AnswerLeg, EndCall, EndLeg, ReceiveCall
from router.model import Identity, Thread

LEG = "naru-"
ROOM = "naru-room-"
RING_LEAST_S = 5
CONTACT_HEADER = "X-Naru-Contact"

Cause = Literal["completed", "busy", "no_answer", "failed", "canceled"]
CAUSES: dict[int, Cause] = {16: "canceled", 17: "busy", 18: "no_answer", 19: "no_answer", 21: "busy", 32: "canceled"}
"""Q.850 causes of a leg that was never answered; any other is a failure."""
NOISE = ("ChannelVarset", "ChannelDialplan", "ChannelConnectedLine", "ChannelCallerId", "DeviceStateChanged", "Dial")
"""Events that say nothing we act on: they are filtered at the exchange."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What an event asks for: an input, and what is done at the exchange when it is granted, or when it is not.

    `asked` inputs wait for the decision. `about` names the channel, whose events keep their order.
    """

    about: str
    item: Item | None = None
    asked: bool = False
    then: tuple[Step, ...] = ()
    refused: tuple[Step, ...] = ()


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
        return _emptied(_object(event, "bridge"))
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
    return Step(method="POST", path=f"{at}/answer", fine=(404, 409, 412)), _music(account, call)


def _music(account: Account, call: str) -> Step:
    query = (("mohClass", account.setting("music", "default")),)
    return Step(method="POST", path=f"channels/{quote(call, safe='')}/moh", query=query)


def _leg_answered(account: Account, event: Mapping[str, Any], leg: str) -> Move:
    words = _words(event)
    contact, side = (words[1], words[2]) if len(words) > 2 and words[0] == "leg" else ("", "")
    body = AnswerLeg(channel=account.channel, key=leg.removeprefix(LEG), leg=leg)
    return Move(
        about=leg,
        item=Item(f"{leg}:answered", body),
        asked=True,
        then=into_room(contact, leg, is_muted=side == "monitor") if contact else (),
        refused=(hang_up(leg),),
    )


def _gone(account: Account, event: Mapping[str, Any], name: str, answered: bool) -> Move:
    if not name.startswith(LEG):
        body = EndCall(channel=account.channel, thread=Thread(external=name, kind="call"))
        return Move(about=name, item=Item(f"{name}:end", body))
    cause = event.get("cause")
    why: Cause = "completed" if answered else CAUSES.get(cause if isinstance(cause, int) else 0, "failed")
    return Move(about=name, item=ended(account, name, why))


def ended(account: Account, leg: str, cause: Cause) -> Item:
    body = EndLeg(channel=account.channel, key=leg.removeprefix(LEG), leg=leg, cause=cause)
    return Item(f"{leg}:end", body)


def _emptied(bridge: Mapping[str, Any]) -> Move | None:
    """A room that everybody has left is taken down; a bridge lives until it is."""
    name = _text(bridge, "id")
    if not name.startswith(ROOM) or bridge.get("channels"):
        return None
    return Move(about=name, then=(Step(method="DELETE", path=f"bridges/{quote(name, safe='')}", fine=(404,)),))


# -- requests


def into_room(contact: str, channel: str, is_muted: bool = False) -> tuple[Step, ...]:
    """Somebody joins a contact's talk. Who listens in is heard by nobody."""
    room = quote(f"{ROOM}{contact}", safe="")
    query = (("channel", channel), *((("mute", "true"),) if is_muted else ()))
    return (
        Step(method="POST", path=f"bridges/{room}", query=(("type", "mixing"),), fine=(409,)),
        Step(method="POST", path=f"bridges/{room}/addChannel", query=query),
    )


def join(account: Account, contact: str, call: str) -> Steps:
    """The caller comes from the music into the room, and the recording goes on, or begins, where one is made."""
    at = f"channels/{quote(call, safe='')}"
    quiet = (
        Step(method="POST", path=f"{at}/answer", fine=(404, 409, 412)),
        Step(method="DELETE", path=f"{at}/moh", fine=(404, 409, 412)),
    )
    return Steps((*quiet, *into_room(contact, call), *_recorded(account, contact)))


def _recorded(account: Account, contact: str) -> tuple[Step, ...]:
    if account.settings.get("record") is not True:
        return ()
    room, name = quote(f"{ROOM}{contact}", safe=""), quote(f"naru-{contact}", safe="")
    query = (("name", f"naru-{contact}"), ("format", "wav"), ("ifExists", "append"))
    return (
        Step(method="DELETE", path=f"recordings/live/{name}/pause", fine=(404, 409)),
        Step(method="POST", path=f"bridges/{room}/record", query=query, fine=(404, 409, 422)),
    )


def hold(account: Account, contact: str, call: str) -> Steps:
    room, name = quote(f"{ROOM}{contact}", safe=""), quote(f"naru-{contact}", safe="")
    paused = Step(method="POST", path=f"recordings/live/{name}/pause", fine=(404, 409))
    out = Step(
        method="POST", path=f"bridges/{room}/removeChannel", query=(("channel", call),), fine=(400, 404, 409, 422)
    )
    pause = (paused,) if account.settings.get("record") is True else ()
    return Steps((out, *pause, _music(account, call)))


def ring(account: Account, key: str, contact: str, side: str, address: str, timeout_s: float) -> Steps:
    """Dial a phone. `agent_endpoint` and `trunk_endpoint` say how: `PJSIP/{address}`, `PJSIP/{address}@trunk`."""
    is_outside = side == "customer" or address.startswith("+")
    form = account.setting("trunk_endpoint" if is_outside else "agent_endpoint", "PJSIP/{address}")
    caller = account.setting("number")
    query = (
        ("endpoint", form.replace("{address}", address)),
        ("app", app(account)),
        ("appArgs", f"leg,{contact},{side}"),
        ("timeout", str(max(RING_LEAST_S, int(timeout_s)))),
        *((("callerId", caller),) if caller else ()),
    )
    leg = f"{LEG}{key}"
    path, told = f"channels/{quote(leg, safe='')}", None if is_outside else _told(account, form, contact)
    return Steps((Step(method="POST", path=path, query=query, body=told, fine=(409,)),), leg)


def _told(account: Account, form: str, contact: str) -> bytes | None:
    """A desk that is a phone is told which contact rings it, or one click could not answer both."""
    if not account.settings.get("webrtc") or not form.startswith("PJSIP/"):
        return None
    return msgspec.json.encode({"variables": {f"PJSIP_HEADER(add,{CONTACT_HEADER})": contact}})


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


def _words(event: Mapping[str, Any]) -> list[str]:
    words = event.get("args")
    return [word[:200] for word in words if isinstance(word, str)] if isinstance(words, list) else []


# -- what is there, after a time of which nobody told


def channels_of(said: Any) -> dict[str, dict[str, Any]]:
    """The exchange's channels by name, from the body of `GET /channels`."""
    try:
        found = msgspec.json.decode(said) if isinstance(said, str | bytes) else said
    except (msgspec.MsgspecError, RecursionError):
        return {}
    listed = found if isinstance(found, list) else []
    return {_text(channel, "id"): channel for channel in listed if isinstance(channel, dict) and _text(channel, "id")}


def is_ours(channel: Mapping[str, Any], application: str) -> bool:
    """Whether a channel is in our application now: its last step in the dialplan was `Stasis(application,…)`."""
    plan = _object(channel, "dialplan")
    words = _text(plan, "app_data").split(",")
    return _text(channel, "id").startswith(LEG) or (_text(plan, "app_name") == "Stasis" and words[0] == application)


def arrival(channel: Mapping[str, Any]) -> dict[str, Any]:
    """The event that was missed: a caller's arrival. A leg of which the engine knows nothing is asked about likewise, and
    hung up when refused."""
    words = _text(_object(channel, "dialplan"), "app_data").split(",")[1:]
    return {"type": "StasisStart", "channel": channel, "args": words}
