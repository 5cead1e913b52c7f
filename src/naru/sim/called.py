"""The people of a scenario's outbound work: the dialler that finds them, the phones that ring, and who answers.

Everything here stands in for what is outside of the router: the list, the switch, and the person called. All answers are
given at the moment of the question, but for a phone, which rings as long as it rings.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from naru.sim import center
from naru.sim.chance import sampler
from naru.sim.scenario import Outreach
from router import effects, events, inputs
from router.model import Identity, Thread

if TYPE_CHECKING:
    from naru.sim.world import World


class OutboundTally(msgspec.Struct):
    """What was done in the window: lines that rang (of direct work: pieces begun), answers by people, and what of them was
    lost; `busy_s` is agents' full capacity."""

    dials: int = 0
    live: int = 0
    connected: int = 0
    abandoned: int = 0
    busy_s: float = 0


class Called:
    """Somebody who is called, or a piece of work. `handling` is the uniform number drawn for the talk."""

    __slots__ = ("busy_from", "campaign", "contact", "ends_at", "handling", "number", "team")

    def __init__(self, campaign: "Campaign", number: int, handling: float) -> None:
        self.campaign = campaign
        self.number = number
        self.handling = handling
        self.contact = ""
        self.team = -1
        self.busy_from = self.ends_at = math.inf


class Campaign:
    """One campaign's people, each drawn as it is asked for."""

    def __init__(self, number: int, given: Outreach, uniforms: Callable[[str, str], Callable[[], float]]) -> None:
        self.number = number
        self.id = center.campaign_id(number)
        self.kind = given.channel
        self.left = math.inf if given.backlog == "infinite" else given.backlog
        self.live_answer = given.live_answer
        self.handling = sampler(given.handling)
        self.ring = sampler(given.ring) if given.ring is not None else None
        self.handling_number = uniforms(given.name, "handling")
        self.ring_number = uniforms(given.name, "ring")
        self.live_number = uniforms(given.name, "live")
        self._rested: list[int] = []
        self._made = 0

    def change(self, t: float, live_answer: float) -> None:
        """From now on so many answer."""
        self.live_answer = live_answer

    def next(self) -> int:
        """A number to call: that of somebody whose call is over, so that the router's memory stays small."""
        if self._rested:
            return self._rested.pop()
        self._made += 1
        return self._made

    def over(self, called: Called) -> None:
        self._rested.append(called.number)

    def thread(self, number: int) -> Thread:
        return Thread(external=f"{self.id}-{number}")

    def reserved(self, number: int) -> inputs.Reserved:
        identity = Identity(scope="simulation", kind="external", value=f"{self.id}-{number}")
        return inputs.Reserved(person=str(number), identity=identity, thread=self.thread(number))


