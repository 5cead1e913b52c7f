"""What a campaign's events change in a pool's memory: who is kept for it, its attempts, and what it has measured.

The counterpart of `campaigns`, which decides. Live answers are counted by the day, so that the ceiling's window can slide.
"""

import math
from typing import TYPE_CHECKING, Any

from router import dialing, events
from router.config import Campaign as Rules
from router.memory import Asked, Campaign, Contact, Steered

if TYPE_CHECKING:
    from router.state import Pool

DAY_S = 86_400
NEVER = 1e15
"""Rests until somebody wakes it."""
ANSWER_WITHIN_S = 5.0
"""An attempt whose person has not come by then is given up, so that nobody is kept for a dialler that is away."""
LINE_LOST_S = 45.0
"""So long after its ringing time a line of which nobody tells the end counts as gone."""
STEP = 0.4
"""How far one contact moves a steered reserve, in agents, by how far it is from what is aimed at."""
AHEAD, REPAY, MOST_AIM = 0.03, 2.0, 0.97
"""A little more is aimed at than is promised, for a peak that may come; and what the day is behind, besides."""
SPREAD = 1.2
"""The most that is kept, in square roots of the agents there are: more than chance can bring at once is kept in vain."""
UNMEASURED = frozenset(("stale", "refused", "cut_short", "invalid", "uncertain"))
"""Ends of a line that say nothing about who answers, and after how long."""


def campaign(pool: "Pool", id_: str) -> Campaign:
    found = pool.memory.campaigns.get(id_)
    if found is None:
        found = pool.memory.campaigns[id_] = Campaign(wrapping={}, asked={}, lines={}, reaching=[], days=[])
    return found


