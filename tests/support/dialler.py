"""Stories of campaigns: whoever stands in for the dialler, the phones that ring, and the people called.

Each step is decided a second time by a pool that was restored the moment before: both must decide and remember the same.
"""

import msgspec

from naru.sim.faults.run import restored
from router import events, inputs
from router.config import Agent, Campaign, Config, Queue
from router.effects import Effect, ReserveAttempt, RingLeg
from router.engine import Decision, decide, expire
from router.inputs import Reserved
from router.memory import Campaign as State
from router.memory import Contact
from router.model import AnsweredBy, Identity, Thread
from support.story import Story, agent, center

QUEUES = (Queue(id="care", name="Care", wrap_up_s=0), Queue(id="out", name="Out", wrap_up_s=10))


def campaign(mode: str = "progressive", id_: str = "sales", **more: object) -> Campaign:
    given = {"channel": "voice", "queue": "out", **more}
    return Campaign(id=id_, name=id_.title(), mode=mode, **given)  # type: ignore[arg-type]


def house(
    *campaigns: Campaign, mode: str = "outbound", names: tuple[str, ...] = ("mina", "jun"), **more: object
) -> Config:
    people: tuple[Agent, ...] = tuple(agent(name, mode=mode) for name in names)
    return center(*people, **{"queues": QUEUES, "campaigns": campaigns, **more})  # type: ignore[arg-type]


