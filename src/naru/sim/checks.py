"""The list *Must never happen* of routing.md, as far as one state of a pool shows it; `faults.ledger` sees the rest.

Every check looks at memory for itself, so that a rule and its check do not share a fault, and says which one failed.
The indexes are held against memory, against `router.scan` and against `router.reasons`, which know nothing of them.
"""

from collections.abc import Iterable, Mapping

from router import dialing, outbound, scan
from router.capacity import INTERRUPTIBLE, MAXIMUM
from router.cells import CLOSED
from router.config import COST_UNITS
from router.config import Agent as Profile
from router.eligible import has_offer, signed_in, state_of
from router.memory import LOST_OFFER_S, Agent, Campaign, Contact
from router.model import KINDS
from router.named import names_of
from router.queueing import TIER_SHIFT, key_of
from router.reasons import Blending, Case, why_closed, why_not_open
from router.rows import LONG
from router.skills import lacks, requirement_sets
from router.state import Pool, agent_deadlines, contact_deadlines, conversation_deadlines

HOLDING = ("offered", "active", "held", "wrapping")
"""Statuses in which a contact takes its agent's units."""
STALE = 8 * LONG
"""Entries that no longer count may lie in a row until somebody looks or comes: a bound, not a leak."""
OWNED = ("active", "held", "parked", "wrapping")


class Fault(AssertionError):
    """Something that must never happen. `check` is the short name of the check that saw it."""

    def __init__(self, check: str, what: str) -> None:
        super().__init__(f"{check}: {what}")
        self.check = check
        self.what = what

    def __reduce__(self) -> tuple[type["Fault"], tuple[str, str]]:
        return Fault, (self.check, self.what)


def check(pool: Pool) -> None:
    """All that one state shows, of everybody. Raises Fault."""
    for agent in pool.agents.values():
        maximum(pool, agent)
    consistent(pool)


def consistent(pool: Pool) -> None:
    """All but the capacity, of which one state does not show whether it was right when it was taken up."""
    holders(pool)
    promised(pool)
    derived(pool)
    campaigns(pool)
    waiting(pool, [contact for contact in pool.contacts.values() if contact.status == "queued"])
    openness(pool, pool.agents.values())


# -- who has what


def promised(pool: Pool) -> None:
    """Who is to be called back is not on the line, and is known by who was promised it."""
    for contact in pool.contacts.values():
        if contact.callback is not None and contact.call is not None:
            raise Fault("callback", f"{contact.id} is to be called back and is on the line as {contact.call}")
        if contact.status == "scheduled" and contact.callback is None:
            raise Fault("callback", f"{contact.id} is scheduled, and nobody is to be called")
    for caller, id_ in pool.memory.callbacks.items():
        known = pool.contacts.get(id_)
        if known is None or known.callback is None or known.callback.caller != caller:
            raise Fault("callback", f"{caller} was promised {id_}, which is over")


def holders(pool: Pool) -> None:
    """One owner or one live offer, as the status says, and the agents' lists say the same."""
    held: dict[str, list[str]] = {}
    offered: set[str] = set()
    for contact in pool.contacts.values():
        _one_holder(pool, contact)
        who = contact.offer.agent if contact.offer is not None else contact.agent
        if who is not None:
            held.setdefault(who, []).append(contact.id)
        if contact.offer is not None and who is not None:
            if who in offered:
                raise Fault("one offer", f"two open offers of {who}")
            offered.add(who)
    guests = sorted((who, contact.id) for contact in pool.contacts.values() for who in contact.participants)
    attended = sorted((agent.id, contact) for agent in pool.agents.values() for contact in agent.attends)
    if guests != attended:
        raise Fault("lists agree", f"guests are {guests}, by the agents {attended}")
    for agent in pool.agents.values():
        if sorted(agent.contacts) != sorted(held.pop(agent.id, ())):
            raise Fault("lists agree", f"{agent.id} has {agent.contacts} and the contacts say otherwise")
    if held:
        raise Fault("lists agree", f"nobody knows {sorted(held)}")


