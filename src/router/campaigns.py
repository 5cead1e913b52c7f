"""Campaigns: whom they keep free, how many lines they ring, and what becomes of a line.

A campaign keeps the agents that outbound work may have (blended ones only beyond what inbound work needs), asks for so
many people as `dialing` allows, and rings them. Who answers goes to whoever of those kept has been idle longest; who has
not reached an agent in time hears why and is let go. An attempt is asked for by its key, so asking twice calls nobody
twice, and a person is dialled at once after being allowed, or is asked for anew.
"""

import itertools

import msgspec

from router import dialing, events, outbound
from router.config import Campaign as Rules
from router.effects import ReserveAttempt
from router.inputs import EndReserve, Reserved, SetCampaign, WakeCampaign
from router.intake import open_conversation
from router.lines import connect, give_up, longest_idle
from router.memory import Agent, Asked, Campaign, Contact, Conversation, leg_key
from router.model import conversation_id, derive_id
from router.offers import make
from router.state import Pool
from router.talks import ring_customer
from router.turn import OK, Answer, Refusal, Turn

SILENT_S = 3.0
"""How long a campaign rests whose dialler does not answer."""
LEAST_REST_S = 1.0
"""So long it rests at least when there is nobody to call, whatever the dialler's clock says."""


# -- by hand


def set_running(turn: Turn, wish: SetCampaign) -> Answer:
    if wish.campaign not in turn.pool.lookup.campaigns:
        raise Refusal(404, "unknown-campaign")
    turn.emit(events.CampaignSet(campaign=wish.campaign, running=wish.running, by=wish.by))
    return OK


def wake(turn: Turn, wish: WakeCampaign) -> Answer:
    """While people are asked for it counts too: an answer that there is nobody may have been overtaken by it."""
    state = turn.pool.memory.campaigns.get(wish.campaign)
    if state is not None and (state.rests_until is not None or state.asked):
        turn.emit(events.CampaignWoken(campaign=wish.campaign))
    return OK


def configured(turn: Turn) -> None:
    """By another configuration: what is not in it is stopped, and whoever cannot do the work any more is let go."""
    pool = turn.pool
    for id_ in _strays(pool):
        if pool.memory.campaigns[id_].running:
            turn.emit(events.CampaignSet(campaign=id_, running=False, by="configuration"))
    for id_ in pool.memory.campaigns:
        for agent in longest_idle(pool, id_):
            if not pool.could_have(agent, pool.lookup.campaigns.get(id_)):
                turn.emit(events.AgentLetGo(agent=agent.id, reason="configuration"))


# -- after every decision


def pursue(turn: Turn) -> bool:
    """Keep whom a campaign may have, let go whom it may not, ask for people. Whether somebody has become free by it: then
    it is seen first who takes whom, and this is asked again."""
    for id_ in [*turn.pool.lookup.campaigns, *_strays(turn.pool)]:
        state = turn.pool.memory.campaigns.get(id_)
        if state is None or not (state.running or state.out or turn.pool.kept.get(id_)):
            continue
        rules = turn.pool.lookup.campaigns.get(id_)
        for contact in outbound.unserved(turn.pool, state):
            connect(turn, contact)
        if _let_go(turn, id_, rules, state):
            return True
        if rules is not None and _works(turn.pool, rules, state):
            _keep(turn, rules)
            _ask(turn, rules, state)
        _cut_short(turn, id_, rules, state)
    return False


def _strays(pool: Pool) -> list[str]:
    """Campaigns that are no longer configured and still keep somebody, or ring."""
    known = pool.lookup.campaigns
    return [id_ for id_ in pool.memory.campaigns if id_ not in known]


def _dials(pool: Pool, rules: Rules | None, state: Campaign) -> bool:
    """Whether somebody wants it to dial, and it has by what."""
    channel = pool.channel(rules.channel) if rules is not None else None
    return state.running and channel is not None and channel.enabled


def _works(pool: Pool, rules: Rules | None, state: Campaign) -> bool:
    return state.rests_until is None and _dials(pool, rules, state)


def _keep(turn: Turn, rules: Rules) -> None:
    """Whoever may have outbound work is kept for it, longest idle first, and no more than lines may ring."""
    while len(turn.pool.kept.get(rules.id, ())) < rules.most_lines:
        agent = turn.pool.agent_for_campaign(rules)
        if agent is None:
            return
        turn.emit(events.AgentKept(agent=agent.id, campaign=rules.id))


def _ask(turn: Turn, rules: Rules, state: Campaign) -> None:
    if rules.mode not in dialing.RINGING:
        has_one = {asked.agent for asked in state.asked.values()}
        for agent in longest_idle(turn.pool, rules.id):
            if agent.id not in has_one:
                _ask_one(turn, rules, state, agent.id)
        return
    now = pacing(turn.pool, rules, state, turn.now)
    if rules.mode == "predictive":
        _cut_rung(turn, rules, state, state.out - now.wanted)
    for _ in range(min(dialing.MOST_MORE, now.most - state.out)):
        _ask_one(turn, rules, state, None, now.live, now.abandoned, now.spare)


