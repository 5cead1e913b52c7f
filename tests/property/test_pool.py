"""Whatever people and providers do, in whatever order: the list *Must never happen* holds after every step.

Each step is also folded from its events alone and compared (support.story), and now and then the pool goes on from a
snapshot of itself, which must change nothing.
"""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule

from router import inputs
from router.config import Queue, Step
from router.model import Identity, Requirement, Thread
from support.story import Story, agent, center

AGENTS = ("mina", "jun", "sora")
KINDS = ("voice", "chat", "sms", "email", "task")
QUEUES = (
    Queue(id="care", name="Care", wrap_up_s=5, first_reply_s=40, max_wait_s=200),
    Queue(
        id="skilled",
        name="Skilled",
        requires=(Requirement(skill="billing", level=3),),
        steps=(Step(after_s=20, requires=(Requirement(skill="billing"),), tier=2), Step(after_s=400, end="close")),
        strategy="best_skill",
        max_length=6,
    ),
    Queue(id="auto", name="Auto", auto_accept=True, wrap_up_s=0, strategy="least_loaded"),
)
CONFIG = center(
    agent("mina", skills={"billing": 3}),
    agent("jun", skills={"billing": 1}, units=60, mode="blended"),
    agent("sora", maximum={"chat": 1}),
    queues=QUEUES,
    skills=("billing",),
)
people = st.sampled_from(AGENTS)
customers = st.sampled_from([f"c{i}" for i in range(12)])


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.story = Story(CONFIG)
        self.story.on(*AGENTS)

    def some_contact(self, index: int) -> str:
        ids = sorted(self.story.pool.contacts)
        return ids[index % len(ids)] if ids else "nobody"

    @rule(who=customers, kind=st.sampled_from(KINDS), queue=st.sampled_from(["care", "skilled", "auto"]))
    def arrive(self, who: str, kind: str, queue: str) -> None:
        """A message or call; the queue comes from the channel here, so that all three are used."""
        channel = {"voice": "voice", "email": "email"}.get(kind, kind)
        self.story.arrives(who, channel)  # type: ignore[arg-type]

    @rule(who=people)
    def connect(self, who: str) -> None:
        self.story.tell(inputs.Connect(agent=who, connection=f"g:1:{who}"))

    @rule(who=people)
    def disconnect(self, who: str) -> None:
        self.story.off(who)

    @rule(
        who=people,
        presence=st.sampled_from(["available", "available", "available", "away", "offline", "draining"]),
        when=st.sampled_from(["now", "after"]),
    )
    def presence(self, who: str, presence: str, when: str) -> None:
        self.story.tell(inputs.SetPresence(agent=who, presence=presence, when=when))  # type: ignore[arg-type]

    @rule(who=people)
    def accept(self, who: str) -> None:
        contact = self.story.offered(who)
        if contact is not None:
            self.story.accepts(who)

    @rule(who=people)
    def decline(self, who: str) -> None:
        if self.story.offered(who) is not None:
            self.story.declines(who)

    @rule(
        who=people,
        index=st.integers(0, 20),
        what=st.sampled_from(["say", "note", "hold", "resume", "park", "wrap", "extend", "complete", "queue", "agent"]),
        other=people,
    )
    def work(self, who: str, index: int, what: str, other: str) -> None:
        contact = self.some_contact(index)
        owner = self.story.pool.contacts[contact].agent if contact in self.story.pool.contacts else None
        who = owner or who
        self.story.tell(
            {
                "say": inputs.SendMessage(agent=who, contact=contact),
                "note": inputs.SendMessage(agent=who, contact=contact, private=True),
                "hold": inputs.HoldContact(agent=who, contact=contact),
                "resume": inputs.ResumeContact(agent=who, contact=contact),
                "park": inputs.ParkContact(agent=who, contact=contact),
                "wrap": inputs.WrapUpContact(agent=who, contact=contact),
                "extend": inputs.ExtendWrapUp(agent=who, contact=contact, seconds=10),
                "complete": inputs.CompleteContact(agent=who, contact=contact),
                "queue": inputs.TransferContact(agent=who, contact=contact, queue="skilled"),
                "agent": inputs.TransferContact(agent=who, contact=contact, to_agent=other),
            }[what]
        )

    @rule(who=people, kind=st.sampled_from(["email", "sms", "voice"]), to=customers)
    def start(self, who: str, kind: str, to: str) -> None:
        identity = Identity(scope="t", kind="external", value=to)
        thread = Thread(external=f"own-{to}-{kind}")
        self.story.tell(inputs.StartContact(agent=who, channel=kind, thread=thread, identity=identity), "hello")

    @rule(index=st.integers(0, 20), cause=st.sampled_from(["completed", "busy", "no_answer", "failed", "canceled"]))
    def leg_ends(self, index: int, cause: str) -> None:
        contact = self.story.pool.contacts.get(self.some_contact(index))
        if contact is not None:
            key = contact.offer.id if contact.offer else "over"
            leg = contact.leg or (contact.offer.leg if contact.offer else None) or "leg"
            self.story.tell(inputs.EndLeg(channel="voice", key=key, leg=leg, cause=cause))  # type: ignore[arg-type]

    @rule(
        index=st.integers(0, 20),
        result=st.sampled_from(["accepted", "rejected", "uncertain"]),
        worker=st.sampled_from(["w:1", "w:2"]),
    )
    def send_ends(self, index: int, result: str, worker: str) -> None:
        keys = sorted(self.story.pool.memory.sends)
        if keys:
            key = keys[index % len(keys)]
            self.story.tell(inputs.ClaimSend(key=key, worker=worker))
            self.story.tell(inputs.EndSend(key=key, result=result, externals=(f"leg-{key}",)))  # type: ignore[arg-type]

    @rule(index=st.integers(0, 20))
    def customer_leaves(self, index: int) -> None:
        contact = self.story.pool.contacts.get(self.some_contact(index))
        if contact is not None:
            thread = self.story.pool.conversations[contact.conversation].thread
            if contact.kind == "voice":
                self.story.tell(inputs.EndCall(channel=contact.channel, thread=thread))
            else:
                self.story.tell(inputs.EndSession(channel=contact.channel, thread=thread))

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 21.0, 46.0, 70.0, 500.0, 100_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.story.wait(seconds)

    @rule(seconds=st.sampled_from([8.0, 4000.0, 1_000_000.0]))
    def outage(self, seconds: float) -> None:
        self.story.outage(seconds)

    @rule()
    def restart(self) -> None:
        self.story.restored()

    @rule(drop=st.sampled_from(["care", "skilled", "auto", None]))
    def configure(self, drop: str | None) -> None:
        queues = tuple(queue for queue in QUEUES if queue.id != drop)
        config = center(*CONFIG.agents, queues=queues, skills=("billing",))
        self.story.tell(inputs.ApplyConfig(version=self.story.pool.memory.version + 1, config=config))

    def teardown(self) -> None:
        """Nothing was lost: every contact that was opened is open still, or has been completed once."""
        from router import events

        opened = [event.contact for event in self.story.happened(events.ContactOpened)]  # type: ignore[attr-defined]
        ended = [event.contact for event in self.story.happened(events.ContactCompleted)]  # type: ignore[attr-defined]
        assert len(set(opened)) == len(opened)
        assert len(set(ended)) == len(ended)
        assert set(opened) == set(ended) | set(self.story.pool.contacts)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=300, stateful_step_count=60, deadline=None, derandomize=True)


def test_the_check_itself_sees_a_contact_that_waits_beside_an_open_agent() -> None:
    """A check that cannot fail proves nothing: plant the fault and see it found."""
    story = Story(CONFIG)
    story.on("mina")
    contact = story.arrives("ann")
    contact.status, contact.offer = "queued", None
    story.pool.agents["mina"].contacts.clear()
    story.pool.touch(contact)
    story.pool.touch_agent(story.pool.agents["mina"])
    assert story.pool.agent_for(contact) is not None
