"""What callers at an exchange hear until an agent answers: every step by step, with a clock and an exchange of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels import asterisk, callers
from channels.asterisk import Move
from channels.base import CallView, Line, Order, Result, Step, Steps
from channels.callers import KEYS_AHEAD, Callers
from channels.providers.asterisk import Asterisk
from router.inputs import EndCall
from support.channel import account

MENU = {
    "play": {"ko": "sound:ko/hello", "en": "sound:en/hello"},
    "keys": {
        "1": {"attributes": {"intent": "order"}},
        "2": {"language": "en", "menu": {"play": "sound:second", "keys": {"1": {"attributes": {"intent": "now"}}}}},
    },
    "timeout_s": 1,
    "tries": 2,
}
CALL = "17.5"


class Pbx:
    """An exchange that notes what it is asked, and the connection's lanes; `answers` are results of requests by path."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.now = 1000.0
        self.asked: list[tuple[str, str, str]] = []
        self.put: list[Move] = []
        self.is_full = False
        self.answers: dict[str, Result] = {}
        self.views: dict[str, CallView] = {}
        self.account = account(Asterisk(), settings)
        self.ticks: asyncio.Queue[None] = asyncio.Queue()
        self.deaf = asyncio.Event()
        line = Line(
            take=self._never,
            ask=self._never,
            comments=self._never,
            look=lambda call: self.views.get(call),
            cursor=self._never,
            move_cursor=self._never,
            clock=lambda: self.now,
            sleep=self._sleep,
        )
        self.callers = Callers(self.account, line, self._send, self._put)

    async def _never(self, *_: Any) -> Any:
        raise AssertionError("nobody should ask for this")

    async def _sleep(self, seconds: float) -> None:
        if seconds == callers.TICK_S:
            await self.ticks.get()
        elif seconds == callers.DEAF_S:
            await self.deaf.wait()
        else:
            await asyncio.sleep(0)

    async def _send(self, order: Order) -> Result:
        assert isinstance(order, Steps)
        if order.caller is not None:
            self.callers.moved(order.caller)
        for step in order.steps:
            self.asked.append((step.method, step.path, dict(step.query).get("media", "")))
            await asyncio.sleep(0)
            if step.path in self.answers:
                return self.answers[step.path]
        return Result("accepted")

    def _put(self, move: Move) -> bool:
        if not self.is_full:
            self.put.append(move)
        return not self.is_full

    # -- what happens

    def rings(self, call: str = CALL) -> bool:
        event = {"type": "StasisStart", "args": ["inbound", "1588"], "channel": {"id": call, "state": "Ring"}}
        move = asterisk.meaning(self.account, event)
        assert move is not None
        return self.callers.keeps(move)

    def hangs_up(self, call: str = CALL) -> bool:
        move = asterisk.meaning(self.account, {"type": "StasisEnd", "channel": {"id": call}})
        assert move is not None and move.item is not None and isinstance(move.item.body, EndCall)
        return self.callers.keeps(move)

    async def press(self, key: Any, call: str = CALL) -> None:
        is_choosing = call in self.callers._choosing
        event = {"type": "ChannelDtmfReceived", "digit": key, "channel": {"id": call}}
        assert self.callers.hears(event) == is_choosing, "the key of anybody else means what it means elsewhere"
        await settle()

    async def ends(self, name: str, call: str = CALL) -> None:
        playback = {"id": name, "target_uri": f"channel:{call}", "state": "done"}
        event = {"type": "PlaybackFinished", "playback": playback}
        assert self.callers.hears(event) == name.startswith(asterisk.SAID), "the end of another sound is another's"
        await settle()

    async def tick(self, seconds: float = 1) -> None:
        self.now += seconds
        self.ticks.put_nowait(None)
        await settle()

    async def until_put(self) -> Any:
        async with asyncio.timeout(10):
            while not self.put:
                await asyncio.sleep(0.01)
        assert self.put[0].item is not None
        return self.put[0].item.body

    def played(self) -> list[str]:
        return [media for method, path, media in self.asked if method == "POST" and "/play/" in path]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def pbx(request: pytest.FixtureRequest) -> AsyncIterator[Pbx]:
    made = Pbx(getattr(request, "param", {"menu": MENU, "language": "ko"}))
    announcing = asyncio.create_task(made.callers.announce())
    await settle()
    yield made
    announcing.cancel()
    await asyncio.gather(announcing, return_exceptions=True)
    await made.callers.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_key_ends_what_is_played_and_the_call_is_queued_with_it(pbx: Pbx) -> None:
    assert pbx.rings(), "the engine hears of him when he has chosen"
    await settle()
    assert pbx.asked == [
        ("POST", f"channels/{CALL}/answer", ""),
        ("POST", f"channels/{CALL}/play/naru-say-1-{CALL}", "sound:ko/hello"),
    ]
    await pbx.press("1")
    assert pbx.asked[-1] == ("DELETE", f"playbacks/naru-say-1-{CALL}", "")
    body = await pbx.until_put()
    assert (body.attributes, body.language, body.to) == ({"intent": "order"}, "ko", "1588")


