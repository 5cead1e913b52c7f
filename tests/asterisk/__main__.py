"""The phone against a real Asterisk: `python -m asterisk --prefix /where/it/is/installed [--walk] [--load SECONDS] [--json]`.

The walk: queue, hold, consult, transfer, hang-up, busy, no answer, a caller who leaves, a broken socket, an exchange that
is killed in mid-call; who hears whom is told by tones over RTP. The load: ten agents who are never without a caller, routed
by Naru, by Asterisk's own `Queue()` and by a plain program, one after the other on the same exchange.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from asterisk.desk import desk_of
from asterisk.pbx import MUSIC_HZ, PASSWORD, Pbx, free_port
from asterisk.phone import Call, Phones
from support.center import AgentDesk, Center

TONES = {"caller": 440, "agent1": 880, "agent2": 1320, "fallback": 700}
PATIENCE_S = 15.0
RING_S, TALK_S, PER_S, AGENTS = 0.05, 0.5, 30.0, 10
IDEAL_PER_S = AGENTS / (RING_S + TALK_S)

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
  settings:
    url: '{url}'
    app: naru
    agent_endpoint: 'PJSIP/{{address}}'
    country_code: '82'
    webrtc: {{url: '{phones_url}'}}
  secrets: {{username: 'env:NARU_SECRET_USER', password: 'env:NARU_SECRET_PASSWORD'}}
queues: [{{id: care, name: Care, wrap_up_s: {wrap_up_s}, offer_timeout_s: 3}}]
agents:
- {{id: owner, name: Owner, role: owner}}
- {{id: mina, name: Mina, brands: [shop], email: mina@shop.test, phone: mina, softphone: 'secret:softphone-mina'}}
{agents}
"""


def config(url: str, phones_url: str, agents: int, wrap_up_s: int) -> str:
    each = "\n".join(
        f"- {{id: agent{n}, name: Agent {n}, brands: [shop], phone: agent{n}}}" for n in range(1, agents + 1)
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
        for name, desk in self.desks.items():
            await self.do(name, "status", presence="away")
            desk.forget()


@contextlib.asynccontextmanager
async def house(
    prefix: Path, folder: Path, agents: int, wrap_up_s: int, tones: dict[str, int] | None
) -> AsyncIterator[House]:
    phones_port = free_port()
    pbx = Pbx(prefix, folder / "pbx", phones_port)
    phones = await Phones(("127.0.0.1", pbx.sip_port), tones).open(phones_port)
    pbx.start()
    center = None
    try:
        await pbx.ready()
        relay = await Relay(pbx.http_port).up()
        env = {"NARU_SECRET_USER": "naru", "NARU_SECRET_PASSWORD": PASSWORD}
        text = config(f"http://127.0.0.1:{relay.port}/ari", pbx.phones_url, agents, wrap_up_s)
        center = await asyncio.to_thread(Center, folder / "center", text, env)
        await asyncio.to_thread(center.start)
        desks = {}
        for n in range(1, agents + 1):
            desks[f"agent{n}"] = await AgentDesk.open(center, await asyncio.to_thread(center.agent_key, f"agent{n}"))
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


WALK = (
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
)


async def walk(prefix: Path) -> dict[str, str]:
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        async with house(prefix, Path(folder), 2, 30, TONES) as it:
            for scene in WALK:
                it.phones.answers = lambda user: "answer"
                print(f"{scene.__name__:20} {(scene.__doc__ or '').splitlines()[0]}", file=sys.stderr)
                await scene(it)
                told[scene.__name__] = "ok"
                for call in it.phones.calls.values():
                    await it.phones.hang_up(call)
                it.phones.calls.clear()
    return told


# -- the load


class Load:
    """Callers at a steady rate for so many seconds, to one number; the agents' phones answer and hang up by themselves."""

    def __init__(self, phones: Phones, number: str, seconds: float) -> None:
        self._phones = phones
        self._number = number
        self._seconds = seconds

    async def run(self) -> dict[str, Any]:
        phones = self._phones
        phones.calls.clear()
        phones.answers, phones.rings_s, phones.talks_s = lambda user: "answer", RING_S, TALK_S
        loop = asyncio.get_running_loop()
        began = loop.time()
        for count in range(int(self._seconds * PER_S)):
            await asyncio.sleep(max(0.0, began + count / PER_S - loop.time()))
            await phones.dial("caller", self._number)
        figures = self._figures()
        phones.talks_s = 0.0
        for call in list(phones.calls.values()):
            await phones.hang_up(call)
        await asyncio.sleep(2)
        return figures

    def _figures(self) -> dict[str, Any]:
        """Between the first second and the last: calls that ended at agents, and how long each agent was without one."""
        talks = [call for call in self._phones.calls.values() if call.user.startswith("agent") and call.up_at]
        gaps = []
        for agent in {call.user for call in talks}:
            mine = sorted((call for call in talks if call.user == agent), key=lambda call: call.came_at)
            gaps += [b.came_at - a.over_at for a, b in itertools.pairwise(mine) if a.over_at]
        first = min(call.came_at for call in talks) + 1
        last = max(call.came_at for call in talks)
        inside = [call for call in talks if call.over_at and first <= call.over_at <= last]
        per_s = len(inside) / (last - first)
        return {
            "routed_per_s": round(per_s, 2),
            "share_of_ideal": round(per_s / IDEAL_PER_S, 3),
            "idle_gap_ms": {
                "p50": round(statistics.median(gaps) * 1000, 1),
                "p99": round(sorted(gaps)[int(len(gaps) * 0.99)] * 1000, 1),
            },
            "talks": len(talks),
        }


async def load(prefix: Path, seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {"ideal_per_s": round(IDEAL_PER_S, 2)}
    with tempfile.TemporaryDirectory() as folder:
        async with house(prefix, Path(folder), AGENTS, 0, None) as it:
            told["append_ms"] = await asyncio.to_thread(_append_ms, Path(folder))
            idle = [asyncio.create_task(_is_there(desk)) for desk in it.desks.values()]
            for number in ("2000", "3000", "15881234"):
                await it.phones.dial("caller", number)  # once round, so that nothing is measured cold
            await asyncio.sleep(1)
            told["queue"] = await Load(it.phones, "2000", seconds).run()
            fifo = [sys.executable, "-m", "asterisk.fifo", it.pbx.url, PASSWORD, ",".join(it.desks)]
            with subprocess.Popen(fifo) as process:
                await asyncio.sleep(2)
                told["fifo"] = await Load(it.phones, "3000", seconds).run()
                process.kill()
            for task in idle:
                task.cancel()
            await asyncio.gather(*idle, return_exceptions=True)
            listening = [asyncio.create_task(_works(desk)) for desk in it.desks.values()]
            told["naru"] = await Load(it.phones, "15881234", seconds).run()
            for task in listening:
                task.cancel()
    return told


async def _works(desk: AgentDesk) -> None:
    await desk.do("status", presence="available")
    await _is_there(desk)


async def _is_there(desk: AgentDesk) -> None:
    """A desk that answers the server's heartbeats, and waits for nothing."""
    await desk.next("nothing", timeout_s=3600)


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
    parser.add_argument("--load", type=float, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told: dict[str, Any] = {}
    if asked.walk or not asked.load:
        told["walk"] = asyncio.run(walk(asked.prefix))
    if asked.load:
        told["load"] = asyncio.run(load(asked.prefix, asked.load))
    print(json.dumps(told) if asked.json else json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
