"""Recorded ARI traces replayed through a real center: whatever happens to the legs, caller and agent end as they should.

The whole path against a real Asterisk, with real audio, is walked by `make asterisk`.
"""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import yaml

from support.center import AgentDesk, Center
from support.exchange import Exchange, Exchanges, trace

Phones = tuple[Center, Exchanges]

pytestmark = pytest.mark.asyncio(loop_scope="module")

TALKS = ["happy_agent", "happy_caller", "happy_router", "happy_router_nosub", "record"]
MENUS = ["menu", "chooses"]
STORIES = ["supervised", "busy", "noanswer", "noendpoint", "cancel", "createdial", "wrapup", "dropped", "replaced"]
STORIES += [*TALKS, *MENUS]
TRACES = {"wrapup": "happy_router", "dropped": "wsdrop", "replaced": "wsdrop", "chooses": "menu"}
MENU = {"play": "sound:custom/menu", "keys": {1: {"attributes": {"intent": "order"}}}, "timeout_s": 1, "tries": 1}
SUPERVISOR = "sora"


def config(url: str) -> str:
    """A brand, a channel, a queue and an agent for each story, so that none sees another's."""
    each = [
        {
            "brand": {"id": name, "name": name, "default_queue": name},
            "channel": {
                "id": name,
                "name": name,
                "brand": name,
                "provider": "asterisk",
                "kind": "voice",
                "settings": {
                    **{"url": url, "app": name, "agent_endpoint": "PJSIP/{address}"},
                    **({"menu": copy.deepcopy(MENU)} if name in MENUS else {}),  # YAML would make one of two, an alias
                },
                "secrets": {"username": "env:NARU_SECRET_ARI", "password": "env:NARU_SECRET_ARI"},
            },
            "queue": {"id": name, "name": name, "wrap_up_s": 30},
            "agent": {"id": f"a-{name}", "name": name, "brands": [name], "phone": "agent001"},
        }
        for name in map(slug, STORIES)
    ]
    return yaml.safe_dump(
        {
            "version": 1,
            "name": "Phones",
            "timezone": "Asia/Seoul",
            "brands": [one["brand"] for one in each],
            "channels": [one["channel"] for one in each],
            "queues": [*(one["queue"] for one in each), {"id": "orders", "name": "Orders", "wrap_up_s": 30}],
            "rules": [
                {
                    "id": "orders",
                    "when": {"field": "attributes.intent", "op": "eq", "value": "order"},
                    "then": {"queue": "orders"},
                }
            ],
            "agents": [
                {"id": "owner", "name": "Owner", "role": "owner"},
                {"id": SUPERVISOR, "name": "Sora", "brands": ["supervised"], "phone": "boss"},
                *(one["agent"] for one in each),
            ],
        }
    )


def slug(name: str) -> str:
    return name.replace("_", "-")


class Shop:
    def __init__(self, center: Center, exchange: Exchange, desk: AgentDesk, agent: str, queue: str) -> None:
        self.center = center
        self.exchange = exchange
        self.desk = desk
        self.agent = agent
        self.queue = queue

    async def contact(self, id_: str, **fields: Any) -> dict[str, Any]:
        """Wait until the contact is so."""
        for _ in range(400):
            found: dict[str, Any] = self.center.request("GET", f"/v1/contacts/{id_}").json()
            if all(found.get(name) == value for name, value in fields.items()):
                return found
            await asyncio.sleep(0.025)
        raise AssertionError(f"{found} is not {fields}")

    async def is_free(self) -> None:
        """The agent has nothing in hand."""
        for _ in range(400):
            live = self.center.request("GET", "/v1/live").json()
            now = next(agent for agent in live["agents"] if agent["id"] == self.agent)
            if now["contacts"] == [] and now["used_units"] == 0:
                return
            await asyncio.sleep(0.025)
        raise AssertionError(f"the agent is not free: {now}")

    def waiting(self) -> list[str]:
        found = self.center.request("GET", "/v1/live").json()["waiting"]
        return [contact["id"] for contact in found if contact["queue"] == self.queue]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def phones(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Phones]:
    exchanges = await Exchanges().up()
    for name in STORIES:
        exchanges.by_app[slug(name)] = Exchange([] if name == "supervised" else trace(TRACES.get(name, name)))
    folder = tmp_path_factory.mktemp("asterisk")
    env = {"NARU_SECRET_ARI": "naru"}
    center = await asyncio.to_thread(Center, folder / "center", config(exchanges.url), env)
    try:
        await asyncio.to_thread(center.start)
        yield center, exchanges
    finally:
        await asyncio.to_thread(center.stop)
        await exchanges.down()