class Outreach(Story):
    """A story with one campaign, or several: `sales` is meant where none is named."""

    def __init__(self, *campaigns: Campaign, here: tuple[str, ...] = (), begins: bool = True, **more: object) -> None:
        super().__init__(house(*(campaigns or (campaign(),)), **more))  # type: ignore[arg-type]
        self.people = 0
        self._answered: set[int] = set()
        self.on(*here)
        if begins:
            for one in campaigns or (campaign(),):
                self.sets(one.id)

    # -- every step twice

    def tell(
        self, wish: inputs.Input, text: str | None = None, at: float | None = None, id_: str | None = None
    ) -> Decision:
        self._expire(self.now)
        id_ = id_ or f"input-{self.count + 1}"
        again = restored(self.pool)
        decision = super().tell(wish, text, at, id_)
        if text is None:
            self._same(decision, decide(again, wish, self.now, id_, at))
            assert again.memory == self.pool.memory
        return decision

    def _expire(self, until: float) -> list[events.Event]:
        happened: list[events.Event] = []
        again = restored(self.pool)
        while (decision := expire(self.pool, until)) is not None:
            self._same(decision, expire(again, until))
            happened += self._note(decision, self.pool.t)
            again = restored(self.pool)
        return happened

    def _same(self, decision: Decision, other: Decision | None) -> None:
        assert other is not None and msgspec.json.encode(decision) == msgspec.json.encode(other)

    # -- the house

    def sets(self, id_: str = "sales", running: bool = True) -> Decision:
        return self.tell(inputs.SetCampaign(campaign=id_, running=running, by="sue"))

    def stops(self, id_: str = "sales") -> Decision:
        return self.sets(id_, False)

    def applies(self, config: Config) -> Decision:
        version = self.pool.memory.version + 1
        return self.tell(inputs.ApplyConfig(version=version, config=config))

    def changes(self, **more: object) -> Decision:
        """The configuration with some of it otherwise."""
        return self.applies(msgspec.structs.replace(self.pool.memory.config, **more))

    # -- the dialler

    @property
    def leaves(self) -> list[ReserveAttempt]:
        """People who were asked for and have not come."""
        asked = [(n, effect) for n, effect in enumerate(self.effects) if isinstance(effect, ReserveAttempt)]
        return [effect for n, effect in asked if n not in self._answered]

    def next(self, agent: str | None = None) -> ReserveAttempt:
        """The first who was asked for, of an agent if one is named, and has not come."""
        open_ = [(n, e) for n, e in enumerate(self.effects) if isinstance(e, ReserveAttempt)]
        asked = [(n, e) for n, e in open_ if n not in self._answered and agent in (None, e.agent)]
        assert asked, "nobody was asked for"
        self._answered.add(asked[0][0])
        return asked[0][1]

    def comes(self, wish: ReserveAttempt | None = None, **more: object) -> Decision:
        """Somebody may be called."""
        wish = wish or self.next()
        self.people += not wish.person
        person = wish.person or f"p{self.people}"
        reserved = Reserved(
            person=person,
            identity=Identity(scope="e164", kind="phone", value=f"+8210{person}"),
            **{"thread": Thread(external=f"attempt:{wish.key}", kind="call"), **more},  # type: ignore[arg-type]
        )
        return self.tell(inputs.EndReserve(campaign=wish.campaign, key=wish.key, reserved=reserved))

    def nobody(self, reason: str = "nobody-left", again_at: float | None = None) -> Decision:
        wish = self.next()
        return self.tell(inputs.EndReserve(campaign=wish.campaign, key=wish.key, reason=reason, again_at=again_at))

    # -- phones

    def rung(self, decision: Decision, leg: str | None = None) -> RingLeg:
        """The phone that this decision lets ring, dialled by a worker at once."""
        (ring,) = (effect for effect in decision.effects if isinstance(effect, RingLeg))
        assert self.claims(ring).answer.code == "ok"
        self.tell(inputs.EndSend(key=ring.key, result="accepted", externals=(leg or leg_of(ring),)))
        return ring

    def claims(self, ring: RingLeg) -> Decision:
        return self.tell(inputs.ClaimSend(key=ring.key, worker="w:1"))

    def line(self, **more: object) -> RingLeg:
        """The next person's phone rings."""
        return self.rung(self.comes(**more))  # type: ignore[arg-type]

    def picks_up(self, ring: RingLeg, by: AnsweredBy | None = "human", leg: str | None = None) -> Decision:
        wish = inputs.AnswerLeg(channel=ring.channel, key=ring.key, leg=leg or leg_of(ring), answered_by=by)
        return self.tell(wish)

    def ends(self, ring: RingLeg, cause: str = "no_answer") -> Decision:
        leg = leg_of(ring)
        return self.tell(inputs.EndLeg(channel=ring.channel, key=ring.key, leg=leg, cause=cause))  # type: ignore[arg-type]

    def answers(self, name: str) -> Contact:
        """The agent's phone, which rings for the one who has picked up, is answered."""
        contact = self.offered(name)
        assert contact is not None and contact.offer is not None
        send = self.pool.memory.sends[contact.offer.id]
        assert isinstance(send.effect, RingLeg) and send.effect.side == "agent"
        self.claims(send.effect)
        leg = leg_of(send.effect)
        self.tell(inputs.EndSend(key=send.effect.key, result="accepted", externals=(leg,)))
        assert self.picks_up(send.effect, None).answer.status == 200
        return contact

    def talks(self, name: str = "mina") -> Contact:
        """The next person answers and talks to this agent."""
        self.picks_up(self.line())
        return self.answers(name)

    # -- looking

    def state(self, id_: str = "sales") -> State:
        return self.pool.memory.campaigns[id_]

    def kept(self, id_: str = "sales") -> list[str]:
        return sorted(self.pool.kept.get(id_, ()))

    def counted(self, id_: str = "sales") -> tuple[int, int]:
        """Live answers and those abandoned among them, of all days."""
        days = self.state(id_).days
        return sum(live for _, live, _ in days), sum(lost for _, _, lost in days)

    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.journal if isinstance(event, events.ContactCompleted)]

    def dropped(self) -> list[str]:
        return [event.reason for event in self.journal if isinstance(event, events.AttemptDropped)]


def leg_of(ring: RingLeg) -> str:
    return f"leg-{ring.key}"


def of(decision: Decision, kind: type[Effect]) -> list[Effect]:
    return [effect for effect in decision.effects if isinstance(effect, kind)]


def only(decision: Decision, kind: type[events.Event]) -> events.Event:
    (found,) = (event for event in decision.events if isinstance(event, kind))
    return found
