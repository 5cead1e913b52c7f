"""Telling stories about one pool: small words for inputs, a clock that one moves, and everything that came of it.

The pool is folded a second time from the events alone, and after each step both must be the same: so every story also
proves that restoring gives the same state.
"""

import msgspec

from naru.sim.checks import check
from naru.sim.faults.run import Late
from router import events, inputs
from router.config import Agent, Brand, Channel, Config, Kind, Queue, Skill
from router.engine import Decision, decide, expire
from router.memory import Contact, Memory
from router.model import Content, Identity, Text, Thread, conversation_id
from router.state import Pool, apply

CHANNELS: tuple[Kind, ...] = ("voice", "chat", "sms", "email", "social", "task")


def center(
    *agents: Agent,
    queues: tuple[Queue, ...] = (Queue(id="care", name="Care"),),
    skills: tuple[str, ...] = (),
    **more: object,
) -> Config:
    """A configuration with one brand and a channel of every kind (named by its kind)."""
    return Config(
        brands=(Brand(id="shop", name="Shop", default_queue=queues[0].id),),
        channels=tuple(Channel(id=k, name=k, brand="shop", provider="x", kind=k) for k in CHANNELS),
        queues=queues,
        skills=tuple(Skill(id=skill, name=skill) for skill in skills),
        agents=agents,
        **more,  # type: ignore[arg-type]
    )


def agent(id_: str, **more: object) -> Agent:
    return Agent(id=id_, name=id_.title(), brands=("shop",), phone=f"+82{id_}", **more)  # type: ignore[arg-type]


class Story:
    def __init__(self, config: Config, now: float = 1_000_000.0) -> None:
        self.pool = Pool()
        self.copy: Pool = Late()
        self.now = now
        self.count = 0
        self.journal: list[events.Event] = []
        self.effects: list[object] = []
        self.last: Decision | None = None
        self.tell(inputs.ApplyConfig(version=1, config=config))

    # -- time and inputs

    def wait(self, seconds: float) -> list[events.Event]:
        """Let time pass: every timer happens when it falls due, as with an owner that is awake."""
        self.now += seconds
        happened: list[events.Event] = []
        while (due := self.pool.due_at()) is not None and due <= self.now:
            happened += self._expire(due)
        return happened

    def outage(self, seconds: float) -> list[events.Event]:
        """Nobody was awake meanwhile: what fell due is found late."""
        self.now += seconds
        return self._expire(self.now)

    def _expire(self, until: float) -> list[events.Event]:
        happened: list[events.Event] = []
        while (decision := expire(self.pool, until)) is not None:
            happened += self._note(decision, self.pool.t)
        return happened

    def tell(
        self, wish: inputs.Input, text: str | None = None, at: float | None = None, id_: str | None = None
    ) -> Decision:
        self._expire(self.now)
        self.count += 1
        content = Content(parts=(Text(text=text),)) if text is not None else None
        before = msgspec.json.encode(self.pool.memory) if self.count > 1 else b""
        decision = decide(self.pool, wish, self.now, id_ or f"input-{self.count}", at, content)
        if decision.answer.status >= 400:
            assert msgspec.json.encode(self.pool.memory) == before, "a refused input changed something"
        self._note(decision, self.now)
        self.last = decision
        return decision

    def _note(self, decision: Decision, t: float) -> list[events.Event]:
        self.journal += decision.events
        self.effects += decision.effects
        for event in decision.events:
            apply(self.copy, msgspec.json.decode(msgspec.json.encode(event), type=events.AnyEvent), t)
        assert self.copy.memory == self.pool.memory
        check(self.pool)
        return decision.events

    def restored(self) -> None:
        """Go on from a snapshot: what happens next must not differ."""
        self.pool = Pool(msgspec.msgpack.decode(msgspec.msgpack.encode(self.pool.memory), type=Memory))

    # -- people

    def on(self, *agents: str) -> None:
        for name in agents:
            self.tell(inputs.Connect(agent=name, connection=f"g:1:{name}"))
            self.tell(inputs.SetPresence(agent=name, presence="available"))

    def off(self, name: str) -> None:
        self.tell(inputs.Disconnect(agent=name, connection=f"g:1:{name}"))

    def arrives(self, who: str, kind: Kind = "chat", text: str = "hello", **more: object) -> Contact:
        """A customer writes (or calls) for the first time."""
        common = {"channel": kind, "identity": Identity(scope="t", kind="external", value=who), **more}
        if kind == "voice":
            known = conversation_id("voice", Thread(external=who, kind="call")) in self.pool.conversations
            call = f"{who}-{self.count}" if known else who  # each call of a customer has a name of its own
            wish: inputs.Input = inputs.ReceiveCall(thread=Thread(external=call, kind="call"), **common)  # type: ignore[arg-type]
        else:
            key = f"{who}-{self.count}"
            wish = inputs.ReceiveMessage(thread=Thread(external=who), dedupe_key=key, **common)  # type: ignore[arg-type]
        decision = self.tell(wish, text if kind != "voice" else None)
        assert decision.answer.contact is not None, decision.answer
        return self.pool.contacts.get(decision.answer.contact) or Contact(
            id=decision.answer.contact, conversation="", channel=kind, brand="", kind=kind, queue="", direction="inbound",
            enqueued_at=0, arrival=0, since=0,
        )  # fmt: skip

    def accepts(self, name: str) -> Contact:
        """The agent takes the open offer: at the desk, or, for a call, by picking up."""
        contact = self.offered(name)
        assert contact is not None and contact.offer is not None, f"{name} has no offer"
        if contact.kind == "voice":
            wish: inputs.Input = inputs.AnswerLeg(channel="voice", key=contact.offer.id, leg=f"leg-{contact.offer.id}")
        else:
            wish = inputs.AcceptOffer(agent=name, offer=contact.offer.id)
        assert self.tell(wish).answer.status == 200
        return contact

    def declines(self, name: str) -> None:
        contact = self.offered(name)
        assert contact is not None and contact.offer is not None
        assert self.tell(inputs.DeclineOffer(agent=name, offer=contact.offer.id)).answer.status == 200

    def completes(self, name: str, contact: Contact) -> None:
        assert self.tell(inputs.CompleteContact(agent=name, contact=contact.id)).answer.status == 200

    # -- looking

    def offered(self, name: str) -> Contact | None:
        """The contact that is offered to an agent now."""
        found = [c for c in self.pool.contacts.values() if c.offer is not None and c.offer.agent == name]
        return found[0] if found else None

    def who_has(self, contact: Contact) -> str | None:
        now = self.pool.contacts.get(contact.id)
        if now is None:
            return None
        return now.agent or (now.offer.agent if now.offer else None)

    def happened(self, kind: type[events.Event]) -> list[events.Event]:
        return [event for event in self.journal if isinstance(event, kind)]
