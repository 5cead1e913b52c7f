"""The phone against a real Asterisk: `python -m asterisk --prefix /where/it/is/installed [--walk] [--load SECONDS] [--json]`,
or `--scene NAME` for one scene of the walk.

The walk: queue, hold, consult, transfer, hang-up, busy, no answer, a caller who leaves, a broken socket, an exchange that
is killed in mid-call, a menu by key, the place in line; who hears whom is told by tones over RTP. The load: ten agents who
are never without a caller, routed by Naru, by Asterisk's own `Queue()` and by a plain program, one after the other on the
same exchange.
"""

import argparse
import asyncio
import contextlib
import io
import itertools
import json
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2

from asterisk.desk import desk_of
from asterisk.pbx import CALLER, MENU_HZ, MUSIC_HZ, NUMBER_HZ, PASSWORD, PLACE_HZ, WORDS_HZ, Pbx, free_port
from asterisk.phone import HEARD, Call, Phones, strength
from support.center import AgentDesk, Center
from support.outreach import zone_now

TONES = {"caller": 440, "agent1": 880, "agent2": 1320, "agent3": 1000, "fallback": 700}
SUPERVISOR = "agent3"
PATIENCE_S = 15.0
RING_S, TALK_S, PER_S, AGENTS = 0.05, 0.5, 30.0, 10
IDEAL_PER_S = AGENTS / (RING_S + TALK_S)
ROUNDS = 3
PROGRAM = [sys.executable, "-m"]

CONFIG = """\
version: 1
name: Phone
brands: [{{id: shop, name: Shop, default_queue: care}}]
channels:
- id: phone
  name: Phone
  brand: shop
  provider: asterisk
  kind: voice
  settings: {{url: '{url}', app: naru, agent_endpoint: 'PJSIP/{{address}}', trunk_endpoint: PJSIP/caller, country_code: '82',
    keys: {{'1': callback, '2': voicemail}}, webrtc: {{url: '{phones_url}'}}}}
  secrets: {{username: 'env:NARU_SECRET_USER', password: 'env:NARU_SECRET_PASSWORD'}}
- id: menu
  name: Phone with a menu
  brand: shop
  provider: asterisk
  kind: voice
  settings:
    url: '{url}'
    app: menu
    agent_endpoint: 'PJSIP/{{address}}'
    trunk_endpoint: PJSIP/fallback
    amd_context: naru-amd
    record: true
    menu: {{play: 'sound:custom/menu', keys: {{1: {{attributes: {{intent: order}}}}}}, timeout_s: 2, tries: 2}}
    announce_every_s: 10
    announce: ['sound:custom/place', 'number:{{position}}']
    announce_first: ['sound:custom/place', 'number:{{position}}']
  secrets: {{username: 'env:NARU_SECRET_USER', password: 'env:NARU_SECRET_PASSWORD'}}
rules: [{{id: orders, when: {{field: attributes.intent, op: eq, value: order}}, then: {{queue: orders}}}}]
queues:
- {{id: orders, name: Orders, wrap_up_s: {wrap_up_s}, offer_timeout_s: 3}}
- {{id: care, name: Care, wrap_up_s: {wrap_up_s}, offer_timeout_s: 3}}
- {{id: first, name: Customers first, wrap_up_s: {wrap_up_s}, offer_timeout_s: 3, call_first: customer}}
campaigns:
- {{id: renewals, name: Renewals, channel: phone, queue: care, mode: progressive, most_attempts: 1}}
agents:
- {{id: owner, name: Owner, role: owner}}
- {{id: mina, name: Mina, brands: [shop], email: mina@shop.test, phone: mina, softphone: 'secret:softphone-mina'}}
{agents}
"""


def config(url: str, phones_url: str, agents: int, wrap_up_s: int) -> str:
    each = "\n".join(
        f"- {{id: agent{n}, name: Agent {n}, brands: [shop], mode: blended, phone: agent{n}}}"
        for n in range(1, agents + 1)
    )
    return CONFIG.format(url=url, phones_url=phones_url, agents=each, wrap_up_s=wrap_up_s)