@asynccontextmanager
async def shop(phones: Phones, name: str, waits_for_hang_up: bool = False) -> AsyncIterator[Shop]:
    center, exchanges = phones
    exchange = exchanges.by_app[slug(name)]
    exchange.waits_for_hang_up = waits_for_hang_up
    agent = f"a-{slug(name)}"
    desk = await AgentDesk.open(center, await asyncio.to_thread(center.agent_key, agent))
    await desk.do("status", presence="available")
    try:
        yield Shop(center, exchange, desk, agent, slug(name))
    except BaseException:
        print(exchange.asked, center.log_tail())
        raise
    finally:
        await desk.close()


async def test_busy_declines_and_the_caller_waits_on_until_gone(phones: Phones) -> None:
    async with shop(phones, "busy") as it:
        it.exchange.caller_may_go.clear()
        playing = asyncio.create_task(it.exchange.play())
        ended = await it.desk.next("offer_ended")
        it.exchange.caller_may_go.set()
        await playing
        assert (ended["outcome"], ended["reason"]) == ("declined", "busy")
        await it.contact(ended["contact"], outcome="abandoned")
        await it.is_free()


async def test_nobody_picks_up(phones: Phones) -> None:
    async with shop(phones, "noanswer") as it:
        it.exchange.caller_may_go.clear()
        playing = asyncio.create_task(it.exchange.play())
        ended = await it.desk.next("offer_ended")
        it.exchange.caller_may_go.set()
        await playing
        assert ended["outcome"] == "timed_out"
        await it.contact(ended["contact"], outcome="abandoned")
        await it.is_free()


async def test_an_endpoint_that_nobody_has_frees_the_agent(phones: Phones) -> None:
    async with shop(phones, "noendpoint") as it:
        lines = trace("noendpoint")
        start = next(line["event"] for line in lines if line.get("event", {}).get("type") == "StasisStart")
        await it.exchange.say(start)
        ended = await it.desk.next("offer_ended")
        assert ended["outcome"] == "withdrawn"
        await it.is_free()
        await it.contact(ended["contact"], status="queued")
        await it.exchange.say({"type": "StasisEnd", "channel": start["channel"]})
        await it.contact(ended["contact"], outcome="abandoned")


async def test_a_caller_who_gives_up_while_it_rings(phones: Phones) -> None:
    async with shop(phones, "cancel", waits_for_hang_up=True) as it:
        await it.exchange.play()  # it goes on when we have hung up the agent's leg
        ended = await it.desk.next("offer_ended")
        assert (ended["outcome"], ended["reason"]) == ("withdrawn", "customer-left")
        await it.contact(ended["contact"], outcome="abandoned")
        await it.is_free()


@pytest.mark.parametrize("name", TALKS)
async def test_a_talk_whoever_ends_it(phones: Phones, name: str) -> None:
    """Both are put into one room; whoever leaves first, the other is hung up and the agent wraps up."""
    async with shop(phones, name) as it:
        await it.exchange.play()
        offer = (await it.desk.next("offer"))["offer"]
        room = f"naru-room-{offer['contact']}"
        added = [query["channel"] for _, uri, query in it.exchange.asked if uri == f"bridges/{room}/addChannel"]
        caller = next(line["event"]["channel"]["id"] for line in trace(name) if "event" in line)
        assert sorted(added) == sorted([caller, f"naru-{offer['id']}"])
        await it.contact(offer["contact"], status="wrapping", agent=it.agent)
        assert (await it.desk.do("complete", contact=offer["contact"]))["status"] == 200
        await it.contact(offer["contact"], outcome="handled")
        await it.is_free()
        await it.exchange.until("DELETE", f"bridges/{room}")


async def test_a_leg_that_is_made_but_not_dialled_is_not_taken_for_answered(phones: Phones) -> None:
    async with shop(phones, "createdial") as it:
        it.exchange.waits_for_talk = False
        await it.exchange.play()
        ended = await it.desk.next("offer_ended")
        assert ended["outcome"] in ("withdrawn", "declined")
        await it.contact(ended["contact"], outcome="abandoned")
        await it.is_free()