def in_window(state: Campaign, t: float, window_days: int) -> tuple[int, int]:
    """Live answers, and abandoned ones among them, of so many days up to now."""
    first = int(t // DAY_S) - window_days + 1
    counted = [(live, abandoned) for day, live, abandoned in state.days if day >= first]
    return sum(live for live, _ in counted), sum(abandoned for _, abandoned in counted)


def unserved(pool: "Pool", state: Campaign) -> list[Contact]:
    """Those who have answered and wait, and are offered to nobody."""
    reaching = [pool.contacts[id_] for id_ in state.reaching]
    return [contact for contact in reaching if contact.status == "queued"]


def at_stake(pool: "Pool", rules: Rules, state: Campaign, t: float) -> tuple[int, int]:
    """Live answers, and those of them that are abandoned, or will be unless an agent becomes free in time."""
    live, abandoned = in_window(state, t, rules.window_days)
    return live, abandoned + len(unserved(pool, state))


def _count(pool: "Pool", state: Campaign, live: int, abandoned: int) -> None:
    today = int(pool.t // DAY_S)
    if not state.days or state.days[-1][0] != today:
        state.days = [*(entry for entry in state.days if entry[0] > today - 366), (today, 0, 0)]
    day, before, lost = state.days[-1]
    state.days[-1] = (day, before + live, lost + abandoned)


def _met(pool: "Pool", contact: Contact, abandoned: bool) -> None:
    rules = pool.lookup.campaigns.get(contact.campaign or "")
    if rules is not None:
        state = campaign(pool, rules.id)
        live, lost = in_window(state, pool.t, rules.window_days)
        state.pace.met(abandoned, dialing.aim(live, lost, rules.ceiling, state.out))


# -- what happens to a contact of a campaign; `state.apply` calls these


def opened(pool: "Pool", contact: Contact) -> None:
    """An attempt has its person."""
    state, key = campaign(pool, contact.campaign or ""), contact.attempt_id or ""
    state.asked.pop(key, None)
    if contact.status == "dialling":
        state.lines[key] = contact.id


def reached(pool: "Pool", contact: Contact) -> None:
    """An agent has it in hand for the first time."""
    state = campaign(pool, contact.campaign or "")
    state.busy += 1
    if contact.reach_by is not None:
        contact.reach_by = None
        state.reaching.remove(contact.id)
        _met(pool, contact, abandoned=False)


def joined(pool: "Pool", contact: Contact) -> None:
    """The person whom an agent has called is on the line."""
    _count(pool, campaign(pool, contact.campaign or ""), 1, 0)


def wrapping(pool: "Pool", contact: Contact) -> None:
    state = campaign(pool, contact.campaign or "")
    if contact.id not in state.wrapping:
        state.wrapping[contact.id] = float(pool.t)
        _talked(pool, state, contact)


def _talked(pool: "Pool", state: Campaign, contact: Contact) -> None:
    if contact.accepted_at is not None:
        state.pace.talked(pool.t - contact.accepted_at)


def ended(pool: "Pool", contact: Contact, outcome: str) -> None:
    state = campaign(pool, contact.campaign or "")
    state.lines.pop(contact.attempt_id or "", None)
    if contact.reach_by is not None:
        state.reaching.remove(contact.id)
    if contact.answered:
        state.busy -= 1
        since = state.wrapping.pop(contact.id, None)
        if since is None:
            _talked(pool, state, contact)
        state.pace.wrapped(0.0 if since is None else pool.t - since)
    elif contact.status == "dialling" and outcome not in UNMEASURED:
        state.pace.rang(pool.t - contact.since, live=False)
    elif outcome == "nobody_free":
        _count(pool, state, 0, 1)
        _met(pool, contact, abandoned=True)


def deadlines(state: Campaign) -> dict[str, float]:
    """What is due of a campaign: the oldest attempt that nobody has answered, and its waking."""
    found: dict[str, float] = {}
    if state.asked:
        found["asked"] = next(iter(state.asked.values())).at + ANSWER_WITHIN_S
    if state.rests_until is not None and state.rests_until < NEVER:
        found["wake"] = state.rests_until
    return found


# -- the reserve that follows the service level


def steer(pool: "Pool", contact: Contact, wait_s: float | None) -> None:
    """An inbound contact was answered after so long, or lost: the reserve of its queue moves a little.

    It rises with each that was late and falls with each that was not, in such a measure that it rests where just the
    share that is aimed at is answered in time. While no agent has outbound work in hand a late one says nothing of the
    reserve: then there are too few agents, and more kept idle would only keep outbound work away afterwards. What a day
    owes its service level raises the aim.
    """
    queue = pool.lookup.queues[contact.queue]
    if queue.steer is None:
        return
    state = pool.memory.steered.get(queue.id)
    if state is None:
        state = pool.memory.steered[queue.id] = Steered(level=float(queue.reserve))
    today = int(pool.t // DAY_S)
    if state.day != today:
        state.day, state.all, state.in_time = today, 0, 0
    in_time = wait_s is not None and wait_s <= queue.steer.within_s
    state.all += 1
    state.in_time += in_time
    if in_time or any(known.busy for known in pool.memory.campaigns.values()):
        moved = state.level + STEP * (_aim(state, queue.steer.service_level) - in_time)
        most = max(queue.reserve, SPREAD * math.sqrt(len(pool.agents)))
        state.level = min(most, max(float(queue.reserve), moved))
        pool.keep_reserve(queue)


def _aim(state: Steered, promised: float) -> float:
    owed = promised - state.in_time / state.all
    return min(MOST_AIM, promised + AHEAD + max(0.0, REPAY * owed))


# -- apply


def _line_answered(pool: "Pool", event: events.LineAnswered) -> None:
    contact = pool.contacts[event.contact]
    state = campaign(pool, contact.campaign or "")
    state.lines.pop(contact.attempt_id or "", None)
    state.pace.rang(pool.t - contact.since, live=True)
    _count(pool, state, 1, 0)
    contact.status = "queued"
    contact.since = contact.waits_from = pool.t
    contact.call, contact.ringing = event.leg, None
    contact.reach_by = float(event.reach_by)
    state.reaching.append(contact.id)
    pool.touch(contact)


def _campaign_set(pool: "Pool", event: events.CampaignSet) -> None:
    state = campaign(pool, event.campaign)
    state.running, state.rests_until, state.reason = event.running, None, ""


def _campaign_rested(pool: "Pool", event: events.CampaignRested) -> None:
    state = campaign(pool, event.campaign)
    state.rests_until = NEVER if event.until is None else float(event.until)
    state.reason = event.reason
    pool.watch_campaign(event.campaign)


def _campaign_woken(pool: "Pool", event: events.CampaignWoken) -> None:
    state = campaign(pool, event.campaign)
    state.rests_until, state.reason = None, ""
    for asked in state.asked.values():
        asked.woken = True
    pool.watch_campaign(event.campaign)


def _agent_kept(pool: "Pool", event: events.AgentKept) -> None:
    agent = pool.agents[event.agent]
    agent.kept_for = event.campaign
    pool.kept.setdefault(event.campaign, {})[agent.id] = None
    pool.touch_agent(agent)


def _agent_let_go(pool: "Pool", event: events.AgentLetGo) -> None:
    agent = pool.agents[event.agent]
    pool.keep_no_more(agent)
    pool.touch_agent(agent)


def _attempt_asked(pool: "Pool", event: events.AttemptAsked) -> None:
    state = campaign(pool, event.campaign)
    state.number += 1
    state.asked[event.attempt] = Asked(at=float(pool.t), agent=event.agent, contact=event.contact)
    pool.watch_campaign(event.campaign)


def _attempt_dropped(pool: "Pool", event: events.AttemptDropped) -> None:
    known = pool.memory.campaigns.get(event.campaign)
    if known is not None:
        known.asked.pop(event.attempt, None)
        pool.watch_campaign(event.campaign)


APPLY: dict[type[events.Event], Any] = {
    events.LineAnswered: _line_answered,
    events.CampaignSet: _campaign_set,
    events.CampaignRested: _campaign_rested,
    events.CampaignWoken: _campaign_woken,
    events.AgentKept: _agent_kept,
    events.AgentLetGo: _agent_let_go,
    events.AttemptAsked: _attempt_asked,
    events.AttemptDropped: _attempt_dropped,
}