async def test_a_key_pressed_twice_does_not_mean_something_else_in_line(pbx: Pbx) -> None:
    """Whoever waits may have keys of his own, as that which gives up the place for a callback."""
    pbx.rings()
    await pbx.press("1")
    await pbx.until_put()
    again = {"type": "ChannelDtmfReceived", "digit": "1", "channel": {"id": CALL}}
    assert pbx.callers.hears(again)
    assert not pbx.hangs_up(), "but the engine is told when he goes"
    assert not pbx.callers.hears(again)


async def test_after_a_moment_in_line_a_key_means_what_it_means_there(pbx: Pbx) -> None:
    pbx.rings()
    await pbx.press("1")
    await pbx.until_put()
    pbx.deaf.set()
    await settle()
    assert pbx.callers._choosing == {}
    assert len(pbx.put) == 1


async def test_where_a_language_is_chosen_all_of_them_are_played_in_turn(pbx: Pbx) -> None:
    pbx.rings()
    await settle()
    await pbx.ends("naru-say-of-somebody-else")
    await pbx.ends(f"naru-last-closed--{CALL}")
    assert pbx.played() == ["sound:ko/hello"]
    await pbx.ends(f"naru-say-1-{CALL}")
    assert pbx.played() == ["sound:ko/hello", "sound:en/hello"]
    await pbx.press("2")
    await pbx.press("1")
    body = await pbx.until_put()
    assert (body.attributes, body.language) == ({"intent": "now"}, "en")


async def test_keys_that_are_pressed_ahead_are_not_made_to_wait(pbx: Pbx) -> None:
    pbx.rings()
    for key in ("2", "1"):
        pbx.callers.hears({"type": "ChannelDtmfReceived", "digit": key, "channel": {"id": CALL}})
    assert (await pbx.until_put()).attributes == {"intent": "now"}
    assert pbx.played() == []


async def test_nothing_pressed_is_played_again_and_then_queued(pbx: Pbx) -> None:
    pbx.rings()
    for number in range(1, 5):
        async with asyncio.timeout(5):
            while len(pbx.played()) < number:
                await asyncio.sleep(0.01)
        await pbx.ends(f"naru-say-{number}-{CALL}")
    assert (await pbx.until_put()).attributes == {}
    assert pbx.played() == ["sound:ko/hello", "sound:en/hello"] * 2


async def test_a_wrong_key_is_no_answer(pbx: Pbx) -> None:
    pbx.rings()
    await settle()
    for nonsense in ("A", "", None, 7, "99"):
        await pbx.press(nonsense)
    assert len(pbx.played()) == 1, "what is no key of a telephone is not heard"
    await pbx.press("7")
    assert pbx.played() == ["sound:ko/hello", "sound:ko/hello"]
    await pbx.press("#")
    assert (await pbx.until_put()).attributes == {}


async def test_who_hangs_up_in_the_menu_was_never_there(pbx: Pbx) -> None:
    pbx.rings()
    await settle()
    assert pbx.hangs_up(), "the engine need not hear of it"
    await settle()
    await pbx.press("1")
    assert pbx.put == []
    assert (pbx.callers._choosing, pbx.callers._due) == ({}, {})
    assert not pbx.hangs_up(), "what is not in the menu is the engine's"


async def test_an_arrival_that_is_told_twice_is_one_menu(pbx: Pbx) -> None:
    assert pbx.rings() and pbx.rings()
    await settle()
    assert len(pbx.played()) == 1


async def test_a_sound_that_the_exchange_has_not_loses_nobody(pbx: Pbx) -> None:
    for number in range(1, 9):
        pbx.answers[f"channels/{CALL}/play/naru-say-{number}-{CALL}"] = Result("rejected", detail="no such sound")
    pbx.rings()
    await settle()
    await pbx.press("1")
    assert (await pbx.until_put()).attributes == {"intent": "order"}


async def test_when_the_lanes_are_full_the_choice_waits(pbx: Pbx) -> None:
    pbx.is_full = True
    pbx.rings()
    await pbx.press("1")
    assert CALL in pbx.callers._choosing
    pbx.is_full = False
    assert (await pbx.until_put()).attributes == {"intent": "order"}