class Outside:
    """What answers the router's effects."""

    def __init__(self, world: "World", campaigns: list[Campaign]) -> None:
        self._world = world
        self.campaigns = campaigns
        self.tallies = [OutboundTally() for _ in campaigns]
        self._by_id = {campaign.id: campaign for campaign in campaigns}
        self._reserved: dict[str, Called] = {}
        self._called: dict[str, Called] = {}
        self._cut: set[str] = set()

    def start(self, t: float) -> None:
        for campaign in self.campaigns:
            self._world.tell(t, inputs.SetCampaign(campaign=campaign.id, running=True, by="simulation"))

    # -- what the router asks for

    def do(self, t: float, wanted: list[effects.Effect]) -> None:
        """Each is answered after whatever is being decided now, in its order."""
        for effect in wanted:
            kind = type(effect)
            if kind is effects.ReserveAttempt:
                self._world.clock.add(t, self._reserve, effect)
            elif kind is effects.RingLeg and effect.side == "agent":  # type: ignore[attr-defined]
                self._agent_answers(t, effect)  # type: ignore[arg-type]
            elif kind is effects.RingLeg and effect.channel in self._by_id:
                self._world.clock.add(t, self._ring, effect)
            elif kind is effects.RingLeg:
                self._world.clock.add(t, self._world.ring_back, effect)
            elif kind is effects.CancelLeg:
                self._cut.add(effect.leg)  # type: ignore[attr-defined]

    def _reserve(self, t: float, effect: effects.ReserveAttempt) -> None:
        campaign = self._by_id[effect.campaign]
        reserved = None
        if effect.person is not None:
            reserved = campaign.reserved(int(effect.person))
        elif campaign.left > 0:
            campaign.left -= 1
            called = Called(campaign, campaign.next(), campaign.handling_number())
            self._reserved[effect.key] = called
            reserved = campaign.reserved(called.number)
        answer = inputs.EndReserve(campaign=campaign.id, key=effect.key, reserved=reserved, reason="nobody")
        self._world.tell(t, answer)
        unused = self._reserved.pop(effect.key, None)
        if unused is not None:  # it came too late to be wanted
            campaign.left += 1
            campaign.over(unused)

    def _agent_answers(self, t: float, effect: effects.RingLeg) -> None:
        """Agents wait for it, and take no time."""
        leg = f"leg-{effect.key}"
        self._world.tell(t, inputs.EndSend(key=effect.key, result="accepted", externals=(leg,)))
        self._world.tell(t, inputs.AnswerLeg(channel=effect.channel, key=effect.key, leg=leg))

    def _ring(self, t: float, effect: effects.RingLeg) -> None:
        leg = f"leg-{effect.key}"
        self._world.tell(t, inputs.EndSend(key=effect.key, result="accepted", externals=(leg,)))
        campaign = self._by_id[effect.channel]
        assert campaign.ring is not None
        tally = self.tallies[campaign.number]
        tally.dials += self._world.counts(t)
        ring_s = campaign.ring(campaign.ring_number())
        answers = campaign.live_number() < campaign.live_answer
        self._world.clock.add(t + ring_s, self._picked_up if answers else self._rang_out, (effect, leg))

    def _picked_up(self, t: float, rung: tuple[effects.RingLeg, str]) -> None:
        effect, leg = rung
        if self._was_cut(leg):
            return
        self.tallies[self._by_id[effect.channel].number].live += self._world.counts(t)
        self._world.tell(t, inputs.AnswerLeg(channel=effect.channel, key=effect.key, leg=leg, answered_by="human"))
        called = self._called.get(effect.contact)
        if called is not None and called.team >= 0 and called.busy_from == math.inf:  # an agent waited on the line
            self._connected(called, t)

    def _rang_out(self, t: float, rung: tuple[effects.RingLeg, str]) -> None:
        effect, leg = rung
        if self._was_cut(leg):
            return
        self._world.tell(t, inputs.EndLeg(channel=effect.channel, key=effect.key, leg=leg, cause="no_answer"))

    def _was_cut(self, leg: str) -> bool:
        was = leg in self._cut
        self._cut.discard(leg)
        return was

    # -- what has happened

    def opened(self, event: events.ContactOpened, t: float) -> None:
        assert event.campaign is not None and event.attempt is not None
        called = self._reserved.pop(event.attempt)
        called.contact = event.contact
        self._called[event.contact] = called

    def accepted(self, event: events.OfferAccepted, t: float) -> bool:
        """Whether it was a campaign's. The talk begins, unless a phone must ring before."""
        called = self._called.get(event.contact)
        if called is None:
            return False
        campaign = called.campaign
        called.team = self._world.team_of[event.agent]
        contact = self._world.pool.contacts[event.contact]
        if campaign.ring is None:
            self.tallies[campaign.number].dials += self._world.counts(t)
            self.tallies[campaign.number].live += self._world.counts(t)
        if campaign.ring is None or contact.call is not None:
            self._connected(called, t)
        return True

    def _connected(self, called: Called, t: float) -> None:
        campaign = called.campaign
        self.tallies[campaign.number].connected += self._world.counts(t)
        handling = self._world.handling_of(called.team) or campaign.handling
        called.busy_from = t
        called.ends_at = t + handling(called.handling)
        self._world.clock.add(called.ends_at, self._end_talk, called)

    def _end_talk(self, t: float, called: Called) -> None:
        if called.contact in self._called and called.ends_at == t:
            campaign = called.campaign
            self._world.tell(t, inputs.EndSession(channel=campaign.id, thread=campaign.thread(called.number)))

    def completed(self, event: events.ContactCompleted, t: float) -> bool:
        called = self._called.pop(event.contact, None)
        if called is None:
            return False
        campaign = called.campaign
        self.tallies[campaign.number].abandoned += event.outcome == "nobody_free" and self._world.counts(t)
        self._rested(called, t)
        campaign.over(called)
        return True

    def _rested(self, called: Called, t: float) -> None:
        campaign = called.campaign
        busy_s = self._world.in_window(called.busy_from, t)
        if busy_s > 0:
            share = busy_s * self._world.share_of(called.team, campaign.kind)
            self.tallies[campaign.number].busy_s += share
            self._world.tally.busy_s[called.team] += share
        called.busy_from = math.inf

    def finish(self) -> None:
        for called in self._called.values():
            self._rested(called, self._world.ends)