def _one_holder(pool: Pool, contact: Contact) -> None:
    offer, status = contact.offer, contact.status
    if (offer is not None) != (status == "offered") or (contact.agent is not None) != (status in OWNED):
        raise Fault("one owner", f"{contact.id} is {status} with {contact.agent} and {offer}")
    if (contact.parked_for is not None) != (status == "parked"):
        raise Fault("transition", f"{contact.id} is {status} and was parked {contact.parked_for}")
    if offer is not None and pool.offers.get(offer.id) != contact.id:
        raise Fault("indexes", f"the offer {offer.id} is not found")
    if contact.conversation not in pool.conversations:
        raise Fault("lost", f"{contact.id} has no conversation")


def heard(pool: Pool, told: Mapping[str, tuple[str, str]]) -> None:
    """Whoever monitors a call is heard as his manner says, by the owner of now: `told` is the manner that the channel was
    told of last, and the owner's leg, by the monitoring leg. A leg of which nothing was told is heard by nobody."""
    for contact in pool.contacts.values():
        for agent, guest in contact.participants.items():
            if guest.role != "monitoring" or guest.leg is None or contact.leg is None:
                continue
            manner, owner_leg = told.get(guest.leg, ("listen", ""))
            if manner != guest.manner or (manner == "whisper" and owner_leg != contact.leg):
                raise Fault("heard", f"{agent} is to {guest.manner} to {contact.leg}, and does {manner} to {owner_leg}")


def maximum(pool: Pool, agent: Agent) -> None:
    """At most so many of a kind. (Units and at_once: `over`, which needs to know what was before.)"""
    profile = pool.profile(agent.id)
    if profile is None:
        return
    mine = [contact.kind for contact in pool.assigned(agent) if contact.status in HOLDING]
    for kind in mine:
        most = profile.maximum.get(kind, MAXIMUM[kind])
        if mine.count(kind) > most:
            raise Fault("capacity", f"{agent.id} has {mine.count(kind)} of {kind}, at most {most}")


def over(pool: Pool, agent: Agent, profile: Profile) -> dict[str, int]:
    """By how much an agent holds more than may be, by measure. What an open offer will interrupt is not counted, and
    the calls of others that an agent is on are: one has but two ears."""
    mine = [contact for contact in pool.assigned(agent) if contact.status in HOLDING]
    kinds = [contact.kind for contact in mine]
    kinds += [kind for kind in (pool.contacts[id_].kind for id_ in agent.attends) if kind == "voice"]
    used = sum(COST_UNITS[kind] for kind in kinds)
    if any(contact.kind == "voice" and contact.status == "offered" for contact in mine):
        used -= sum(
            COST_UNITS[contact.kind]
            for contact in mine
            if contact.kind in INTERRUPTIBLE and contact.status in ("active", "held")
        )
    found = {"units": used - profile.units}
    if profile.at_once is not None:
        found["at once"] = len(kinds) - profile.at_once
    for kind in dict.fromkeys(kinds):
        found[kind] = kinds.count(kind) - profile.maximum.get(kind, MAXIMUM[kind])
    return {measure: more for measure, more in found.items() if more > 0}


# -- what derives


def derived(pool: Pool) -> None:
    """Everything that is kept beside memory says what memory says."""
    contacts = pool.contacts.values()
    queued = {contact.arrival: contact.id for contact in contacts if contact.status == "queued"}
    if pool.waiting != queued or pool.matching.line.waiters.keys() != queued.keys():
        raise Fault("indexes", f"waiting are {sorted(pool.waiting)}, not {sorted(queued)}")
    offers = {contact.offer.id: contact.id for contact in contacts if contact.offer is not None}
    if pool.offers != offers:
        raise Fault("indexes", f"the open offers are {sorted(offers)}, not {sorted(pool.offers)}")
    excluding = {contact.id for contact in contacts if contact.status == "queued" and contact.excluded}
    if pool.excluding.keys() != excluding:
        raise Fault("indexes", f"excluding are {sorted(pool.excluding)}, not {sorted(excluding)}")
    named = {(contact.channel, name): contact.id for contact in contacts for name in names_of(contact)}
    if pool.named.contacts != named:
        raise Fault("indexes", f"the lines are {named}, not {pool.named.contacts}")
    lengths: dict[str, int] = {}
    for id_ in queued.values():
        lengths[pool.contacts[id_].queue] = lengths.get(pool.contacts[id_].queue, 0) + 1
    found = {queue: length for queue in {*pool.matching.line._listed, *lengths} if (length := pool.length(queue))}
    if found != lengths:
        raise Fault("indexes", f"the queues are {lengths} long, not {found}")
    timers(pool)