async def test_whatever_nobody_foresaw_in_a_menu_its_caller_is_queued(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("channels.menus.after", breaks)
    pbx.rings()
    await pbx.press("1")
    assert (await pbx.until_put()).attributes == {}


async def test_who_comes_when_too_many_are_choosing_is_queued_at_once(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.callers.MENUS_AT_ONCE", 1)
    assert pbx.rings("17.1")
    assert not pbx.rings("17.2")


async def test_keys_ahead_are_bounded(pbx: Pbx) -> None:
    pbx.is_full = True  # nobody asks for them
    pbx.rings()
    for _ in range(100):
        await pbx.press("1")
    assert len(pbx.callers._choosing[CALL].keys) <= KEYS_AHEAD
    await pbx.press("1", call="nobody")


async def test_a_caller_whom_the_engine_knows_is_told_of_when_he_goes(pbx: Pbx) -> None:
    """Found again after a reconnect, before the engine had said that it knew him: he is in line and in the menu."""
    pbx.rings()
    pbx.views[CALL] = CallView("k", "queued", 1)
    assert not pbx.hangs_up()


async def test_who_is_joined_out_of_the_menu_hears_no_more_of_it(pbx: Pbx) -> None:
    pbx.rings()
    await settle()
    await pbx._send(asterisk.join(pbx.account, "k", CALL))
    await pbx.press("1")
    assert pbx.put == [] and pbx.callers._choosing == {}


# -- the place in line

SAID = (f"channels/{CALL}/play/naru-say-{CALL}", "sound:queue-thereare,number:3,sound:queue-callswaiting")


def waits(pbx: Pbx, position: int = 3, language: str | None = None) -> None:
    pbx.views[CALL] = CallView("k", "queued" if position else "offered", position, language)
    pbx.callers.waits(CALL)


async def test_the_place_is_said_between_the_music(pbx: Pbx) -> None:
    waits(pbx)
    await pbx.tick(29)
    assert pbx.asked == []
    await pbx.tick()
    assert pbx.asked == [("DELETE", f"channels/{CALL}/moh", ""), ("POST", *SAID)]
    await pbx.ends(f"naru-say-{CALL}")
    assert pbx.asked[2:] == [("POST", f"channels/{CALL}/moh", "")]
    await pbx.tick(30)
    assert len(pbx.played()) == 2


async def test_a_place_that_is_not_known_is_not_said(pbx: Pbx) -> None:
    waits(pbx, position=0)
    await pbx.tick(30)
    pbx.views.clear()
    await pbx.tick(30)
    assert pbx.asked == []


async def test_an_agent_who_answers_ends_what_is_said_and_no_music_follows(pbx: Pbx) -> None:
    waits(pbx)
    await pbx.tick(30)
    await pbx._send(asterisk.join(pbx.account, "k", CALL))
    joined = [path for _, path, _ in pbx.asked[2:]]
    assert joined[0] == f"playbacks/naru-say-{CALL}"
    await pbx.ends(f"naru-say-{CALL}")
    assert [path for _, path, _ in pbx.asked[2:]] == joined, "nothing after the talk has begun"


async def test_who_is_moved_between_two_steps_hears_none_of_the_second(pbx: Pbx) -> None:
    waits(pbx)
    asked = pbx.callers._send

    async def moves(order: Order) -> Result:
        done = await asked(order)
        if isinstance(order, Steps) and order.steps[0].method == "DELETE":
            await asked(asterisk.join(pbx.account, "k", CALL))
        return done

    pbx.callers._send = moves
    await pbx.tick(30)
    assert pbx.played() == []
    assert pbx.asked[-1][1] == "bridges/naru-room-k/addChannel"


async def test_a_look_that_nobody_foresaw_to_fail_does_not_silence_the_others(pbx: Pbx) -> None:
    waits(pbx)
    looks, pbx.views = pbx.views, None  # type: ignore[assignment]
    await pbx.tick(30)
    assert pbx.asked == []
    pbx.views = looks
    await pbx.tick(30)
    assert pbx.played() == [SAID[1]]


async def test_a_sound_that_cannot_be_played_leaves_the_music(pbx: Pbx) -> None:
    waits(pbx)
    pbx.answers[SAID[0]] = Result("rejected", detail="no such sound")
    await pbx.tick(30)
    assert pbx.asked[-1] == ("POST", f"channels/{CALL}/moh", "")


async def test_who_hangs_up_while_it_is_said_is_forgotten(pbx: Pbx) -> None:
    waits(pbx)
    await pbx.tick(30)
    assert not pbx.hangs_up(), "the engine knows him"
    await settle()
    assert (pbx.callers._saying, pbx.callers._due, pbx.callers._tasks) == ({}, {}, set())
    assert pbx.asked[-1][1] == SAID[0]


async def test_it_is_said_in_the_callers_language_and_to_so_many_a_second(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.callers.ANNOUNCED_A_TICK", 2)
    steps: list[Step] = []
    monkeypatch.setattr("channels.asterisk.play", lambda call, name, sounds, language: _noted(steps, call, language))
    for n in range(3):
        pbx.views[str(n)] = CallView("k", "queued", 2, "en" if n else None)
        pbx.callers.waits(str(n))
    await pbx.tick(30)
    assert [step.path for step in steps] == ["0 ko", "1 en"]
    await pbx.tick()
    assert [step.path for step in steps] == ["0 ko", "1 en", "2 en"]


def _noted(steps: list[Step], call: str, language: str) -> Step:
    steps.append(Step(method="POST", path=f"{call} {language}"))
    return steps[-1]


@pytest.mark.parametrize("pbx", [{"announce_every_s": 0}, {"waiting": "ring"}], indirect=True)
async def test_where_nothing_is_announced_nobody_is_remembered(pbx: Pbx) -> None:
    waits(pbx)
    assert pbx.callers._due == {}
    assert not pbx.rings(), "and without a menu a caller is the engine's at once"
