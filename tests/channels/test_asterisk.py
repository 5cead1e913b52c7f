"""What Asterisk's events mean, and what we ask of it; whole stories are in `tests/integration/test_asterisk.py`."""

import json
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest

from channels import asterisk, farewells
from channels.asterisk import Move
from channels.base import Account, File, Steps, Unsendable
from channels.providers.asterisk import Asterisk
from router.effects import CancelLeg, CopyFiles, EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.inputs import LeaveLine, ReceiveMessage
from router.model import Elsewhere, Identity, Manner, Thread
from support.channel import account, nobody
from support.exchange import TRACES, trace

OURS = account(
    Asterisk(),
    {
        "url": "http://pbx:8088/ari",
        "number": "15881234",
        "trunk_endpoint": "PJSIP/{address}@trunk",
        "country_code": "82",
    },
)
RING = RingLeg(channel="c", key="offer-1", contact="k1", side="agent", address="1001", timeout_s=20)


def asked(order: Steps) -> list[tuple[str, str, dict[str, str]]]:
    return [(step.method, step.path, dict(step.query)) for step in order.steps]


def test_a_phone_is_rung_under_a_name_of_ours() -> None:
    order = Asterisk().write(OURS, RING, None, 0)
    assert order.external == "naru-offer-1"
    query = {
        "endpoint": "PJSIP/1001",
        "app": "naru",
        "appArgs": "leg,k1,agent",
        "timeout": "20",
        "callerId": "15881234",
    }
    assert asked(order) == [("POST", "channels/naru-offer-1", query)]
    assert order.steps[0].fine == (409,), "ordered twice is ordered once"


def test_a_phone_in_the_desk_is_told_which_contact_rings_it() -> None:
    """And nobody else is: neither a trunk, nor an exchange without such phones, nor what is no SIP channel."""
    webrtc = {**OURS.settings, "webrtc": {"url": "wss://pbx/ws"}}
    mobile = msgspec.structs.replace(RING, address="+821099998888")

    def told(settings: dict[str, Any], ring: RingLeg = RING) -> bytes | None:
        return Asterisk().write(msgspec.structs.replace(OURS, settings=settings), ring, None, 0).steps[0].body

    said = told(webrtc)
    assert said is not None
    assert json.loads(said) == {"variables": {"PJSIP_HEADER(add,X-Naru-Contact)": "k1"}}
    assert told(webrtc, mobile) is None
    assert told({**webrtc, "agent_endpoint": "Local/{address}@desks"}) is None
    assert told(dict(OURS.settings)) is None


def test_customers_are_called_by_the_trunk() -> None:
    outside = RingLeg(channel="c", key="k", contact="k1", side="customer", address="+821012345678", timeout_s=45)
    assert asked(Asterisk().write(OURS, outside, None, 0))[0][2]["endpoint"] == "PJSIP/+821012345678@trunk"
    mobile = RingLeg(channel="c", key="k", contact="k1", side="agent", address="+821099998888", timeout_s=45)
    assert asked(Asterisk().write(OURS, mobile, None, 0))[0][2]["endpoint"] == "PJSIP/+821099998888@trunk"
    with pytest.raises(Unsendable):
        Asterisk().write(
            OURS, RingLeg(channel="c", key="k", contact="k1", side="agent", address="", timeout_s=9), None, 0
        )


def test_a_customers_phone_is_listened_to_where_the_dialplan_can() -> None:
    ours = account(Asterisk(), {"amd_context": "naru-amd", "number": "15881234"})
    customer = RingLeg(channel="c", key="k", contact="k1", side="customer", address="+8210", timeout_s=45)
    dial, told = Asterisk().write(ours, customer, None, 0).steps
    query = {"endpoint": "PJSIP/+8210", "timeout": "45", "callerId": "15881234"}
    assert dict(dial.query) == {**query, "context": "naru-amd", "extension": "s", "priority": "1"}
    assert (dial.body, dial.fine) == (b'{"variables":{"ROOM_CONTACT":"k1","ROOM_SIDE":"customer"}}', (409,))
    assert (told.path, told.query) == ("applications/naru/subscription", (("eventSource", "channel:naru-k"),))
    assert told.fine == (), "a phone of whose end nobody would tell has not been dialled"
    assert len(Asterisk().write(ours, RING, None, 0).steps) == 1, "an agent's phone is not"