def timers(pool: Pool) -> None:
    """Each state that somebody could forget has a timer out of it, and the next one is the next of all."""
    due = [at for agent in pool.agents.values() for at in agent_deadlines(pool, agent).values()]
    due += [at for known in pool.conversations.values() for at in conversation_deadlines(known).values()]
    due += [at for state in pool.memory.campaigns.values() for at in outbound.deadlines(state).values()]
    for contact in pool.contacts.values():
        mine = contact_deadlines(pool, contact)
        if not mine and contact.status != "queued":
            raise Fault("timer out", f"{contact.id} is {contact.status} for ever")
        due += mine.values()
    if pool.due_at() != min(due, default=None):
        raise Fault("timers", f"due next at {pool.due_at()}, not at {min(due, default=None)}")


def overdue(pool: Pool, now: float) -> None:
    """Once all that was due has happened, nothing is left of it."""
    due = pool.due_at()
    if due is not None and due <= now:
        raise Fault("timers", f"still due at {due}, now it is {now}")
    for contact in pool.contacts.values():
        if contact.status == "queued" and any(until <= now for until in contact.excluded.values()):
            raise Fault("timers", f"{contact.id} still excludes {contact.excluded}")
        if contact.offer is not None:
            lost_at = pool.agents[contact.offer.agent].lost_at
            if lost_at is not None and lost_at + LOST_OFFER_S <= now:
                raise Fault("timers", f"{contact.id} is still offered to {contact.offer.agent}, lost at {lost_at}")


# -- campaigns


def campaigns(pool: Pool) -> None:
    """Who is kept, what rings and what is counted is what the contacts and agents say; no line rings for nobody."""
    kept: dict[str, set[str]] = {}
    for agent in pool.agents.values():
        if agent.kept_for is not None:
            kept.setdefault(agent.kept_for, set()).add(agent.id)
            if not signed_in(agent) or has_offer(pool, agent) or pool.profile(agent.id) is None:
                raise Fault("kept", f"{agent} is kept, and is not there or has an offer")
    if {id_: set(agents) for id_, agents in pool.kept.items() if agents} != kept:
        raise Fault("kept", f"kept are {kept}, not {pool.kept}")
    theirs: dict[str, list[Contact]] = {}
    for contact in pool.contacts.values():
        if contact.campaign is not None:
            theirs.setdefault(contact.campaign, []).append(contact)
    for id_ in [*theirs, *kept]:
        if id_ not in pool.memory.campaigns:
            raise Fault("counted", f"{id_} has contacts or agents, and is not known")
    for id_, state in pool.memory.campaigns.items():
        _counted(id_, state, theirs.get(id_, []))
        _allowed(pool, id_, state, len(kept.get(id_, ())), theirs.get(id_, []))


def _counted(id_: str, state: Campaign, contacts: list[Contact]) -> None:
    attempts = [contact.attempt_id for contact in contacts]
    if len(set(attempts)) != len(attempts):
        raise Fault("one attempt", f"{id_} has {attempts}")
    seen = {
        "lines": {c.attempt_id: c.id for c in contacts if c.status == "dialling"},
        "reaching": {c.id for c in contacts if c.reach_by is not None},
        "busy": sum(contact.answered for contact in contacts),
        "wrapping": {c.id for c in contacts if c.status == "wrapping"},
    }
    told = {"lines": state.lines, "reaching": set(state.reaching), "busy": state.busy, "wrapping": set(state.wrapping)}
    if told != seen:
        raise Fault("counted", f"{id_} has {seen}, and counts {told}")
    twice = [key for key, asked in state.asked.items() if key in attempts and asked.contact is None]
    if twice:
        raise Fault("one attempt", f"{id_} asks for {twice}, which have somebody")
    for contact in contacts:
        if contact.reach_by is not None and (contact.call is None or contact.status not in ("queued", "offered")):
            raise Fault("live answer", f"{contact.id} is {contact.status}, and somebody waits on {contact.call}")