class Pacing(msgspec.Struct, frozen=True):
    """How many lines may ring, and why not more: `wanted` by the mode for the agents `kept` and those `freed` by then,
    `spare` beyond the agents by the ceiling, after `live` answers of which some were `abandoned`, or will be unless an
    agent becomes free."""

    kept: int
    freed: float
    wanted: int
    spare: int
    most: int
    live: int
    abandoned: int

    @property
    def limited_by(self) -> str:
        if self.most == self.wanted:
            return "agents" if self.kept == 0 else "mode"
        return "ceiling" if self.most == self.kept + self.spare else "most_lines"


def pacing(pool: Pool, rules: Rules, state: Campaign, now: float) -> Pacing:
    kept = len(pool.kept.get(rules.id, ()))
    live, abandoned = outbound.at_stake(pool, rules, state, now)
    spare = dialing.spare(live, abandoned, rules.ceiling) if rules.mode in dialing.BEYOND else 0
    wrapping = state.wrapping.values()
    freed = 0.0
    if rules.mode == "predictive":
        freed = state.pace.freed(state.busy - len(wrapping), [now - since for since in wrapping])
    wanted = dialing.wanted(rules.mode, rules.ratio, state.pace, kept, freed)
    most = min(wanted, kept + spare, rules.most_lines)
    return Pacing(kept, freed, wanted, spare, most, live, abandoned)


def _ask_one(
    turn: Turn, rules: Rules, state: Campaign, agent: str | None, live: int = 0, abandoned: int = 0, spare: int = 0
) -> None:
    # With the moment in it, for a log that was restored from a backup counts the same numbers again.
    key = derive_id("attempt", rules.id, str(state.number + 1), repr(turn.now))
    turn.emit(events.AttemptAsked(campaign=rules.id, attempt=key, agent=agent))
    turn.do(
        ReserveAttempt(
            channel=rules.channel,
            key=key,
            campaign=rules.id,
            look=rules.mode == "preview",
            agent=agent,
            live=live,
            abandoned=abandoned,
            spare=spare,
        )
    )


def _spare(pool: Pool, rules: Rules | None, state: Campaign, now: float) -> int:
    """So many lines may ring without an agent."""
    if rules is None or rules.mode not in dialing.BEYOND:
        return 0
    return dialing.spare(*outbound.at_stake(pool, rules, state, now), rules.ceiling)


def _let_go(turn: Turn, id_: str, rules: Rules | None, state: Campaign) -> bool:
    """Those whom no line needs, when the campaign does not dial; one of them, when inbound work needs him more: who
    takes that is seen before the next."""
    pool, kept = turn.pool, turn.pool.kept.get(id_)
    works = _works(pool, rules, state)
    if not kept or (works and not pool.inbound_presses()):
        return False
    idle = longest_idle(pool, id_)
    free = max(0, len(kept) - max(0, state.out - _spare(pool, rules, state, turn.now)))
    if works:
        owed = ((agent, reason) for agent in idle if (reason := pool.owed_to_inbound(agent)) is not None)
        leaving = list(itertools.islice(owed, min(1, free)))
    else:
        leaving = [(agent, "campaign-rests") for agent in idle[:free]]
    for agent, reason in leaving:
        turn.emit(events.AgentLetGo(agent=agent.id, reason=reason))
    return bool(leaving)


def _cut_rung(turn: Turn, rules: Rules, state: Campaign, over: int) -> None:
    """So many lines more ring than will be served: those that have rung long enough are cut, the oldest first."""
    if over > 0:
        contacts = [turn.pool.contacts[id_] for id_ in state.lines.values()]
        rung = [contact for contact in contacts if turn.now - contact.since >= rules.least_ring_s]
        for contact in rung[:over]:
            give_up(turn, contact, "cut_short")


def _cut_short(turn: Turn, id_: str, rules: Rules | None, state: Campaign) -> None:
    """Agents have gone while their lines rang: rather than let somebody answer to nobody, the oldest lines are cut."""
    if not state.lines:
        return
    over = len(state.lines) - len(turn.pool.kept.get(id_, ())) - _spare(turn.pool, rules, state, turn.now)
    for contact in list(state.lines.values())[: max(0, over)]:
        give_up(turn, turn.pool.contacts[contact], "cut_short")


# -- a person, or none


def end_reserve(turn: Turn, wish: EndReserve) -> Answer:
    """An attempt's answer has come. What is no longer wanted is said to be dropped, so that the person is free again."""
    state = turn.pool.memory.campaigns.get(wish.campaign)
    rules = turn.pool.lookup.campaigns.get(wish.campaign)
    asked = state.asked.get(wish.key) if state is not None else None
    if state is not None and asked is not None and asked.contact is not None:
        return _looked_at(turn, wish, turn.pool.contacts.get(asked.contact), _dials(turn.pool, rules, state))
    if state is None or rules is None or asked is None:
        return _late(turn, wish)
    if wish.reserved is None:
        return _nobody(turn, wish, state, asked)
    known = turn.pool.conversations.get(conversation_id(rules.channel, wish.reserved.thread))
    why_not = _why_not(turn, rules, state, asked, known)
    if why_not is not None:
        return _drop(turn, wish, why_not)
    return _begin(turn, wish, rules, wish.reserved, turn.pool.agents.get(asked.agent or ""))