async def test_wrap_up_at_the_desk_hangs_up_both(phones: Phones) -> None:
    async with shop(phones, "wrapup", waits_for_hang_up=True) as it:
        playing = asyncio.create_task(it.exchange.play())
        offer = (await it.desk.next("offer"))["offer"]
        await it.contact(offer["contact"], status="active")
        await it.desk.do("wrap-up", contact=offer["contact"])
        await playing  # the trace goes on only when both have been hung up
        await it.contact(offer["contact"], status="wrapping")


async def test_the_socket_breaks_while_a_caller_waits(phones: Phones) -> None:
    """Calls live on and nothing is told: a caller who stays keeps the place, one who has gone is missed on return, and
    one who came meanwhile is found."""
    async with shop(phones, "dropped") as it:
        start = next(line["event"] for line in trace("wsdrop") if line.get("event", {}).get("type") == "StasisStart")
        await it.desk.do("status", presence="away")
        await it.exchange.say(start)
        await it.exchange.until("POST", f"channels/{start['channel']['id']}/moh")
        [waiting] = it.waiting()

        await it.exchange.drop()
        other = {**start["channel"], "id": "1795372099.99"}
        it.exchange.there = {
            other["id"]: {**other, "dialplan": {"app_name": "Stasis", "app_data": "dropped,inbound,1588"}}
        }
        await it.exchange.until("POST", f"channels/{other['id']}/moh")
        await it.contact(waiting, outcome="abandoned")
        [now] = it.waiting()
        assert now != waiting


async def test_a_key_in_the_menu_leads_to_the_right_queue(phones: Phones) -> None:
    async with shop(phones, "menu") as it:
        await it.exchange.play()
        contact = (await it.desk.next("offer"))["offer"]["contact"]
        found = await it.contact(contact, status="wrapping", queue="orders")
        assert found["attributes"] == {"called": "15771234", "intent": "order"}
        asked = [
            (method, uri) for method, uri, _ in it.exchange.asked if "/play/" in uri or uri.startswith("playbacks/")
        ]
        caller = next(line["event"]["channel"]["id"] for line in trace("menu") if "event" in line)
        sound = f"naru-say-1-{caller}"
        assert asked[:2] == [("POST", f"channels/{caller}/play/{sound}"), ("DELETE", f"playbacks/{sound}")]


async def test_who_leaves_the_menu_was_never_there_and_who_is_in_it_when_the_socket_breaks_begins_anew(
    phones: Phones,
) -> None:
    async with shop(phones, "chooses") as it:
        await it.desk.do("status", presence="away")
        start = next(line["event"] for line in trace("menu") if line.get("event", {}).get("type") == "StasisStart")
        leaves = {**start, "channel": {**start["channel"], "id": "17.1"}}
        await it.exchange.say(leaves)
        await it.exchange.until("POST", "channels/17.1/play/naru-say-1-17.1")
        await it.exchange.say({"type": "StasisEnd", "channel": leaves["channel"]})

        stays = {**start["channel"], "id": "17.2"}
        await it.exchange.say({**start, "channel": stays})
        await it.exchange.until("POST", "channels/17.2/play/naru-say-1-17.2")
        plan = {"app_name": "Stasis", "app_data": "chooses,inbound,15771234"}
        it.exchange.there = {"17.2": {**stays, "dialplan": plan}}
        await it.exchange.drop()
        await it.exchange.until("POST", "channels/17.2/play/naru-say-1-17.2", count=2)
        ended = {"id": "naru-say-1-17.2", "target_uri": "channel:17.2", "state": "done"}
        await it.exchange.say({"type": "PlaybackFinished", "playback": ended})
        await it.exchange.until("POST", "channels/17.2/moh")  # nothing was pressed: he waits all the same
        assert len(it.waiting()) == 1, "and the one who left does not"
        assert not [uri for _, uri, _ in it.exchange.asked if uri == "channels/17.1/moh"]


async def test_another_connection_takes_over_and_gives_back(phones: Phones) -> None:
    async with shop(phones, "replaced") as it:
        await it.exchange.connected.wait()
        before = len(it.exchange.keys)
        await it.exchange.say({"type": "ApplicationReplaced", "application": "replaced"})
        for _ in range(400):
            if len(it.exchange.keys) > before:
                break
            await asyncio.sleep(0.025)
        assert len(it.exchange.keys) > before, "it comes back"
        assert "app=replaced" in it.exchange.keys[0]
        assert "api_key=naru%3Anaru" in it.exchange.keys[0]


# -- a supervisor


