"""What Asterisk's events mean, and what we ask of it; whole stories are in `tests/integration/test_asterisk.py`."""

import json
from typing import Any

import msgspec
import pytest

from channels import asterisk
from channels.base import Steps, Unsendable
from channels.providers.asterisk import Asterisk
from router.effects import CancelLeg, CopyFiles, EndCaller, HoldCaller, JoinCaller, RingLeg
from router.model import Thread
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
    there = asterisk.channels_of(said)
    assert sorted(there) == ["1.1", "1.2", "naru-x"]
    assert [name for name, channel in there.items() if asterisk.is_ours(channel, "naru")] == ["1.1", "naru-x"]
    event = asterisk.arrival(there["1.1"])
    move = asterisk.meaning(OURS, event)
    assert move is not None
    assert move.item is not None
    assert move.item.body.to == "1588"  # type: ignore[union-attr]
    for nothing in (None, "", "{}", "[", 7, b"\xff"):
        assert asterisk.channels_of(nothing) == {}
    assert nobody("1.1") is None