def _late(turn: Turn, wish: EndReserve) -> Answer:
    """Told twice, or when nobody waits for it any more. Whoever is being called is not free again by it."""
    if derive_id("contact", wish.key) not in turn.pool.contacts:
        _drop(turn, wish, "late")
    return Answer(code="late")


def _nobody(turn: Turn, wish: EndReserve, state: Campaign, asked: Asked) -> Answer:
    _drop(turn, wish, wish.reason)
    if asked.woken:
        return OK
    until = None if wish.again_at is None else max(wish.again_at, turn.now + LEAST_REST_S)
    if state.rests_until is None or (until or 0) > state.rests_until:
        turn.emit(events.CampaignRested(campaign=wish.campaign, reason=wish.reason, until=until))
    return OK


def _why_not(turn: Turn, rules: Rules, state: Campaign, asked: Asked, known: Conversation | None) -> str | None:
    """Why a person who was found is not called after all."""
    if not _dials(turn.pool, rules, state):
        return "stopped"
    if known is not None and known.contact is not None:
        return "conversation-open"
    kept, rings = turn.pool.kept.get(rules.id, {}), rules.mode in dialing.RINGING
    if rings != (asked.agent is None):
        return "mode-changed"
    fits = state.out <= len(kept) + _spare(turn.pool, rules, state, turn.now) if rings else asked.agent in kept
    return None if fits else "no-agent"


def _begin(turn: Turn, wish: EndReserve, rules: Rules, reserved: Reserved, agent: Agent | None) -> Answer:
    """A line rings, or the agent for whom it was asked has the person to look at."""
    channel = turn.pool.lookup.channels[rules.channel]
    known = turn.pool.conversations.get(conversation_id(channel.id, reserved.thread))
    conversation = known or open_conversation(turn, channel, reserved.thread, reserved.identity, reserved.language)
    contact_id = derive_id("contact", wish.key)
    turn.emit(
        events.ContactOpened(
            contact=contact_id,
            conversation=conversation.id,
            direction="outbound",
            queue=rules.queue,
            enqueued_at=turn.now,
            target_s=turn.pool.lookup.queues[rules.queue].target(channel.kind),
            attributes=reserved.attributes,
            language=reserved.language,
            campaign=rules.id,
            attempt=wish.key,
            person=reserved.person,
            dialling=agent is None,
            rings=rules.mode != "direct",
        )
    )
    contact = turn.pool.contacts[contact_id]
    if agent is None:
        ring_customer(turn, contact, wish.key, rules.ring_s)
    else:
        make(turn, contact, agent, "kept")
    return Answer(contact=contact_id)


def _drop(turn: Turn, wish: EndReserve, reason: str) -> Answer:
    turn.emit(events.AttemptDropped(campaign=wish.campaign, attempt=wish.key, reason=reason))
    return Answer(code=reason or "nobody")


def ask_again(turn: Turn, contact: Contact) -> None:
    """The agent has looked, and dials: whether the person may be called is asked now."""
    campaign, key = contact.campaign or "", contact.attempt_id or ""
    turn.emit(events.AttemptAsked(campaign=campaign, attempt=key, contact=contact.id))
    turn.do(
        ReserveAttempt(channel=contact.channel, key=key, campaign=campaign, person=contact.person, agent=contact.agent)
    )


def _looked_at(turn: Turn, wish: EndReserve, contact: Contact | None, dials: bool) -> Answer:
    """The second answer of a preview. Its agent waits on the line, or has had enough of it."""
    if contact is None or not _awaits_leave(contact):
        _drop(turn, wish, "late")
        return Answer(code="late")
    if wish.reserved is None or not dials:
        reason = wish.reason if wish.reserved is None else "stopped"
        _drop(turn, wish, reason)
        give_up(turn, contact, "refused")
        return Answer(code=reason or "nobody", contact=contact.id)
    _drop(turn, wish, "answered")
    ring_customer(turn, contact, leg_key(contact, "customer"))
    return Answer(contact=contact.id)


def _awaits_leave(contact: Contact) -> bool:
    return contact.status == "active" and contact.leg is not None and contact.call is None


# -- timers


def due(turn: Turn, campaign: str, kind: str) -> None:
    if kind == "wake":
        turn.emit(events.CampaignWoken(campaign=campaign))
        return
    state = turn.pool.memory.campaigns[campaign]
    late = [(key, asked) for key, asked in state.asked.items() if asked.at + outbound.ANSWER_WITHIN_S <= turn.now]
    for key, asked in late:
        turn.emit(events.AttemptDropped(campaign=campaign, attempt=key, reason="no-answer"))
        contact = turn.pool.contacts.get(asked.contact or "")
        if contact is not None and _awaits_leave(contact):
            give_up(turn, contact, "refused")
    if late and state.rests_until is None:
        turn.emit(events.CampaignRested(campaign=campaign, reason="dialler-silent", until=turn.now + SILENT_S))
