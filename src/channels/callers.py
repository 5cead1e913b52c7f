"""What callers at an exchange hear until an agent answers: the menu, where there is one, then music with their place in
line between it.

Whoever is in the menu is known here alone. The engine hears of him when he has chosen, so one who hangs up leaves nothing,
and nothing outlives the connection: whoever is found at the exchange after it begins the menu anew. What is said to a
caller ends as soon as he is moved: no step of it is sent after one that moves him.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from itertools import islice
from typing import Any

import structlog

from channels import asterisk, menus
from channels.asterisk import Move
from channels.base import Account, CallView, Line, Order, Result, Steps
from channels.menus import Chosen, Menu, Place
from router.inputs import EndCall, ReceiveCall

log = structlog.get_logger("channels.callers")

MENUS_AT_ONCE = 2_000
"""Who comes when so many are choosing already is queued at once."""
KEYS_AHEAD = 8
LONGEST_SOUND_S = 300.0
TICK_S, ANNOUNCED_A_TICK = 1.0, 50
FULL_S = 0.1
DEAF_S = 2.0
"""For so long after the menu a key is one that was pressed twice, and means nothing to who waits."""


class Choosing:
    """A caller in the menu: the keys that were pressed and not asked for yet, and the sound that ended last."""

    def __init__(self) -> None:
        self.keys: deque[str] = deque(maxlen=KEYS_AHEAD)
        self.ended = ""
        self.sounds = 0
        self.is_over = False
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def key(self, within_s: float, sound: str | None = None) -> str:
        """The next key; "" when none comes in time, or before the end of a sound."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.keys and (sound is None or self.ended != sound):
                    self.news.clear()
                    await self.news.wait()
        return self.keys.popleft() if self.keys else ""