def _allowed(pool: Pool, id_: str, state: Campaign, kept: int, contacts: list[Contact]) -> None:
    """Lines ring for agents who are kept, or within the ceiling; agents are kept for lines, or while it may dial."""
    rules = pool.lookup.campaigns.get(id_)
    if len(state.lines) > kept + spare(pool, id_):
        raise Fault("ceiling", f"{id_} rings {len(state.lines)} lines, {kept} are kept and {spare(pool, id_)} to spare")
    channel = pool.channel(rules.channel) if rules is not None else None
    works = state.running and state.rests_until is None and channel is not None and channel.enabled
    if kept and not works and not state.out:
        raise Fault("kept", f"{id_} keeps {pool.kept.get(id_)}, does not work and has no lines")
    waiting = [contact for contact in contacts if contact.status == "queued" and contact.reach_by is not None]
    for contact in waiting:
        able = [agent for agent in pool.kept.get(id_, ()) if agent not in contact.excluded]
        if able:
            raise Fault("live answer", f"{contact.id} waits beside {able}, who are kept for it")


def spare(pool: Pool, id_: str) -> int:
    """So many lines may ring beyond those kept: who has answered and waits for nobody yet counts as lost."""
    rules, state = pool.lookup.campaigns.get(id_), pool.memory.campaigns[id_]
    if rules is None or rules.mode not in ("power", "predictive"):
        return 0
    first = int(pool.t // 86_400) - rules.window_days + 1
    live = sum(number for day, number, _ in state.days if day >= first)
    lost = sum(number for day, _, number in state.days if day >= first)
    lost += sum(c.status == "queued" for c in pool.contacts.values() if c.campaign == id_ and c.reach_by is not None)
    return (
        dialing.NO_LIMIT
        if rules.ceiling >= 1
        else max(0, int((rules.ceiling * live - lost) / (1 - rules.ceiling) + 1e-9))
    )


# -- nobody waits beside an open agent


def waiting(pool: Pool, contacts: Iterable[Contact]) -> None:
    """What waits can be given to nobody: by the index, by looking at everybody, and by what is said to whoever asks."""
    blending = Blending(pool)
    for contact in contacts:
        waiter = pool.matching.line.waiters.get(contact.arrival)
        if waiter is None or waiter != pool._waiter(contact, pool.queue(contact)):
            raise Fault("indexes", f"{contact.id} is not in line as it should be")
        in_place(pool, contact, waiter.place)
        by_index = pool.agent_for(contact)
        if by_index is not None:
            raise Fault("beside an open agent", f"{contact.id} waits beside {by_index.id}")
        if scan.agent_for(pool.matching, waiter) >= 0:
            raise Fault("index and scan", f"{contact.id} waits beside somebody whom the index does not see")
        case = Case(pool, contact, blending)
        for agent in pool.agents.values():
            if case.first_reason(agent) is None:
                raise Fault("beside an open agent", f"{contact.id} waits beside {agent.id}, by what memory says")


def in_place(pool: Pool, contact: Contact, place: int) -> None:
    """Tier 0 once `max_wait` is over, else that of a supervisor, the last step, the rule or the queue, in this order;
    inside it, the time it is due.

    A step that is skipped when nobody is there has been passed where nobody is.
    """
    queue = pool.queue(contact)
    tiers = [step.tier for step in queue.steps[: contact.step] if step.tier is not None]
    tiers = [queue.tier if contact.tier is None else contact.tier, *tiers]
    tier = 0 if contact.promoted else tiers[-1] if contact.hand_tier is None else contact.hand_tier
    due_at = pool.due_by(contact, queue.target(contact.kind)) - contact.head_start_s
    if place >> TIER_SHIFT != tier or abs(key_of(place) - max(0.0, due_at)) > 1e-3:
        raise Fault("place in line", f"{contact.id} stands in tier {place >> TIER_SHIFT} at {key_of(place)}")
    following = queue.steps[contact.step] if contact.step < len(queue.steps) else None
    stays = contact.patient or contact.reach_by is not None or contact.called_back
    stays = stays or (contact.callback is not None and following is not None and following.end is not None)
    if contact.step > 0 and following is not None and queue.steps[contact.step - 1].skip_if_nobody and not stays:
        sets = requirement_sets(contact, pool.lookup)
        there = [pool.profile(agent.id) for agent in pool.agents.values() if signed_in(agent)]
        if not any(p is not None and lacks(p, requires) is None for p in there for _, requires in sets):
            raise Fault("step passed", f"{contact.id} waits in step {contact.step}, and nobody is there for it")


def openness(pool: Pool, agents: Iterable[Agent]) -> None:
    """Whoever is open for something finds nothing that waits for it, and is as open as memory says."""
    cells = pool.matching.cells
    for agent in agents:
        number = cells.numbers.get(agent.id)
        if number is None:
            if pool.profile(agent.id) is not None:
                raise Fault("indexes", f"{agent.id} is in no cell")
            continue
        if cells.states[number] != state_of(pool, agent):
            raise Fault("indexes", f"{agent.id} is not {cells.states[number]} but {state_of(pool, agent)}")
        shown = why_closed(pool, agent)
        for kind, lane in zip(KINDS, cells.states[number][2] or CLOSED, strict=True):
            closed = why_not_open(pool, agent, kind)
            if shown[kind] != closed:
                raise Fault("shown at the desk", f"{agent.id} is shown {shown[kind]} for {kind}, and it is {closed}")
            if (lane < 0) != (closed is not None):
                raise Fault("indexes", f"{agent.id} is in lane {lane} for {kind}: {closed}")
        found = pool.contact_for(agent)
        if found is not None:
            raise Fault("beside an open agent", f"{agent.id} is open and {found.id} waits")
        if scan.contact_for(pool.matching, number) >= 0:
            raise Fault("index and scan", f"{agent.id} is open and somebody waits whom the index does not see")


# -- when all is over


def nothing_left(pool: Pool) -> None:
    """After everybody has gone nothing is kept of them but what is bounded."""
    line, cells = pool.matching.line, pool.matching.cells
    kept = {
        "contacts": pool.contacts,
        "conversations": pool.conversations,
        "sends": pool.memory.sends,
        "callbacks": pool.memory.callbacks,
        "offers": pool.offers,
        "waiting": pool.waiting,
        "excluding": pool.excluding,
        "skipping": pool.skipping,
        "to settle": {**pool.dirty_contacts, **pool.dirty_agents},
        "in line": line.waiters,
        "in person": [h for heaps in line.personal_of.values() for h in heaps.values() if h.size() > STALE],
        "lengths": [queue for queue, length in line._listed.items() if length],
        "not listed": line.unlisted,
    }
    for what, left in kept.items():
        if left:
            raise Fault("nothing left", f"{what}: {left}")
    for id_, state in pool.memory.campaigns.items():
        if state.asked or state.lines or state.reaching or state.wrapping or state.busy or state.running:
            raise Fault("nothing left", f"of campaign {id_}: {state}")
    for agent in pool.agents.values():
        if agent.contacts or agent.attends or agent.kept_for is not None:
            raise Fault("nothing left", f"{agent.id} still has {agent.contacts} {agent.attends}")
    if pool.due_at() is not None or pool.timers._known or pool.timers._far or pool.timers._near:
        raise Fault("nothing left", f"timers: {pool.timers._known}")
    lanes = [lane for shape in cells._shapes.values() for cell in shape.cells.values() for lane in cell.lanes]
    for lane in lanes:
        if lane.size() > 2 * LONG * lane.limit:
            raise Fault("nothing left", f"{lane.size()} tokens in one lane")
