"""Why, asked of a running center: the answer is as of then, whatever has happened since, and the same after a restart."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.ports import NotRetained
from naru.admin.config import parse
from naru.app import Naru
from naru.bus.base import JOURNAL
from naru.fold import SnapshotWriter
from naru.settings import Settings
from naru.store.snapshots import KEEP, superfluous
from naru.wire import Record, encode
from router import events, inputs
from router.explain import explain_offer, offer_id
from router.model import Content, Identity, Text, Thread
from router.state import Pool
from support.center import CONFIG, AgentDesk, Center, ChatPage


def why(center: Center, contact: str, **query: Any) -> dict[str, Any]:
    answer = center.request("GET", f"/v1/contacts/{contact}/why", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def reasons(found: dict[str, Any]) -> dict[str, str]:
    return {passed["agent"]: passed["reason"]["code"] for passed in found["passed_over"]}


async def test_a_decision_is_explained_as_it_was_then(tmp_path: Path) -> None:
    with Center(tmp_path / "data") as center:
        jun = await AgentDesk.open(center, center.agent_key("jun"))
        mina = await AgentDesk.open(center, center.agent_key("mina"))
        for desk in (jun, mina):
            assert (await desk.do("status", presence="available"))["status"] == 200
        page = await ChatPage.open(center, center.hook("web"))
        await page.say("m1", "안녕하세요")
        offer = (await jun.next("offer"))["offer"]
        contact = offer["contact"]
        first = why(center, contact)
        assert (first["about"], first["attempt"], first["chosen"]["agent"]) == ("offer", 1, "jun")
        assert first["chosen"]["reason"]["code"] == "chosen_longest_idle"
        assert reasons(first) == {"mina": "idle_less", "owner": "other_brand"}

        await jun.do("decline", offer=offer["id"])
        offer = (await mina.next("offer"))["offer"]
        await jun.do("status", presence="away", reason="lunch")
        assert (await mina.do("accept", offer=offer["id"]))["status"] == 200
        second = why(center, contact)
        assert (second["attempt"], second["chosen"]["agent"], reasons(second)["jun"]) == (2, "mina", "excluded")
        assert why(center, contact, attempt=1) == first, "jun's absence now changes nothing then"

        other = await ChatPage.open(center, center.hook("web"))
        await other.say("m1", "hello")
        taken = (await mina.next("offer"))["offer"]
        await mina.do("decline", offer=taken["id"])
        await mina.do("status", presence="away")
        waiting = why(center, taken["contact"], lang="ko")
        assert (waiting["about"], waiting["position"]) == ("waiting", 1)
        assert reasons(waiting) == {"mina": "presence", "jun": "presence_for", "owner": "other_brand"}
        assert any(line.endswith("Jun: 자리 비움 (lunch)") for line in waiting["text"])
        third = await ChatPage.open(center, center.hook("web"))
        await third.say("m1", "hello?")
        live = center.request("GET", "/v1/live").json()["waiting"]
        gone = next(each["id"] for each in live if each["id"] != taken["contact"])
        await third.send(type="bye")
        await mina.do("wrap-up", contact=contact)
        assert (await mina.do("complete", contact=contact, disposition="done"))["status"] == 200
        ended = why(center, gone)
        while ended["about"] == "waiting":  # the customer's word is on its way
            await asyncio.sleep(0.02)
            ended = why(center, gone)
        assert (ended["about"], ended["outcome"]) == ("ended", "abandoned")
        assert why(center, contact) == second
        assert center.request("GET", f"/v1/contacts/{contact}/why?attempt=3").json()["code"] == "unknown-attempt"
        assert center.request("GET", f"/v1/contacts/{gone}/why?attempt=1").status_code == 404
        for each in (page, other, third, jun, mina):
            await each.close()

        idle = center.request("GET", "/v1/agents/mina/why-idle").json()
        assert idle["closed"]["chat"] == {"code": "presence", "params": {"presence": "away"}}
        assert [each["contact"] for each in idle["contacts"]] == [taken["contact"]]

        assert center.stop() == 0
        center.start()
        assert [why(center, contact, attempt=1), why(center, contact), why(center, gone)] == [first, second, ended]
        printed = center.cli("why", contact, "--attempt", "1", "--lang", "en").stdout.splitlines()
        assert printed == first["text"]
        assert "chosen: Jun, idle longest of the 2 who could take it" in printed
        korean = center.cli("why", contact, "--lang", "ko").stdout
        assert "선택: Mina, 받을 수 있는 유일한 상담원" in korean
        accepted = center.request("GET", f"/v1/contacts/{contact}/why", headers={"Accept-Language": "ko-KR,ko;q=0.9"})
        assert accepted.json()["text"] == korean.splitlines()
        assert "Mina is" in center.cli("why", "--agent", "mina", "--lang", "en").stdout
        assert center.cli("why", check=False).returncode == 2
        assert center.cli("why", "nobody", check=False).returncode == 1


# -- in one process


class House:
    """A center without its edges, with its clock."""

    def __init__(self, folder: Path) -> None:
        self.naru = Naru(Settings(data=str(folder)))
        self.count = 0

    async def __aenter__(self) -> "House":
        await self.naru.start()
        await self.naru.ensure_workspace("main", parse(CONFIG))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.naru.stop()

    async def ask(self, body: inputs.Input, text: str | None = None) -> str | None:
        self.count += 1
        content = Content(parts=(Text(text=text),)) if text else None
        answer, _ = await self.naru.center.ask("main", "test", f"k{self.count}", body, content)
        assert answer is not None
        assert answer.status < 300, answer
        return answer.contact

    async def arrives(self, who: str) -> str:
        identity, thread = Identity(scope="t", kind="visitor", value=who), Thread(external=who)
        wish = inputs.ReceiveMessage(channel="web", thread=thread, identity=identity, dedupe_key=who)
        return await self.ask(wish, "hello") or ""

    async def on(self, agent: str) -> None:
        await self.ask(inputs.Connect(agent=agent, connection=f"t:{agent}"))
        await self.ask(inputs.SetPresence(agent=agent, presence="available"))

    async def snapshot(self) -> None:
        await SnapshotWriter(self.naru.fold, self.naru.snapshots, 60, 5000).save(0)

    async def chosen(self, contact: str) -> str | None:
        """Who was chosen for its first offer, by what is explained."""
        offer = offer_id(contact, 1)

        def tell(pool: Pool, event: events.Event) -> str | None:
            found = explain_offer(pool, contact, event.agent).chosen  # type: ignore[attr-defined]
            return found.agent if found is not None and found.agrees else None

        def is_it(event: events.Event) -> bool:
            return isinstance(event, events.OfferMade) and event.offer == offer

        return await self.naru.pasts.before("main", (offer, is_it), self.naru.clock() - 5, tell)


async def test_what_a_dead_owner_wrote_does_not_count(tmp_path: Path) -> None:
    async with House(tmp_path / "data") as house:
        contact = await house.arrives("ann")
        made = events.OfferMade(offer=offer_id(contact, 1), contact=contact, agent="jun", attempt=1, shown_until=0)
        dead = Record(n="dead", s=7, i=0, t=house.naru.clock(), workspace="main", pool="main", ev=(made,))
        await house.naru.log.append(JOURNAL, 0, [encode(dead)])
        await house.on("mina")
        assert await house.chosen(contact) == "mina"


async def test_a_decision_before_the_newest_snapshot_is_folded_from_an_older_one_or_not_at_all(tmp_path: Path) -> None:
    async with House(tmp_path / "data") as house:
        await house.on("jun")
        await house.snapshot()
        contact = await house.arrives("ann")
        for who in ("ben", "cho", "dan"):
            await house.arrives(who)
            await house.snapshot()
        assert await house.chosen(contact) == "jun"
        end = await house.naru.log.end(JOURNAL, 0)
        await house.naru.log.trim(JOURNAL, 0, end - 1)
        with pytest.raises(NotRetained, match="7 days"):
            await house.chosen(contact)
        await house.naru.snapshots.forget(0, end - 1)
        assert await house.naru.snapshots.oldest(0) is not None, "the newest are for starting from"


def test_of_older_snapshots_the_first_of_each_hour_is_kept() -> None:
    hour = 3600.0
    times = [0.1, 0.2, 1.1, 1.5, 1.9, 2.5, 3.1, 3.2, 3.3, 3.4]
    kept = [(number, t * hour) for number, t in enumerate(times)][::-1]
    gone = superfluous(kept)
    assert sorted(set(range(10)) - set(gone)) == [0, 2, 5, 6, 7, 8, 9]
    assert len(kept) - len(gone) == KEEP + 4
    many = [(number, number * hour) for number in range(500)][::-1]
    assert len(many) - len(superfluous(many)) == 200