async def until(holds: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
    for _ in range(int(within_s / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(what)


class Relay:
    """Between Naru and the exchange, so that their connection can be broken."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = free_port()
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_open = True

    async def up(self) -> "Relay":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.close()
            return
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, to}
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, to), _pump(there, writer))

    def cut(self) -> None:
        self.is_open = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self.is_open = True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class House:
    """A center, its exchange, its phones and two agents at their desks."""

    def __init__(self, center: Center, pbx: Pbx, phones: Phones, relay: Relay, desks: dict[str, AgentDesk]) -> None:
        self.center, self.pbx, self.phones, self.relay, self.desks = center, pbx, phones, relay, desks

    async def calls(self) -> Call:
        return await self.phones.dial("caller", "15881234")

    def contact(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = self.center.request("GET", f"/v1/contacts/{id_}").json()
        return found

    async def contact_is(self, id_: str, **fields: Any) -> None:
        await until(lambda: all(self.contact(id_).get(k) == v for k, v in fields.items()), f"{id_} is not {fields}")

    async def hears(self, call: Call, *hertz: int, not_: tuple[int, ...] = ()) -> None:
        voice = call.voice
        assert voice is not None
        voice.forget()

        def so() -> bool:
            return all(voice.hears(each) for each in hertz) and not any(voice.hears(each) for each in not_)

        await until(so, f"{call.user} does not hear {hertz}, or hears one of {not_}")

    def waiting(self) -> list[str]:
        """The queues of those who wait."""
        return [each["queue"] for each in self.center.request("GET", "/v1/live").json()["waiting"]]

    @contextlib.asynccontextmanager
    async def unheard(self, call: Call, hertz: int) -> AsyncIterator[None]:
        """All the while, nothing of this comes to the caller: less than a hundredth of what there is to hear."""
        voice = call.voice
        assert voice is not None
        voice.forget()
        most = 0.0

        async def listen() -> None:
            nonlocal most
            while True:
                most = max(most, strength(voice.samples, hertz) if len(voice.samples) == HEARD else 0.0)
                await asyncio.sleep(HEARD / 8000 / 4)

        listening = asyncio.create_task(listen())
        try:
            yield
            await asyncio.sleep(0.5)
        finally:
            listening.cancel()
        assert most < 0.01, f"{call.user} has heard {hertz}: {most:.3f}"

    def ends(self) -> tuple[list[str], list[str]]:
        """The whispers at the exchange: their ends, and their bridges."""
        with httpx2.Client(auth=("naru", PASSWORD)) as client:
            channels, bridges = (client.get(f"{self.pbx.url}/{what}").json() for what in ("channels", "bridges"))
        found = [[each["id"] for each in all_ if each["id"].startswith("whisper-")] for all_ in (channels, bridges)]
        return found[0], found[1]

    async def no_whisper(self) -> None:
        await until(lambda: self.ends() == ([], []), f"a whisper is left: {self.ends()}")

    async def leg(self, agent: str) -> Call:
        await until(lambda: bool(self.phones.of(agent, "up")), f"{agent} has no call")
        return self.phones.of(agent, "up")[-1]

    async def is_over(self, *calls: Call) -> None:
        for call in calls:
            await until(lambda call=call: call.state == "over", f"{call.user}'s call is not over")  # type: ignore[misc]

    async def is_free(self, agent: str) -> None:
        def free() -> bool:
            live = self.center.request("GET", "/v1/live").json()
            return next(a for a in live["agents"] if a["id"] == agent)["contacts"] == []

        await until(free, f"{agent} is not free")

    async def do(self, who: str, command: str, /, **args: Any) -> None:
        answer = await self.desks[who].do(command, **args)
        assert answer["status"] < 300, (command, answer)

    async def talk(self) -> tuple[str, Call, Call]:
        """A caller and agent1 in a talk: (contact, call, leg)."""
        await self.do("agent1", "status", presence="available")
        call = await self.calls()
        offer = (await self.desks["agent1"].next("offer"))["offer"]
        leg = await self.leg("agent1")
        await self.hears(call, TONES["agent1"])
        await self.hears(leg, TONES["caller"])
        return offer["contact"], call, leg

    async def finish(self, agent: str, contact: str) -> None:
        if self.contact(contact).get("status") == "wrapping":
            await self.do(agent, "complete", contact=contact)
        await self.nobody_works()

    async def nobody_works(self) -> None:
        """All are away; and their desks have answered the server's heartbeats, as a long scene must see to."""
        for name, desk in self.desks.items():
            await self.do(name, "status", presence="away")
            desk.forget()


@contextlib.asynccontextmanager
async def house(
    prefix: Path, folder: Path, agents: int, wrap_up_s: int, tones: dict[str, int] | None, timed: bool = False
) -> AsyncIterator[House]:
    """The connection to the exchange can be cut. That costs two hops, so what is `timed` does without, and opens no desks."""
    phones_port = free_port()
    pbx = Pbx(prefix, folder / "pbx", phones_port)
    phones = await Phones(("127.0.0.1", pbx.sip_port), tones).open(phones_port)
    pbx.start()
    center = None
    try:
        await pbx.ready()
        relay = await Relay(pbx.http_port).up()
        env = {"NARU_SECRET_USER": "naru", "NARU_SECRET_PASSWORD": PASSWORD}
        url = f"http://127.0.0.1:{relay.port}/ari" if not timed else pbx.url
        text = config(url, pbx.phones_url, agents, wrap_up_s)
        center = await asyncio.to_thread(Center, folder / "center", text, env)
        await asyncio.to_thread(center.start)
        desks = {}
        for n in range(1, 1 if timed else agents + 1):
            role = "supervisor" if tones is not None and f"agent{n}" == SUPERVISOR else "agent"
            key = await asyncio.to_thread(center.agent_key, f"agent{n}", role)
            desks[f"agent{n}"] = await AgentDesk.open(center, key)
        yield House(center, pbx, phones, relay, desks)
        for desk in desks.values():
            await desk.close()
    except BaseException:
        if center is not None:
            print(center.log_tail(6000), file=sys.stderr)
        raise
    finally:
        if center is not None:
            await asyncio.to_thread(center.stop)
        phones.close()
        pbx.stop()


# -- the walk


async def queue_hold_transfer(it: House) -> None:
    """Queue with music, talk, hold, consult, hand over, hang-up."""
    call = await it.calls()
    await it.hears(call, MUSIC_HZ)
    await it.do("agent1", "status", presence="available")
    contact = (await it.desks["agent1"].next("offer"))["offer"]["contact"]
    first = await it.leg("agent1")
    await it.hears(call, TONES["agent1"], not_=(MUSIC_HZ,))
    await it.hears(first, TONES["caller"])

    await it.do("agent1", "hold", contact=contact)
    await it.hears(call, MUSIC_HZ, not_=(TONES["agent1"],))
    await it.do("agent1", "resume", contact=contact)
    await it.hears(call, TONES["agent1"], not_=(MUSIC_HZ,))

    await it.do("agent2", "status", presence="available")
    await it.do("agent1", "consult", contact=contact, agent="agent2")
    second = await it.leg("agent2")
    await it.hears(second, TONES["agent1"], not_=(TONES["caller"],))
    await it.hears(call, MUSIC_HZ, not_=(TONES["agent1"],))
    await it.do("agent1", "conference", contact=contact)
    await it.hears(second, TONES["agent1"], TONES["caller"])
    await it.hears(call, TONES["agent1"], TONES["agent2"])
    await it.do("agent1", "transfer", contact=contact, agent="agent2")
    await it.is_over(first)
    await it.hears(call, TONES["agent2"], not_=(TONES["agent1"],))
    await it.hears(second, TONES["caller"])

    await it.phones.hang_up(call)
    await it.is_over(second)
    await it.contact_is(contact, status="wrapping", agent="agent2")
    await it.finish("agent2", contact)
    await it.contact_is(contact, outcome="handled")


async def blind_transfer(it: House) -> None:
    """To a colleague who has not been asked: music meanwhile, then his voice."""
    contact, call, leg = await it.talk()
    await it.do("agent2", "status", presence="available")
    await it.do("agent1", "transfer", contact=contact, agent="agent2")
    await it.is_over(leg)
    second = await it.leg("agent2")
    await it.hears(call, TONES["agent2"])
    await it.phones.hang_up(second)  # this time the agent hangs up
    await it.is_over(call)
    await it.contact_is(contact, status="wrapping", agent="agent2")
    await it.finish("agent2", contact)


async def busy(it: House) -> None:
    """A busy phone declines; the caller goes on hearing music, then the next agent."""
    it.phones.answers = lambda user: "busy" if user == "agent1" else "answer"
    await it.do("agent1", "status", presence="available")
    call = await it.calls()
    ended = await it.desks["agent1"].next("offer_ended")
    assert (ended["outcome"], ended["reason"]) == ("declined", "busy"), ended
    await it.hears(call, MUSIC_HZ)
    await it.do("agent2", "status", presence="available")
    await it.leg("agent2")
    await it.hears(call, TONES["agent2"])
    await it.phones.hang_up(call)
    await it.contact_is(ended["contact"], status="wrapping")
    await it.finish("agent2", ended["contact"])


async def no_answer(it: House) -> None:
    """Nobody picks up: the offer times out, the agent is taken off, the caller waits on, and leaves."""
    it.phones.answers = lambda user: "ring"
    await it.do("agent1", "status", presence="available")
    call = await it.calls()
    ended = await it.desks["agent1"].next("offer_ended")
    assert ended["outcome"] == "timed_out", ended
    await it.is_over(*it.phones.of("agent1"))
    await it.hears(call, MUSIC_HZ)
    await it.phones.hang_up(call)
    await it.contact_is(ended["contact"], outcome="abandoned")
    await it.is_free("agent1")
    await it.finish("agent1", ended["contact"])


async def caller_gone(it: House) -> None:
    """The caller leaves while the agent's phone rings: it stops."""
    it.phones.answers = lambda user: "ring"
    await it.do("agent1", "status", presence="available")
    call = await it.calls()
    offer = (await it.desks["agent1"].next("offer"))["offer"]
    await until(lambda: bool(it.phones.of("agent1", "ringing")), "the phone does not ring")
    await it.phones.hang_up(call)
    await it.is_over(*it.phones.of("agent1"))
    await it.contact_is(offer["contact"], outcome="abandoned")
    await it.is_free("agent1")
    await it.finish("agent1", offer["contact"])


async def socket_dropped(it: House) -> None:
    """The connection breaks in mid-talk: the talk goes on, a new caller falls through to the dialplan's own phone, and on
    return what ended meanwhile is known."""
    contact, call, leg = await it.talk()
    it.relay.cut()
    await it.hears(call, TONES["agent1"])
    other = await it.phones.dial("caller", "15889999")
    await until(lambda: bool(it.phones.of("fallback", "up")), "the dialplan's fallback does not ring")
    await it.hears(other, TONES["fallback"])
    await it.phones.hang_up(other)
    await it.phones.hang_up(call)
    await asyncio.sleep(0.5)
    assert it.contact(contact)["status"] == "active", "nobody can have told"
    it.relay.mend()
    await it.contact_is(contact, status="wrapping")
    await it.is_over(leg)
    await it.finish("agent1", contact)


async def found_on_return(it: House) -> None:
    """A caller who waits while the connection breaks keeps the place, and is served after it."""
    call = await it.calls()
    await it.hears(call, MUSIC_HZ)
    it.relay.cut()
    await asyncio.sleep(0.5)
    it.relay.mend()
    await it.do("agent1", "status", presence="available")
    offer = (await it.desks["agent1"].next("offer"))["offer"]
    await it.hears(call, TONES["agent1"])
    await it.phones.hang_up(call)
    await it.contact_is(offer["contact"], status="wrapping")
    await it.finish("agent1", offer["contact"])


async def exchange_killed(it: House) -> None:
    """The exchange dies in mid-call and comes back without it: the contact ends, the agent is free for the next."""
    contact, call, leg = await it.talk()
    it.pbx.stop(signal.SIGKILL)
    it.pbx.start()
    await it.pbx.ready()
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)
    for dead in (call, leg):
        await it.phones.hang_up(dead)
    contact, call, leg = await it.talk()
    await it.phones.hang_up(call)
    await it.is_over(leg)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def supervised(it: House) -> None:
    """A supervisor listens, whispers, barges in and listens again, on one call; nothing is left of a whisper."""
    contact, call, leg = await it.talk()
    voice = TONES[SUPERVISOR]
    await it.do(SUPERVISOR, "status", presence="away")
    async with it.unheard(call, voice):
        await it.do(SUPERVISOR, "monitor", contact=contact)
        ear = await it.leg(SUPERVISOR)
        await it.hears(ear, TONES["caller"], TONES["agent1"])
        await it.hears(leg, TONES["caller"], not_=(voice,))
        await it.do(SUPERVISOR, "monitor", contact=contact, manner="whisper")
        await it.hears(leg, TONES["caller"], voice)
        await it.hears(ear, TONES["caller"], TONES["agent1"], not_=(voice,))
        await it.hears(call, TONES["agent1"], not_=(voice,))

        # a customer who is held hears music, and the whisper goes on
        await it.do("agent1", "hold", contact=contact)
        await it.hears(call, MUSIC_HZ, not_=(voice,))
        await it.hears(leg, voice, not_=(TONES["caller"],))
        await it.hears(ear, TONES["agent1"], not_=(TONES["caller"],))
        await it.do("agent1", "resume", contact=contact)
        await it.hears(leg, TONES["caller"], voice)

        await it.do(SUPERVISOR, "monitor", contact=contact, manner="listen")
        await it.hears(leg, TONES["caller"], not_=(voice,))
        await it.no_whisper()
        await it.do(SUPERVISOR, "monitor", contact=contact, manner="whisper")
        await it.hears(leg, voice)

    await it.do(SUPERVISOR, "monitor", contact=contact, manner="barge")
    await it.hears(call, TONES["agent1"], voice)
    await it.hears(leg, TONES["caller"], voice)
    await it.hears(ear, TONES["caller"], TONES["agent1"])
    await it.no_whisper()
    await it.do(SUPERVISOR, "monitor", contact=contact, manner="whisper")
    await it.hears(call, TONES["agent1"], not_=(voice,))
    async with it.unheard(call, voice):
        await it.hears(leg, TONES["caller"], voice)
    assert len(it.phones.of(SUPERVISOR)) == 1, "one call for all of it"

    # the supervisor hangs up: the talk goes on, and nothing is left of the whisper
    await it.phones.hang_up(ear)
    await it.no_whisper()
    await it.hears(leg, TONES["caller"], not_=(voice,))
    await it.phones.hang_up(call)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def whispered_to_whoever_has_it(it: House) -> None:
    """A colleague who is consulted hears no whisper, and hears it once the call is his; its end is the whisper's end."""
    contact, call, first = await it.talk()
    voice = TONES[SUPERVISOR]
    await it.do(SUPERVISOR, "status", presence="away")
    async with it.unheard(call, voice):
        await it.do(SUPERVISOR, "monitor", contact=contact, manner="whisper")
        ear = await it.leg(SUPERVISOR)
        await it.hears(first, TONES["caller"], voice)
        await it.do("agent2", "status", presence="available")
        await it.do("agent1", "consult", contact=contact, agent="agent2")
        second = await it.leg("agent2")
        async with it.unheard(second, voice):
            await it.hears(second, TONES["agent1"])
            await it.hears(first, TONES["agent2"], voice)
        await it.do("agent1", "transfer", contact=contact, agent="agent2")
        await it.is_over(first)
        await it.hears(second, TONES["caller"], voice)
        await it.hears(call, TONES["agent2"], not_=(voice,))
        assert len(it.ends()[0]) == 2, it.ends()
    await it.phones.hang_up(second)
    await it.is_over(call, ear)
    await it.no_whisper()
    await it.contact_is(contact, status="wrapping", agent="agent2")
    await it.finish("agent2", contact)


async def whispers_over_a_broken_socket(it: House) -> None:
    """The connection breaks during a whisper, which goes on; what of it ended meanwhile is cleaned up on return."""
    contact, call, leg = await it.talk()
    voice = TONES[SUPERVISOR]
    await it.do(SUPERVISOR, "status", presence="away")
    async with it.unheard(call, voice):
        await it.do(SUPERVISOR, "monitor", contact=contact, manner="whisper")
        ear = await it.leg(SUPERVISOR)
        await it.hears(leg, voice)
        it.relay.cut()
        await it.hears(leg, voice)
        it.relay.mend()
        await asyncio.sleep(2)
        await it.hears(leg, voice)
        it.relay.cut()
        await it.phones.hang_up(ear)
        await asyncio.sleep(1)
        assert it.ends() != ([], []), "nobody was there to clean up"
        it.relay.mend()
        await it.no_whisper()
        await it.hears(leg, TONES["caller"], not_=(voice,))
    await it.phones.hang_up(call)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def phone_in_the_desk(it: House) -> None:
    """An agent without a phone: registration by WSS, one click, sound by DTLS-SRTP, hold, keys, hang-up, a reload."""
    if not it.pbx.has_srtp:
        print(f"{'':20} not proved: this Asterisk was built without libsrtp", file=sys.stderr)
        return
    put = it.center.request("PUT", "/v1/secrets/softphone-mina", json={"value": PASSWORD})
    assert put.status_code == 204, put.text
    async with desk_of(it.center, "mina", it.pbx.folder) as desk:
        call = await it.calls()
        await it.hears(call, MUSIC_HZ)
        await desk.goes_available()
        contact = await desk.accepts()
        await it.contact_is(contact, status="active", agent="mina")
        await it.hears(call, desk.hertz, not_=(MUSIC_HZ,))
        await desk.hears(TONES["caller"])

        await desk.clicks("hold")
        await it.hears(call, MUSIC_HZ, not_=(desk.hertz,))
        await desk.hears_nothing_of(TONES["caller"])
        await desk.clicks("resume")
        await it.hears(call, desk.hertz, not_=(MUSIC_HZ,))
        await desk.hears(TONES["caller"])
        await desk.clicks("phone-keys")
        await desk.clicks("phone-key-5")
        await until(
            lambda: call.voice is not None and list(call.voice.keys.values()) == ["5"], "the key is not heard of"
        )

        await desk.clicks("phone-hang-up")
        await it.is_over(call)
        await it.contact_is(contact, status="wrapping")
        await desk.clicks("complete-confirm")
        await it.contact_is(contact, outcome="handled")

        call = await it.calls()
        contact = await desk.accepts()
        await it.hears(call, desk.hertz)
        await it.phones.hang_up(call)
        await it.contact_is(contact, status="wrapping")
        await desk.has_no_call()
        await desk.clicks("complete-confirm")

        call = await it.calls()
        contact = await desk.accepts()
        await it.hears(call, desk.hertz)
        await desk.reloads()
        await it.is_over(call)
        await it.contact_is(contact, status="wrapping")
        await desk.is_registered()
        await desk.clicks("complete-confirm")


async def desk_without_its_phone(it: House) -> None:
    """Available, but no page has registered: the offer is withdrawn at once and the next agent has the call."""
    desk = await AgentDesk.open(it.center, await asyncio.to_thread(it.center.agent_key, "mina"))
    assert (await desk.do("status", presence="available"))["status"] == 200
    call = await it.calls()
    ended = await desk.next("offer_ended")
    assert (ended["outcome"], ended["reason"]) == ("withdrawn", "leg-failed"), ended
    await it.do("agent1", "status", presence="available")
    await it.hears(call, TONES["agent1"])
    await it.phones.hang_up(call)
    await it.contact_is(ended["contact"], status="wrapping")
    await it.finish("agent1", ended["contact"])
    await desk.do("status", presence="offline")
    await desk.close()


async def called_back(it: House) -> None:
    """Whoever waits presses a key and hangs up, is rung when an agent has picked up, and both hear each other."""
    call = await it.calls()
    await it.hears(call, MUSIC_HZ)
    it.phones.press(call, "1")
    await it.hears(call, WORDS_HZ, not_=(MUSIC_HZ,))
    await it.is_over(call)
    (waits,) = it.center.request("GET", "/v1/callbacks").json()["items"]
    assert waits["callback"]["number"] == "+82" + CALLER[1:], waits
    it.phones.calls.clear()
    await it.do("agent1", "status", presence="available")
    leg = await it.leg("agent1")
    back = await it.leg("caller")
    await it.hears(back, TONES["agent1"])
    await it.hears(leg, TONES["caller"])
    await it.phones.hang_up(back)
    await it.is_over(leg)
    await it.contact_is(waits["id"], status="wrapping", agent="agent1")
    await it.finish("agent1", waits["id"])


async def called_back_first(it: House) -> None:
    """The customer's phone rings before any agent's, plays music once answered, and then both hear each other.

    One that is busy costs the agent nothing."""
    order = {"channel": "phone", "number": "+82" + CALLER[1:], "queue": "first"}
    it.phones.answers = lambda user: "busy" if user == "caller" else "answer"
    await it.do("agent1", "status", presence="available")
    busy = it.center.request("POST", "/v1/callbacks", json=order).json()["contact"]
    ended = await it.desks["agent1"].next("offer_ended")
    assert (ended["contact"], ended["reason"]) == (busy, "customer-busy"), ended
    await it.contact_is(busy, status="scheduled")
    assert it.center.request("DELETE", f"/v1/callbacks/{busy}").status_code == 200

    it.phones.calls.clear()
    it.phones.answers = lambda user: "ring" if user == "agent1" else "answer"
    made = it.center.request("POST", "/v1/callbacks", json=order).json()["contact"]
    customer = await it.leg("caller")
    await it.hears(customer, MUSIC_HZ)
    await until(
        lambda: any(call.user == "agent1" for call in it.phones.calls.values()), "the agent's phone did not ring"
    )
    it.phones.answers = lambda user: "answer"
    await it.contact_is(made, status="queued")
    await it.do("agent1", "status", presence="available")
    leg = await it.leg("agent1")
    await it.hears(customer, TONES["agent1"])
    await it.hears(leg, TONES["caller"])
    await it.phones.hang_up(customer)
    await it.is_over(leg)
    await it.contact_is(made, status="wrapping", agent="agent1")
    await it.finish("agent1", made)


async def message_left(it: House) -> None:
    """Whoever waits presses the other key and speaks after the tone: an agent gets the recording, with the voice in it."""
    call = await it.calls()
    await it.hears(call, MUSIC_HZ)
    it.phones.press(call, "2")
    await it.hears(call, WORDS_HZ)
    await asyncio.sleep(4)  # the words, the tone, and two seconds of speech
    await it.phones.hang_up(call)
    await it.do("agent1", "status", presence="available")
    offer = (await it.desks["agent1"].next("offer"))["offer"]
    assert (offer["kind"], offer["customer"]["address"]) == ("task", "+82" + CALLER[1:]), offer
    await it.do("agent1", "accept", offer=offer["id"])

    def parts() -> list[dict[str, Any]]:
        said = it.center.request("GET", f"/v1/conversations/{offer['conversation']}/messages").json()["items"]
        return [part for message in said for part in message["parts"] if part.get("file")]

    await until(lambda: bool(parts()), "the recording was not fetched")
    body = it.center.request("GET", f"/v1/files/{parts()[0]['file']}").content
    with wave.open(io.BytesIO(body)) as file:
        samples = [sample for (sample,) in struct.iter_unpack("<h", file.readframes(file.getnframes()))]
        assert file.getframerate() == 8000, file.getparams()
    voiced = [strength(samples[at : at + HEARD], TONES["caller"]) for at in range(0, len(samples) - HEARD, HEARD)]
    assert sum(each > 0.2 for each in voiced) >= 5, voiced
    await it.do("agent1", "complete", contact=offer["contact"])
    await it.finish("agent1", offer["contact"])


async def menu_key(it: House) -> None:
    """A menu: the key that is pressed ends it, routes the call, and the music begins."""
    call = await it.phones.dial("caller", "15771234")
    await it.hears(call, MENU_HZ)
    assert it.waiting() == [], "who chooses is not in line yet"
    it.phones.press(call, "1")
    await it.hears(call, MUSIC_HZ, not_=(MENU_HZ,))
    assert it.waiting() == ["orders"]
    await it.do("agent1", "status", presence="available")
    contact = (await it.desks["agent1"].next("offer"))["offer"]["contact"]
    await it.hears(call, TONES["agent1"], not_=(MUSIC_HZ, MENU_HZ))
    assert it.contact(contact)["attributes"]["intent"] == "order"
    await it.phones.hang_up(call)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def unrecorded(it: House) -> None:
    """The exchange cannot record, as when its folder is not there: the talk goes on all the same. With the folder the
    recording is there afterwards."""
    there = it.pbx.recordings
    there.rename(there.with_name("elsewhere"))
    for is_back in (False, True):
        if is_back:
            there.with_name("elsewhere").rename(there)
        await it.do("agent1", "status", presence="available")
        call = await it.phones.dial("caller", "15771234")
        await it.hears(call, MENU_HZ)
        it.phones.press(call, "1")
        contact = (await it.desks["agent1"].next("offer"))["offer"]["contact"]
        leg = await it.leg("agent1")
        for _ in range(6):
            await it.hears(call, TONES["agent1"], not_=(MUSIC_HZ, MENU_HZ))
            await it.hears(leg, TONES["caller"])
            await asyncio.sleep(0.5)
        assert it.contact(contact)["status"] == "active"
        await it.phones.hang_up(call)
        await it.contact_is(contact, status="wrapping")
        await it.finish("agent1", contact)
        assert (there / f"naru-{contact}.wav").exists() == is_back


async def menu_unanswered(it: House) -> None:
    """Nothing is pressed: the menu is played twice, then the caller waits all the same; one who hangs up in it was never
    there, and one who is in it when the connection breaks hears it anew."""
    leaves = await it.phones.dial("caller", "15771234")
    await it.hears(leaves, MENU_HZ)
    await it.phones.hang_up(leaves)
    call = await it.phones.dial("caller", "15771234")
    await it.hears(call, MENU_HZ)
    it.relay.cut()
    await asyncio.sleep(5)  # the sound ends while nobody listens
    it.relay.mend()
    await it.hears(call, MENU_HZ)
    await it.hears(call, MUSIC_HZ, not_=(MENU_HZ,))
    assert it.waiting() == ["care"], "and not the one who left"
    await it.phones.hang_up(call)
    await until(lambda: it.waiting() == [], "the caller waits on")
    await it.nobody_works()


async def place_said(it: House) -> None:
    """The place is said between the music; an agent who answers in the middle of it is heard at once."""
    call = await it.phones.dial("caller", "15771234")
    await it.hears(call, MENU_HZ)
    it.phones.press(call, "1")
    await it.hears(call, PLACE_HZ, not_=(MUSIC_HZ,))
    await it.hears(call, NUMBER_HZ)
    await it.hears(call, MUSIC_HZ, not_=(PLACE_HZ, NUMBER_HZ))
    await it.nobody_works()
    await it.hears(call, PLACE_HZ, not_=(MUSIC_HZ,))
    began = asyncio.get_running_loop().time()
    await it.do("agent1", "status", presence="available")
    contact = (await it.desks["agent1"].next("offer"))["offer"]["contact"]
    leg = await it.leg("agent1")
    await it.hears(call, TONES["agent1"], not_=(PLACE_HZ, MUSIC_HZ))
    assert asyncio.get_running_loop().time() - began < 3, "the agent has waited for the end of the announcement"
    for _ in range(4):
        await asyncio.sleep(0.5)
        await it.hears(call, TONES["agent1"], not_=(PLACE_HZ, NUMBER_HZ, MUSIC_HZ))
        await it.hears(leg, TONES["caller"], not_=(PLACE_HZ, MUSIC_HZ))
    await it.phones.hang_up(call)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def _calls_out(it: House) -> tuple[str, Call]:
    """agent1 calls a customer: (contact, the agent's leg)."""
    await it.do("agent1", "status", presence="available")
    key = await asyncio.to_thread(it.center.agent_key, "agent1")
    body = {"channel": "menu", "to": "+821012345678"}
    started = it.center.request("POST", "/v1/contacts", key, json=body)
    assert started.status_code == 201, started.text
    return started.json()["contact"], await it.leg("agent1")


async def machine_answers(it: House) -> None:
    """What picks up a customer's phone talks and talks: it is known for a machine, and the agent hears it."""
    contact, leg = await _calls_out(it)
    await it.hears(leg, TONES["fallback"])
    logs = [path.read_bytes() for path in it.center.folder.rglob("*") if path.is_file() and "log" in path.name]
    assert any(b'"answered_by":"machine"' in each for each in logs), "nobody has told what picked up"
    await it.phones.hang_up(leg)
    await it.is_over(*it.phones.of("fallback"))
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def customer_busy(it: House) -> None:
    """A customer's phone that is listened to is dialled into the dialplan, and that it is busy is told all the same."""
    it.phones.answers = lambda user: "busy" if user == "fallback" else "answer"
    contact, leg = await _calls_out(it)
    await it.is_over(leg)
    await it.contact_is(contact, status="wrapping")
    await it.finish("agent1", contact)


async def _campaign(it: House, number: str) -> None:
    """One person is on the list, and the campaign begins."""
    head = "phone,consent,timezone"
    body = f"{head}\n{number},express,{zone_now()}\n".encode()
    made = it.center.request(
        "POST", "/v1/campaigns/renewals/lists", files={"file": ("one.csv", body)}, params={"country": "US"}
    ).json()
    path = f"/v1/campaigns/renewals/lists/{made['list']}"
    await until(lambda: it.center.request("GET", path).json()["state"] == "done", "the list is not taken")
    assert it.center.request("POST", "/v1/campaigns/renewals/start").status_code == 200


async def _ends_as(it: House, number: str, outcome: str) -> None:
    """The ledger's row of this number; and the campaign is over."""

    def so() -> bool:
        rows = it.center.request("GET", "/v1/campaigns/renewals/attempts").json()["items"]
        return [row["outcome"] for row in rows if row["value"] == number] == [outcome]

    await until(so, f"{number} does not end as {outcome}")
    assert it.center.request("POST", "/v1/campaigns/renewals/stop").status_code == 200


async def campaign_reaches_somebody(it: House) -> None:
    """A campaign keeps an agent, rings its person, and joins both when that is picked up; the ledger says so."""
    await it.do("agent1", "status", presence="available")
    await _campaign(it, "+12127360001")
    called = await it.leg("caller")
    leg = await it.leg("agent1")
    await it.hears(called, TONES["agent1"])
    await it.hears(leg, TONES["caller"])
    live = it.center.request("GET", "/v1/live").json()["agents"]
    (contact,) = (each["id"] for agent in live if agent["id"] == "agent1" for each in agent["contacts"])
    await it.phones.hang_up(called)
    await it.is_over(leg)
    await it.contact_is(contact, status="wrapping", agent="agent1")
    await it.finish("agent1", contact)
    await _ends_as(it, "+12127360001", "handled")


async def campaign_has_nobody(it: House) -> None:
    """Somebody answers and the agent's phone is not picked up: within two seconds he is told, and let go."""
    it.phones.answers = lambda user: "ring" if user == "agent1" else "answer"
    await it.do("agent1", "status", presence="available")
    await _campaign(it, "+12127360002")
    called = await it.leg("caller")
    await it.hears(called, WORDS_HZ)
    await it.is_over(called)
    await _ends_as(it, "+12127360002", "nobody_free")
    await it.nobody_works()


async def campaign_finds_a_line_busy(it: House) -> None:
    """The person's phone is busy: the agent has heard nothing of it and is free."""
    it.phones.answers = lambda user: "busy" if user == "caller" else "answer"
    await it.do("agent1", "status", presence="available")
    await _campaign(it, "+12127360003")
    await _ends_as(it, "+12127360003", "busy")
    assert it.phones.of("agent1") == []
    await it.nobody_works()


Scene = Callable[[House], Coroutine[Any, Any, None]]
WALK: tuple[Scene, ...] = (
    queue_hold_transfer,
    blind_transfer,
    busy,
    no_answer,
    caller_gone,
    socket_dropped,
    found_on_return,
    exchange_killed,
    phone_in_the_desk,
    desk_without_its_phone,
    supervised,
    whispered_to_whoever_has_it,
    whispers_over_a_broken_socket,
    called_back,
    called_back_first,
    message_left,
    menu_key,
    unrecorded,
    menu_unanswered,
    place_said,
    machine_answers,
    customer_busy,
    campaign_reaches_somebody,
    campaign_has_nobody,
    campaign_finds_a_line_busy,
)


async def walk(prefix: Path, scenes: tuple[Scene, ...] = WALK) -> dict[str, str]:
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        async with house(prefix, Path(folder), 3, 30, TONES) as it:
            for scene in scenes:
                it.phones.answers = lambda user: "answer"
                print(f"{scene.__name__:28} {(scene.__doc__ or '').splitlines()[0]}", file=sys.stderr)
                await scene(it)
                told[scene.__name__] = "ok"
                for call in it.phones.calls.values():
                    await it.phones.hang_up(call)
                it.phones.calls.clear()
    return told


# -- the load


class Load:
    """Callers at a steady rate to one number, in several rounds; the agents' phones answer and hang up by themselves."""

    def __init__(self, phones: Phones, number: str) -> None:
        self._phones = phones
        self._number = number
        self._gaps: list[float] = []
        self._per_s: list[float] = []

    async def round(self, seconds: float) -> None:
        phones = self._phones
        phones.calls.clear()
        phones.answers, phones.rings_s, phones.talks_s = lambda user: "answer", RING_S, TALK_S
        loop = asyncio.get_running_loop()
        began = loop.time()
        for count in range(int(seconds * PER_S)):
            await asyncio.sleep(max(0.0, began + count / PER_S - loop.time()))
            await phones.dial("caller", self._number)
        self._note()
        phones.talks_s = 0.0
        for call in list(phones.calls.values()):
            await phones.hang_up(call)
        await asyncio.sleep(2)

    def _note(self) -> None:
        """Between the first second and the last: calls that ended at agents, and how long each agent was without one."""
        talks = [call for call in self._phones.calls.values() if call.user.startswith("agent") and call.up_at]
        for agent in {call.user for call in talks}:
            mine = sorted((call for call in talks if call.user == agent), key=lambda call: call.came_at)
            self._gaps += [b.came_at - a.over_at for a, b in itertools.pairwise(mine) if a.over_at]
        first = min(call.came_at for call in talks) + 1
        last = max(call.came_at for call in talks)
        inside = [call for call in talks if call.over_at and first <= call.over_at <= last]
        self._per_s.append(len(inside) / (last - first))

    def figures(self) -> dict[str, Any]:
        per_s, gaps = statistics.mean(self._per_s), sorted(self._gaps)
        return {
            "routed_per_s": round(per_s, 2),
            "share_of_ideal": round(per_s / IDEAL_PER_S, 3),
            "idle_gap_ms": {
                "p50": round(statistics.median(gaps) * 1000, 1),
                "p99": round(gaps[int(len(gaps) * 0.99)] * 1000, 1),
            },
            "gaps": len(gaps),
        }


async def load(prefix: Path, seconds: float) -> dict[str, Any]:
    """Each for so many seconds. The plain program and Naru take turns: how agents' talks come to lie beside each other is
    chance, and decides a run's median."""
    told: dict[str, Any] = {"ideal_per_s": round(IDEAL_PER_S, 2)}
    with tempfile.TemporaryDirectory() as folder:
        async with house(prefix, Path(folder), AGENTS, 0, None, timed=True) as it:
            told["append_ms"] = await asyncio.to_thread(_append_ms, Path(folder))
            agents = [f"agent{n}" for n in range(1, AGENTS + 1)]
            keys = [await asyncio.to_thread(it.center.agent_key, agent) for agent in agents]
            queue, fifo, naru = (Load(it.phones, number) for number in ("2000", "3000", "15881234"))
            for number in ("2000", "3000", "15881234"):
                await it.phones.dial("caller", number)  # once round, so that nothing is measured cold
            await asyncio.sleep(1)
            await queue.round(seconds)
            for _ in range(ROUNDS):
                with subprocess.Popen([*PROGRAM, "asterisk.fifo", it.pbx.url, PASSWORD, ",".join(agents)]) as process:
                    await asyncio.sleep(2)
                    await fifo.round(seconds / ROUNDS)
                    process.kill()
                desks = [*PROGRAM, "asterisk.desks", it.center.url, ",".join(keys)]
                with subprocess.Popen(desks, stdout=subprocess.PIPE) as process:
                    assert process.stdout is not None
                    await asyncio.to_thread(process.stdout.readline)  # all are available
                    await naru.round(seconds / ROUNDS)
                    process.kill()
            told |= {"queue": queue.figures(), "fifo": fifo.figures(), "naru": naru.figures()}
    return told


def _append_ms(folder: Path) -> float:
    """One durable append of the embedded log on this disk: median."""
    from naru.bus.sqlite import SqliteLog

    async def measure() -> float:
        log = SqliteLog(folder / "measure.sqlite", asyncio.get_running_loop().time)
        loop, took = asyncio.get_running_loop(), []
        for _ in range(200):
            began = loop.time()
            await log.append("t", 0, [b"x" * 500])
            took.append(loop.time() - began)
            await asyncio.sleep(0.01)
        await log.close()
        return statistics.median(took) * 1000

    return round(asyncio.run(measure()), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--prefix", type=Path, required=True)
    parser.add_argument("--walk", action="store_true")
    parser.add_argument("--scene", action="append", choices=[scene.__name__ for scene in WALK], help="only this one")
    parser.add_argument("--load", type=float, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told: dict[str, Any] = {}
    if asked.walk or asked.scene or not asked.load:
        scenes = tuple(scene for scene in WALK if not asked.scene or scene.__name__ in asked.scene)
        told["walk"] = asyncio.run(walk(asked.prefix, scenes))
    if asked.load:
        told["load"] = asyncio.run(load(asked.prefix, asked.load))
    print(json.dumps(told) if asked.json else json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
