"""What Asterisk's events mean, and what we ask of it; whole stories are in `tests/integration/test_asterisk.py`."""

import json
from typing import Any

import pytest

from channels import asterisk
from channels.base import Steps, Unsendable
from channels.providers.asterisk import Asterisk
from router.effects import CancelLeg, CopyFiles, EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.model import Manner, Thread
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


def test_customers_are_called_by_the_trunk() -> None:
    outside = RingLeg(channel="c", key="k", contact="k1", side="customer", address="+821012345678", timeout_s=45)
    assert asked(Asterisk().write(OURS, outside, None, 0))[0][2]["endpoint"] == "PJSIP/+821012345678@trunk"
    mobile = RingLeg(channel="c", key="k", contact="k1", side="agent", address="+821099998888", timeout_s=45)
    assert asked(Asterisk().write(OURS, mobile, None, 0))[0][2]["endpoint"] == "PJSIP/+821099998888@trunk"
    with pytest.raises(Unsendable):
        Asterisk().write(
            OURS, RingLeg(channel="c", key="k", contact="k1", side="agent", address="", timeout_s=9), None, 0
        )


def test_the_caller_comes_into_the_room_and_out_of_it() -> None:
    joined = asked(Asterisk().write(OURS, JoinCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [path for _, path, _ in joined] == [
        "channels/17.5/answer",
        "channels/17.5/moh",
        "bridges/naru-room-k1",
        "bridges/naru-room-k1/addChannel",
    ]
    held = asked(Asterisk().write(OURS, HoldCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [path for _, path, _ in held] == ["bridges/naru-room-k1/removeChannel", "channels/17.5/moh"]


def test_a_recording_pauses_while_held() -> None:
    recorded = account(Asterisk(), {"record": True})
    joined = asked(Asterisk().write(recorded, JoinCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert [(m, p) for m, p, _ in joined][-2:] == [
        ("DELETE", "recordings/live/naru-k1/pause"),
        ("POST", "bridges/naru-room-k1/record"),
    ]
    held = asked(Asterisk().write(recorded, HoldCaller(channel="c", contact="k1", call="17.5"), None, 0))
    assert ("POST", "recordings/live/naru-k1/pause") in [(method, path) for method, path, _ in held]


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
    assert [name for name, channel in there.items() if asterisk.is_ours(channel, "naru")] == ["1.1", "naru-x"]
    event = asterisk.arrival(there["1.1"])
    move = asterisk.meaning(OURS, event)
    assert move is not None
    assert move.item is not None
    assert move.item.body.to == "1588"  # type: ignore[union-attr]
    for nothing in (None, "", "{}", "[", 7, b"\xff"):
        assert asterisk.by_id(nothing) == {}
    assert nobody("1.1") is None


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


def meant(event: dict[str, Any]) -> list[tuple[str, str]]:
    move = asterisk.meaning(OURS, event)
    assert move is None or (move.item is None and not move.asked)
    return [(step.method, step.path) for step in move.then] if move is not None else []


def test_the_ends_of_a_whisper_are_bridged_and_are_neither_callers_nor_legs() -> None:
    for end in ("whisper-s.o.from", "whisper-s.o.to"):
        channel = {"id": end, "state": "Up", "dialplan": {"app_name": "Stasis", "app_data": "naru,whisper"}}
        assert meant({"type": "StasisStart", "args": ["whisper"], "channel": channel}) == [
            ("POST", "bridges/whisper-s.o"),
            ("POST", "bridges/whisper-s.o/addChannel"),
        ]
        for kind in ("StasisEnd", "ChannelDestroyed", "ChannelHangupRequest"):
            assert meant({"type": kind, "channel": channel}) == []
        assert not asterisk.is_ours(channel, "naru")


def test_an_end_that_is_left_alone_is_hung_up_and_then_the_bridge_is_taken_down() -> None:
    left: dict[str, Any] = {
        "type": "ChannelLeftBridge",
        "bridge": {"id": "whisper-s.o", "channels": ["whisper-s.o.to"]},
    }
    assert meant(left) == [("DELETE", "channels/whisper-s.o.to")]
    assert meant({**left, "bridge": {"id": "whisper-s.o", "channels": []}}) == [("DELETE", "bridges/whisper-s.o")]
    assert meant({**left, "bridge": {"id": "naru-room-k1", "channels": ["naru-o"]}}) == []


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
    done = [f"{method} {path}" for event in missed for method, path in meant(event)]
    assert [each for each in done if "odd" not in each and each != "POST bridges/whisper-s.o"] == then