@pytest.mark.parametrize(
    ("said", "by"),
    [("HUMAN", "human"), ("MACHINE", "machine"), ("NOTSURE", "unknown"), ("HANGUP", None), ("", None), (None, None)],
)
def test_who_picked_up_in_the_words_of_the_core(said: str | None, by: str | None) -> None:
    args = ["leg", "k1", "customer", *([said] if said is not None else [])]
    move = asterisk.meaning(OURS, {"type": "StasisStart", "args": args, "channel": {"id": "naru-x", "state": "Up"}})
    assert move is not None and move.item is not None
    assert move.item.body.answered_by == by  # type: ignore[union-attr]
    assert move.then, "whoever it is comes into the room"


def test_the_caller_comes_into_the_room_and_out_of_it() -> None:
    joined = asked(Asterisk().write(OURS, JoinCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [path for _, path, _ in joined] == [
        "playbacks/naru-say-17.5",
        "channels/17.5/answer",
        "channels/17.5/moh",
        "bridges/naru-room-k1",
        "bridges/naru-room-k1/addChannel",
    ]
    held = asked(Asterisk().write(OURS, HoldCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [path for _, path, _ in held] == ["bridges/naru-room-k1/removeChannel", "channels/17.5/moh"]


def test_what_is_said_to_a_caller_ends_when_he_is_moved_where_anything_is_said() -> None:
    silent = account(Asterisk(), {"announce_every_s": 0})
    effect = JoinCaller(channel="c", contact="k1", call="17.5")
    assert asked(Asterisk().write(silent, effect, None, 0))[0][1] == "channels/17.5/answer"
    for order in (Asterisk().write(OURS, effect, None, 0), asterisk.hold(OURS, "k1", "17.5")):
        assert order.caller == "17.5"


def test_a_place_is_said_with_the_exchanges_own_sounds_or_the_owners() -> None:
    assert asterisk.place_said(OURS, 1) == ("sound:queue-youarenext",)
    assert asterisk.place_said(OURS, 12) == ("sound:queue-thereare", "number:12", "sound:queue-callswaiting")
    own = account(
        Asterisk(), {"announce": ["sound:custom/place", "digits:{position}"], "announce_first": ["tone:beep"]}
    )
    assert asterisk.place_said(own, 12) == ("sound:custom/place", "digits:12")
    assert asterisk.place_said(own, 1) == ("tone:beep",)
    step = asterisk.play("17.5", "naru-say-17.5", ("sound:a", "number:12"), "ko")
    assert (step.method, step.path) == ("POST", "channels/17.5/play/naru-say-17.5")
    assert step.query == (("media", "sound:a,number:12"), ("lang", "ko"))


@pytest.mark.parametrize(
    ("settings", "every_s"),
    [
        ({}, 30),
        ({"announce_every_s": 45}, 45),
        ({"announce_every_s": 0}, 0),
        ({"announce_every_s": "x"}, 30),
        ({"announce_every_s": True}, 30),
        ({"waiting": "ring", "announce_every_s": 45}, 0),
    ],
)
def test_how_often_the_place_is_said(settings: dict[str, Any], every_s: float) -> None:
    assert asterisk.announce_every_s(account(Asterisk(), settings)) == every_s


KEYS = {"1": {"attributes": {"intent": "order"}}}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, None),
        ({"menu": {"play": "sound:custom/hello", "keys": KEYS}, "announce_every_s": 20}, None),
        ({"menu": {"play": {"ko": "sound:ko/hello", "en": "sound:en/hello"}, "keys": KEYS}}, None),
        ({"menu": {"say": {"ko": "x"}, "keys": KEYS}}, "settings.menu: an exchange has no voice"),
        ({"menu": {"play": "hello.wav", "keys": KEYS}}, "settings.menu: `play` takes one sound (sound:"),
        ({"menu": {"play": "sound:a,sound:b", "keys": KEYS}}, "settings.menu: `play` takes one sound"),
        ({"menu": {"play": "sound:a", "keys": {"12": {}}}}, "settings.menu.keys: '12' is no key"),
        ({"menu": {"play": "sound:a", "keys": KEYS}, "waiting": "ring"}, "settings.menu: a menu answers the call"),
        ({"announce_every_s": 1}, "settings.announce_every_s: 10 to 600 seconds"),
        ({"announce_every_s": float("nan")}, "settings.announce_every_s: 10 to 600 seconds"),
        ({"announce_every_s": "often"}, "settings.announce_every_s: 10 to 600 seconds"),
        ({"announce": "sound:a"}, "settings.announce: a list of"),
        ({"announce": ["hello"]}, "settings.announce: a list of"),
        ({"announce_first": ["sound:a"] * 11}, "settings.announce_first: a list of"),
    ],
)
def test_settings_that_cannot_be_heard_are_told_to_the_owner(settings: dict[str, Any], fault: str | None) -> None:
    found = Asterisk().settings_fault(settings)
    assert found is None if fault is None else found is not None and found.startswith(fault), found


def test_keys_and_ends_of_sounds_are_read_whatever_an_exchange_says() -> None:
    key = {"type": "ChannelDtmfReceived", "digit": "5", "duration_ms": 100, "channel": {"id": "17.5"}}
    assert asterisk.key_of(key) == ("17.5", "5")
    ended = {"type": "PlaybackFinished", "playback": {"id": "naru-say-17.5", "target_uri": "channel:17.5"}}
    assert asterisk.sound_of(ended) == ("17.5", "naru-say-17.5")
    for nonsense in ({}, {"digit": 5, "channel": []}, {"digit": "55", "playback": "x"}, {"digit": "A", "channel": {}}):
        assert asterisk.key_of(nonsense) == ("", "")
        assert asterisk.sound_of(nonsense) == ("", "")


def test_a_recording_pauses_while_held() -> None:
    recorded = account(Asterisk(), {"record": True})
    joined = asked(Asterisk().write(recorded, JoinCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [(m, p) for m, p, _ in joined][-2:] == [
        ("DELETE", "recordings/live/naru-k1/pause"),
        ("POST", "bridges/naru-room-k1/record"),
    ]
    held = asked(Asterisk().write(recorded, HoldCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert ("POST", "recordings/live/naru-k1/pause") in [(method, path) for method, path, _ in held]


def test_what_cannot_be_recorded_is_talked_about_all_the_same() -> None:
    """A real exchange whose folder of recordings is not there answers 500. A join that fails ends the call."""
    recorded = account(Asterisk(), {"record": True})
    joined = Asterisk().write(recorded, JoinCaller(channel="c", contact="k1", call="17.5"), None, 0)
    held = Asterisk().write(recorded, HoldCaller(channel="c", contact="k1", call="17.5"), None, 0)
    of_recordings = [step for order in (joined, held) for step in order.steps if "record" in step.path]
    assert len(of_recordings) == 3
    assert all(500 in step.fine for step in of_recordings)


def test_a_customer_who_is_called_is_recorded_from_the_start() -> None:
    """He is never joined by an effect: he comes into the room by picking up."""
    recorded = account(Asterisk(), {"record": True})
    for side, records in (("customer", True), ("agent", False), ("monitor", False)):
        start = {"type": "StasisStart", "args": ["leg", "k1", side], "channel": {"id": "naru-x", "state": "Up"}}
        move = asterisk.meaning(recorded, start)
        assert move is not None
        assert ("bridges/naru-room-k1/record" in [step.path for step in move.then]) == records, side


def test_a_customer_who_is_rung_first_hears_music_and_comes_into_the_room_as_a_caller_does() -> None:
    ours = account(Asterisk(), {"record": True})
    first = RingLeg(channel="c", key="k", contact="k1", side="first", address="01012345678", timeout_s=45)
    dialled = dict(Asterisk().write(ours, first, None, 0).steps[0].query)
    assert (dialled["endpoint"], dialled["appArgs"]) == ("PJSIP/01012345678", "leg,k1,first")
    start = {"type": "StasisStart", "args": ["leg", "k1", "first"], "channel": {"id": "naru-k", "state": "Up"}}
    move = asterisk.meaning(ours, start)
    assert move is not None and [step.path for step in move.then] == ["channels/naru-k/moh"]


def test_hanging_up_what_is_gone_is_fine() -> None:
    for effect in (CancelLeg(channel="c", leg="naru-x"), EndCaller(channel="c", call="naru-x")):
        order = Asterisk().write(OURS, effect, None, 0)
        assert (order.steps[0].method, order.steps[0].path, order.steps[0].fine) == (
            "DELETE",
            "channels/naru-x",
            (404,),
        )
    with pytest.raises(Unsendable):
        copy = CopyFiles(channel="c", conversation="v", thread=Thread(external="x"), message="m")
        Asterisk().write(OURS, copy, None, 0)


def test_who_listens_in_is_heard_by_nobody() -> None:
    start = {"type": "StasisStart", "args": ["leg", "k1", "monitor"], "channel": {"id": "naru-m", "state": "Up"}}
    move = asterisk.meaning(OURS, start)
    assert move is not None
    assert ("mute", "true") in move.then[-1].query
    assert move.refused[0].method == "DELETE"


@pytest.mark.parametrize(
    ("number", "is_"),
    [
        ("01012345678", "+821012345678"),
        ("0212345678", "+82212345678"),
        ("00441234567", "+441234567"),
        ("+821012345678", "+821012345678"),
        ("1001", "1001"),
        ("", ""),
        ("anonymous", "anonymous"),
    ],
)
def test_callers_numbers_are_the_same_on_every_trunk(number: str, is_: str) -> None:
    assert asterisk.e164(number, "82") == is_


@pytest.mark.parametrize(
    ("cause", "means"),
    [
        (17, "busy"),
        (19, "no_answer"),
        (16, "canceled"),
        (34, "failed"),
        (None, "failed"),
        ("x", "failed"),
        (0, "failed"),
    ],
)
def test_causes(cause: object, means: str) -> None:
    event = {"type": "ChannelDestroyed", "cause": cause, "channel": {"id": "naru-x", "state": "Ringing"}}
    move = asterisk.meaning(OURS, event)
    assert move is not None
    assert move.item is not None
    assert move.item.body.cause == means  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [t for t in sorted(path.stem for path in TRACES.glob("*.jsonl")) if "full" not in t])
def test_every_channel_of_every_trace_ends(name: str) -> None:
    """Whatever was recorded: each caller who arrives is an arrival, each of them ends, and nothing is told twice as new."""
    arrived: set[str] = set()
    ended: set[str] = set()
    for line in trace(name):
        if "event" not in line or "channel" not in line["event"]:
            continue
        move = asterisk.meaning(OURS, line["event"])
        if move is None or move.item is None:
            continue
        if line["event"]["type"] == "StasisStart" and line["event"].get("args", [""])[0] != "agent":
            assert move.about not in arrived
            arrived.add(move.about)
        elif line["event"]["type"] in ("StasisEnd", "ChannelDestroyed"):
            ended.add(move.about)
    assert arrived <= ended or name == "wsdrop", arrived - ended


@pytest.mark.parametrize("name", ["full-queue-hold-transfer-1", "full-queue-hold-transfer-2"])
def test_long_recordings_are_read_to_their_end(name: str) -> None:
    """Queue, hold, conference, transfer, recording, answering machines: every event means something or nothing."""
    moves = [asterisk.meaning(OURS, line["event"]) for line in trace(name) if "event" in line]
    assert sum(move is not None for move in moves) > 5


def test_arrivals_that_nobody_told_are_found() -> None:
    said = json.dumps(
        [
            {"id": "1.1", "dialplan": {"app_name": "Stasis", "app_data": "naru,inbound,1588"}},
            {"id": "1.2", "dialplan": {"app_name": "Stasis", "app_data": "other,inbound,1588"}},
            {"id": "naru-x", "dialplan": {"app_name": "AppDial2", "app_data": "(Outgoing Line)"}},
            {"id": 7},
            "x",
        ]
    )
    there = asterisk.by_id(said)
    assert sorted(there) == ["1.1", "1.2", "naru-x"]
    assert [name for name, channel in there.items() if asterisk.is_ours(channel, "naru")] == ["1.1"], (
        "a leg that still rings tells us itself"
    )
    event = asterisk.arrival(there["1.1"])
    move = asterisk.meaning(OURS, event)
    assert move is not None
    assert move.item is not None
    assert move.item.body.to == "1588"  # type: ignore[union-attr]
    for nothing in (None, "", "{}", "[", 7, b"\xff"):
        assert asterisk.by_id(nothing) == {}
    assert nobody("1.1") is None


# -- who leaves the line

CALL = "1700000000.12"
CALLER = Identity(scope="e164", kind="phone", value="+821011112222")


def meant(account_: Account, event: dict[str, object]) -> Move:
    move = asterisk.meaning(account_, event)
    assert move is not None
    return move


def said(say: str) -> str:
    """The name of the playback with which a line ends."""
    caller = CALLER if say == "voicemail" else None
    order = Asterisk().write(OURS, EndCaller(channel="c", call=CALL, say=say, caller=caller), None, 0)  # type: ignore[arg-type]
    *_, (method, path, query) = asked(order)
    assert (method, query["media"]) == ("POST", farewells.SOUNDS[say])
    return unquote(path.rpartition("/play/")[2])


@pytest.mark.parametrize("say", ["closed", "after_hours", "overflowed", "callback"])
def test_a_line_is_cut_when_the_words_for_it_have_been_heard(say: str) -> None:
    move = meant(OURS, {"type": "PlaybackFinished", "playback": {"id": said(say), "target_uri": f"channel:{CALL}"}})
    assert (move.about, move.item) == (CALL, None)
    assert [(step.method, step.path) for step in move.then] == [("DELETE", f"channels/{CALL}")]


def test_a_message_is_recorded_after_its_words_and_becomes_a_task() -> None:
    move = meant(OURS, {"type": "PlaybackFinished", "playback": {"id": said("voicemail")}})
    (step,) = move.then
    query = dict(step.query)
    assert (step.path, query["beep"], query["maxDurationSeconds"]) == (f"channels/{CALL}/record", "true", "180")
    assert [step.method for step in move.broken] == ["DELETE"], "a caller whom nobody records is not kept on the line"
    finished = {"name": query["name"], "state": "done", "duration": 6, "format": "wav"}
    move = meant(OURS, {"type": "RecordingFinished", "recording": finished})
    assert move.item is not None and isinstance(move.item.body, ReceiveMessage) and move.item.content is not None
    assert (move.item.body.thread, move.item.body.identity.value) == (
        Thread(external=CALL, kind="voicemail"),
        CALLER.value,
    )
    (part,) = move.item.content.parts
    assert isinstance(part, Elsewhere)
    fetch = Asterisk().fetch(OURS, part.ref)
    assert fetch.url == f"http://pbx:8088/ari/recordings/stored/{quote(query['name'], safe='')}/file"
    assert Asterisk().fetched(OURS, part.ref, 200, "audio/x-wav", b"RIFF") == File("", "audio/wav", b"RIFF")


@pytest.mark.parametrize("recording", [{"duration": 0}, {"state": "failed", "duration": 3}, {}, {"duration": "long"}])
def test_only_the_tone_is_no_message(recording: dict[str, object]) -> None:
    name = f"naru-left-voicemail-+8210-{CALL}"
    move = meant(OURS, {"type": "RecordingFinished", "recording": {"name": name, **recording}})
    assert move.item is None and move.then[0].method == "DELETE"


@pytest.mark.parametrize("name", ["naru-k1", "theirs", "naru-left-", "naru-left-voicemail-+8210", "naru-said-x"])
def test_recordings_and_sounds_of_others_concern_nobody(name: str) -> None:
    assert asterisk.meaning(OURS, {"type": "RecordingFinished", "recording": {"name": name, "duration": 5}}) is None
    assert asterisk.meaning(OURS, {"type": "PlaybackFinished", "playback": {"id": name}}) is None


def test_a_waiting_callers_key_is_asked_of_the_engine() -> None:
    ours = account(Asterisk(), {**OURS.settings, "keys": {"1": "callback"}})
    event = {"type": "ChannelDtmfReceived", "digit": "1", "channel": {"id": CALL}}
    move = meant(ours, event)
    assert move.asked and move.item is not None
    assert move.item.body == LeaveLine(channel="c", call=CALL, to="callback")
    assert asterisk.meaning(ours, {**event, "digit": "2"}) is None
    assert asterisk.meaning(OURS, event) is None
    assert asterisk.meaning(ours, {**event, "channel": {"id": "naru-leg"}}) is None, "an agent's keys are no caller's"


# -- supervisors who speak


def heard(manner: Manner, owner_leg: str = "naru-o") -> Steps:
    effect = SetManner(channel="c", contact="k1", leg="naru-s", manner=manner, owner_leg=owner_leg)
    return Asterisk().write(OURS, effect, None, 0)


def test_a_whisper_goes_from_the_supervisors_leg_to_the_owners_ear() -> None:
    steps = asked(heard("whisper"))
    assert steps == [
        ("GET", "asterisk/modules/func_volume.so", {}),
        ("POST", "channels/naru-s/variable", {"variable": "VOLUME(RX)", "value": "-32767"}),
        ("POST", "bridges/naru-room-k1", {"type": "mixing"}),
        ("POST", "bridges/naru-room-k1/addChannel", {"channel": "naru-s"}),
        ("DELETE", "channels/whisper-s.o.from", {"reason": "normal"}),
        ("POST", "channels/naru-s/snoop/whisper-s.o.from", {"spy": "in", "app": "naru", "appArgs": "whisper"}),
        ("POST", "channels/naru-o/snoop/whisper-s.o.to", {"whisper": "out", "app": "naru", "appArgs": "whisper"}),
    ]
    assert heard("whisper").steps[0].fine == (), "without the module nobody is let into the room unmuted"


def test_whoever_barges_in_is_heard_and_whoever_listens_is_not_and_neither_whispers() -> None:
    room = [("POST", "bridges/naru-room-k1", {"type": "mixing"})]
    over = ("DELETE", "channels/whisper-s.o.from", {"reason": "normal"})
    into = ("POST", "bridges/naru-room-k1/addChannel")
    aloud = ("POST", "channels/naru-s/variable", {"variable": "VOLUME(RX)", "value": "0"})
    assert asked(heard("barge")) == [*room, (*into, {"channel": "naru-s"}), aloud, over]
    assert asked(heard("listen")) == [*room, (*into, {"channel": "naru-s", "mute": "true"}), over]


def asks(event: dict[str, Any]) -> list[tuple[str, str]]:
    move = asterisk.meaning(OURS, event)
    assert move is None or (move.item is None and not move.asked)
    return [(step.method, step.path) for step in move.then] if move is not None else []


def test_the_ends_of_a_whisper_are_bridged_and_are_neither_callers_nor_legs() -> None:
    for end in ("whisper-s.o.from", "whisper-s.o.to"):
        channel = {"id": end, "state": "Up", "dialplan": {"app_name": "Stasis", "app_data": "naru,whisper"}}
        assert asks({"type": "StasisStart", "args": ["whisper"], "channel": channel}) == [
            ("POST", "bridges/whisper-s.o"),
            ("POST", "bridges/whisper-s.o/addChannel"),
        ]
        for kind in ("StasisEnd", "ChannelDestroyed", "ChannelHangupRequest"):
            assert asks({"type": kind, "channel": channel}) == []
        assert not asterisk.is_ours(channel, "naru")


def test_an_end_that_is_left_alone_is_hung_up_and_then_the_bridge_is_taken_down() -> None:
    left: dict[str, Any] = {
        "type": "ChannelLeftBridge",
        "bridge": {"id": "whisper-s.o", "channels": ["whisper-s.o.to"]},
    }
    assert asks(left) == [("DELETE", "channels/whisper-s.o.to")]
    assert asks({**left, "bridge": {"id": "whisper-s.o", "channels": []}}) == [("DELETE", "bridges/whisper-s.o")]
    assert asks({**left, "bridge": {"id": "naru-room-k1", "channels": ["naru-o"]}}) == []


@pytest.mark.parametrize(
    ("ends", "bridged", "then"),
    [
        (("from", "to"), {"whisper-s.o": ["from", "to"]}, []),
        (("from", "to"), {}, ["POST bridges/whisper-s.o/addChannel"] * 2),
        (("from", "to"), {"whisper-s.o": ["from"]}, ["POST bridges/whisper-s.o/addChannel"]),
        (("to",), {"whisper-s.o": ["to"]}, ["DELETE channels/whisper-s.o.to"]),
        (("from",), {}, ["DELETE channels/whisper-s.o.from"]),
        ((), {"whisper-s.o": []}, ["DELETE bridges/whisper-s.o"]),
        ((), {"naru-room-k1": [], "another": []}, []),
    ],
)
def test_what_became_of_whispers_while_nobody_told_is_made_good(
    ends: tuple[str, ...], bridged: dict[str, list[str]], then: list[str]
) -> None:
    there = asterisk.by_id([{"id": "naru-s"}, *({"id": f"whisper-s.o.{end}"} for end in ends)])
    names = ({"id": name, "channels": [f"whisper-s.o.{end}" for end in inside]} for name, inside in bridged.items())
    missed = asterisk.whispers(there, asterisk.by_id([*names, {"id": "whisper-odd", "channels": 7}, 7]))
    done = [f"{method} {path}" for event in missed for method, path in asks(event)]
    assert [each for each in done if "odd" not in each and each != "POST bridges/whisper-s.o"] == then


def test_a_leg_of_another_channel_at_the_same_exchange_is_none_of_ours() -> None:
    """Two channels, two applications, one exchange: on its return each asked about the other's legs, and hung them up."""
    leg = {"id": "naru-o1", "state": "Up", "dialplan": {"app_name": "Stasis", "app_data": "naru,leg,k1,agent"}}
    assert asterisk.is_ours(leg, "naru") and not asterisk.is_ours(leg, "menu")
    rings = {"id": "naru-o1", "state": "Ringing", "dialplan": {"app_name": "AppDial2", "app_data": "(Outgoing Line)"}}
    assert not asterisk.is_ours(rings, "naru")