async def picks_up(it: Shop, number: int, side: str) -> str:
    """The phone that is rung as the first, or second, is answered: its leg."""
    _, uri, query = await it.exchange.until("POST", "channels/naru-[^/]*", count=number)
    leg = uri.removeprefix("channels/")
    words = query["appArgs"].split(",")
    assert words[2] == side
    await it.exchange.say({"type": "StasisStart", "args": words, "channel": {"id": leg, "state": "Up"}})
    return leg


async def since(it: Shop, before: int, last: str) -> list[tuple[str, str]]:
    """What was asked since then, up to a uri."""
    for _ in range(400):
        asked = [(method, uri) for method, uri, _ in it.exchange.asked[before:]]
        if any(uri == last for _, uri in asked):
            return asked
        await asyncio.sleep(0.025)
    raise AssertionError(f"{last} is not in {asked}")


async def test_a_supervisor_whispers_and_whatever_ends_nothing_of_it_is_left(phones: Phones) -> None:
    async with shop(phones, "supervised") as it:
        exchange = it.exchange
        start = next(
            line["event"] for line in trace("noendpoint") if line.get("event", {}).get("type") == "StasisStart"
        )
        await exchange.say(start)
        offer = (await it.desk.next("offer"))["offer"]
        contact, room = offer["contact"], f"bridges/naru-room-{offer['contact']}"
        owner = await picks_up(it, 1, "agent")
        await exchange.until("POST", f"{room}/addChannel", count=2)
        key = await asyncio.to_thread(it.center.agent_key, SUPERVISOR, "supervisor")
        boss = await AgentDesk.open(it.center, key)
        await boss.do("status", presence="away")

        # her phone is rung once; what she says comes to the owner's ear by two channels that are bridged
        assert (await boss.do("monitor", contact=contact))["status"] == 200
        leg = await picks_up(it, 2, "monitor")
        assert (await exchange.until("POST", f"{room}/addChannel", count=3))[2] == {"channel": leg, "mute": "true"}
        whisper = f"whisper-{leg[5:]}.{owner[5:]}"
        ends = [f"{whisper}.from", f"{whisper}.to"]
        exchange.refuses.add(f"channels/{leg}/snoop/{ends[0]}")  # the one before is still ending: it is tried again
        before = len(exchange.asked)
        assert (await boss.do("monitor", contact=contact, manner="whisper"))["status"] == 200
        asked = await since(it, before, f"channels/{owner}/snoop/{ends[1]}")
        assert asked.count(("POST", f"channels/{leg}/snoop/{ends[0]}")) == 2
        assert asked.index(("POST", f"channels/{leg}/variable")) < asked.index(("POST", f"{room}/addChannel"))
        for end in ends:
            await exchange.say({"type": "StasisStart", "args": ["whisper"], "channel": {"id": end, "state": "Up"}})
        await exchange.until("POST", f"bridges/{whisper}/addChannel", count=2)

        # one end goes, the other is hung up, and the bridge is taken down
        before = len(exchange.asked)
        assert (await boss.do("monitor", contact=contact, manner="barge"))["status"] == 200
        await since(it, before, f"channels/{ends[0]}")
        del exchange.there[ends[0]]
        left = {
            "type": "ChannelLeftBridge",
            "channel": {"id": ends[0]},
            "bridge": {"id": whisper, "channels": ends[1:]},
        }
        await exchange.say(left)
        await since(it, before, f"channels/{ends[1]}")
        await exchange.say({**left, "bridge": {"id": whisper, "channels": []}})
        await since(it, before, f"bridges/{whisper}")

        # while the connection is away she hangs up, and one end of her whisper stays alone
        exchange.there[ends[1]] = {"id": ends[1], "dialplan": {"app_name": "Stasis", "app_data": "supervised,whisper"}}
        exchange.bridges = [{"id": whisper, "channels": ends[1:]}, {"id": "whisper-x.y", "channels": []}]
        del exchange.there[leg]
        before = len(exchange.asked)
        await exchange.drop()
        asked = await since(it, before, "bridges/whisper-x.y")
        assert ("DELETE", f"channels/{ends[1]}") in asked
        found = it.center.request("GET", f"/v1/contacts/{contact}").json()
        assert (found["status"], found.get("participants")) == ("active", None), found
        assert not it.waiting(), "an end of a whisper is no caller"
        await boss.close()
        await exchange.say({"type": "StasisEnd", "channel": start["channel"]})
        await it.contact(contact, status="wrapping")
        await it.exchange.until("DELETE", f"channels/{owner}")