class Callers:
    """Those of one connection. `put` hands a move to the connection's lanes; False when there is no room just now."""

    def __init__(
        self, account: Account, line: Line, send: Callable[[Order], Awaitable[Result]], put: Callable[[Move], bool]
    ) -> None:
        self._account = account
        self._line = line
        self._send = send
        self._put = put
        self._menu = menus.menu_of(account.settings)
        self._every_s = asterisk.announce_every_s(account)
        self._choosing: dict[str, Choosing] = {}
        self._due: dict[str, float] = {}
        """When each caller is told the place next, the first to be told first."""
        self._saying: dict[str, asyncio.Event] = {}
        """To whom a place is being said; set when that is over."""
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what happens to them

    def keeps(self, move: Move) -> bool:
        """Whether the engine need not hear of it (yet): somebody goes to the menu, or leaves while in it."""
        body = move.item.body if move.item is not None else None
        if isinstance(body, ReceiveCall):
            return self._greet(move)
        return isinstance(body, EndCall) and self._leave(move.about)

    def hears(self, event: Mapping[str, Any]) -> bool:
        """Take note of a key in the menu, and of the end of a sound of ours; False for any other event."""
        kind = event.get("type")
        if kind == "ChannelDtmfReceived":
            call, key = asterisk.key_of(event)
            choosing = self._choosing.get(call)
            if choosing is not None and key:
                choosing.keys.append(key)
                choosing.news.set()
            return choosing is not None
        if kind == "PlaybackFinished":
            call, sound = asterisk.sound_of(event)
            self._said(call, sound)
            return sound.startswith(asterisk.SAID)
        return False

    def _said(self, call: str, sound: str) -> None:
        choosing, saying = self._choosing.get(call), self._saying.get(call)
        if choosing is not None:
            choosing.ended = sound
            choosing.news.set()
        elif saying is not None:
            saying.set()

    def waits(self, call: str) -> None:
        """Somebody is in line: the place is told from time to time."""
        if self._every_s:
            self._due.setdefault(call, self._line.clock() + self._every_s)

    def moved(self, call: str) -> None:
        """He is being joined or held: from now on nothing is said to him."""
        saying, choosing = self._saying.pop(call, None), self._choosing.pop(call, None)
        if saying is not None:
            saying.set()
        if choosing is not None and choosing.task is not None:
            choosing.task.cancel()

    def _leave(self, call: str) -> bool:
        """Whether he was in the menu and nobody else knows of him."""
        choosing = self._choosing.get(call)
        chose = choosing is not None and not choosing.is_over and self._line.look(call) is None
        self._due.pop(call, None)
        self.moved(call)
        return chose

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- the menu

    def _greet(self, move: Move) -> bool:
        if self._menu is None or len(self._choosing) >= MENUS_AT_ONCE:
            return False
        if move.about not in self._choosing:  # told twice, as after a reconnect: he is in it
            choosing = self._choosing[move.about] = Choosing()
            choosing.task = self._start(self._choose(move, choosing, self._menu))
        return True

    async def _choose(self, move: Move, choosing: Choosing, menu: Menu) -> None:
        try:
            chosen = await self._walk(move.about, choosing, menu)
        except Exception:  # whatever nobody foresaw, its caller is not lost
            log.exception("menu.broken", channel=self._account.channel, call=move.about)
            chosen = Chosen()
        while not self._put(asterisk.with_chosen(move, chosen)):
            await self._line.sleep(FULL_S)
        choosing.is_over = True
        await self._line.sleep(DEAF_S)
        self._choosing.pop(move.about, None)

    async def _walk(self, call: str, choosing: Choosing, menu: Menu) -> Chosen:
        await self._send(Steps((asterisk.answer(call),)))
        step: Place | Chosen = menus.START
        while isinstance(step, Place):
            step = menus.after(menu, step, await self._ask(call, choosing, *menus.at(menu, step)))
        return step

    async def _ask(self, call: str, choosing: Choosing, menu: Menu, chosen: Chosen) -> str:
        """A key, pressed ahead, while the menu is played, or within its time after that."""
        for language, sound in menus.heard(menu, chosen, self._account.setting("language")):
            key = choosing.keys.popleft() if choosing.keys else await self._play(call, choosing, sound, language)
            if key:
                return key
        return await choosing.key(menu.timeout_s)

    async def _play(self, call: str, choosing: Choosing, sound: str, language: str) -> str:
        choosing.sounds += 1
        name = asterisk.sound_name(call, choosing.sounds)
        result = await self._send(Steps((asterisk.play(call, name, (sound,), language),)))
        if result.kind != "accepted":
            log.warning("menu.silent", channel=self._account.channel, sound=sound, detail=result.detail)
            return ""
        key = await choosing.key(LONGEST_SOUND_S, name)
        if key:
            await self._send(Steps((asterisk.silence(name),)))
        return key

    # -- the place in line

    async def announce(self) -> None:
        """For ever: tell those whose time has come."""
        while True:
            await self._line.sleep(TICK_S)
            try:
                self._announce(self._line.clock())
            except Exception:  # it must not silence the connection's other callers
                log.exception("announcing.broken", channel=self._account.channel)

    def _announce(self, now: float) -> None:
        for call in self._next(now):
            view = self._line.look(call)
            if view is not None and view.position and call not in self._saying:
                self._start(self._tell(call, view))

    def _next(self, now: float) -> Iterator[str]:
        for call in list(islice(self._due, ANNOUNCED_A_TICK)):
            if self._due[call] > now:
                return
            del self._due[call]
            self._due[call] = now + self._every_s
            yield call

    async def _tell(self, call: str, view: CallView) -> None:
        over = self._saying[call] = asyncio.Event()
        language = view.language or self._account.setting("language")
        said = asterisk.play(
            call, asterisk.sound_name(call), asterisk.place_said(self._account, view.position), language
        )
        for step in (asterisk.quiet(call), said):
            if over.is_set() or (await self._send(Steps((step,)))).kind != "accepted":
                break
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LONGEST_SOUND_S):
                    await over.wait()
        if self._saying.get(call) is over:  # nobody has moved him
            del self._saying[call]
            await self._send(Steps((asterisk.music(self._account, call),)))
