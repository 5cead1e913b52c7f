"""The phone's stories, told to the pure core: a caller, two agents with phones, and what their provider tells of both.

Beside the pool that decides stands one that only folds the events; after every step both must remember the same.
"""

from collections.abc import Iterator

import msgspec

from router import engine, events, inputs
from router.config import Agent, Brand, Channel, Config, Queue
from router.effects import CancelLeg, Effect, EndCaller, HoldCaller, JoinCaller, RingLeg
from router.engine import Decision
from router.memory import Contact
from router.model import Identity, Thread
from router.state import Pool, apply

CALL, LEG, OTHER_LEG, CUSTOMER = "CA-caller", "CA-leg-1", "CA-leg-2", "CA-customer"
CALLER = "+821011112222"


def config(**queue: object) -> Config:
    rules = msgspec.structs.replace(Queue(id="care", name="Care", wrap_up_s=30), **queue)
    people = tuple(
        Agent(id=id_, name=id_.title(), brands=("shop",), mode="blended", phone=f"+82109999000{n}")
        for n, id_ in enumerate(("mina", "jun"), 1)
    )
    return Config(
        brands=(Brand(id="shop", name="Shop", default_queue="care"),),
        channels=(Channel(id="phone", name="Phone", brand="shop", provider="twilio_voice", kind="voice"),),
        queues=(rules, Queue(id="second", name="Second", wrap_up_s=0)),
        agents=people,
    )


class Story:
    def __init__(self, **queue: object) -> None:
        self.pool, self.mirror = Pool(), Pool()
        self.now, self.count = 1_800_000_000.0, 0
        self.do(inputs.ApplyConfig(version=1, config=config(**queue)))

    def do(self, wish: inputs.Input, after_s: float = 0.1) -> Decision:
        self.now += after_s
        self.count += 1
        return self._seen(engine.decide(self.pool, wish, self.now, f"input-{self.count}"))

    def pass_(self, seconds: float) -> list[Decision]:
        """Let time go by, with whatever becomes due in it."""
        self.now += seconds
        return list(self._due())

    def _due(self) -> Iterator[Decision]:
        while (decision := engine.expire(self.pool, self.now)) is not None:
            yield self._seen(decision)

    def _seen(self, decision: Decision) -> Decision:
        for event in decision.events:
            apply(self.mirror, event, self.pool.t)
        mine, theirs = self.pool.memory, self.mirror.memory
        assert (mine.contacts, mine.agents, mine.conversations, mine.sends) == (
            theirs.contacts,
            theirs.agents,
            theirs.conversations,
            theirs.sends,
        )
        return decision

    # -- what happens again and again

    def here(self, *agents: str) -> "Story":
        for agent in agents:
            self.do(inputs.Connect(agent=agent, connection=f"g1:boot:{agent}"))
            self.do(inputs.SetPresence(agent=agent, presence="available"))
        return self

    def call_comes(self) -> Decision:
        return self.do(
            inputs.ReceiveCall(
                channel="phone",
                thread=Thread(external=CALL, kind="call"),
                identity=Identity(scope="e164", kind="phone", value=CALLER),
            )
        )

    def call_ends(self, after_s: float = 1) -> Decision:
        thread = Thread(external=CALL, kind="call")
        return self.do(inputs.EndCall(channel="phone", thread=thread), after_s)

    def ring(self, decision: Decision, leg: str | None = LEG) -> RingLeg:
        """The leg this decision asks for, dialled by a worker; with no name, not yet told to be."""
        (ring,) = (effect for effect in decision.effects if isinstance(effect, RingLeg))
        assert self.do(inputs.ClaimSend(key=ring.key, worker="w:1")).answer.status == 200
        if leg is not None:
            self.dialled(ring, leg)
        return ring

    def dialled(self, ring: RingLeg, leg: str) -> Decision:
        return self.do(inputs.EndSend(key=ring.key, result="accepted", externals=(leg,)))

    def answered(self, ring: RingLeg, leg: str = LEG) -> Decision:
        return self.do(inputs.AnswerLeg(channel="phone", key=ring.key, leg=leg), 2)

    def leg_ends(self, ring: RingLeg, cause: str = "completed", leg: str = LEG) -> Decision:
        return self.do(inputs.EndLeg(channel="phone", key=ring.key, leg=leg, cause=cause), 2)  # type: ignore[arg-type]

    def talking(self) -> RingLeg:
        """Mina and the caller in one room."""
        ring = self.ring(self.here("mina").call_comes())
        self.answered(ring)
        return ring

    def dials_out(self, agent: str = "mina") -> Decision:
        return self.do(
            inputs.StartContact(
                agent=agent,
                channel="phone",
                thread=Thread(external="own-1", kind="call"),
                identity=Identity(scope="e164", kind="phone", value=CALLER),
            )
        )

    def talking_out(self) -> RingLeg:
        """Mina has called a customer, who answered."""
        own = self.ring(self.here("mina").dials_out())
        ring = self.ring(self.answered(own), CUSTOMER)
        self.answered(ring, CUSTOMER)
        return ring

    @property
    def contact(self) -> Contact:
        """The only contact there is."""
        (contact,) = self.pool.contacts.values()
        return contact

    def presence(self, agent: str) -> str:
        return self.pool.agents[agent].presence


def outcome(decision: Decision) -> str:
    (completed,) = (event for event in decision.events if isinstance(event, events.ContactCompleted))
    return completed.outcome


def join(contact: str, call: str = CALL) -> Effect:
    return JoinCaller(channel="phone", contact=contact, call=call)


def cancel(leg: str = LEG) -> Effect:
    return CancelLeg(channel="phone", leg=leg)


def end_caller(call: str = CALL) -> Effect:
    return EndCaller(channel="phone", call=call)


def hold_caller(contact: str, call: str = CALL) -> Effect:
    return HoldCaller(channel="phone", contact=contact, call=call)
