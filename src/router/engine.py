"""The one door: `decide` answers an input, `expire` lets the earliest due timer happen. The only branching on inputs.

Both return what has happened (already applied to the pool) and what shall be done. A refused input changes nothing.
Same pool, same input, same `now`: same decision, on every machine, in production, replay and simulation.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from router import (
    callbacks,
    calls,
    campaigns,
    contacts,
    customers,
    events,
    inputs,
    intake,
    lines,
    offers,
    participants,
    presence,
    replies,
    waits,
)
from router.effects import Effect
from router.events import Event
from router.memory import Contact
from router.model import Content
from router.state import Pool
from router.turn import OK, Answer, Refusal, Turn


class Decision(msgspec.Struct, frozen=True):
    events: list[Event]
    effects: list[Effect]
    answer: Answer


def apply_config(turn: Turn, wish: inputs.ApplyConfig) -> Answer:
    if wish.version <= turn.pool.memory.version:
        raise Refusal(409, "older-version")
    if any(country not in wish.holidays for hours in wish.config.calendars for country in hours.holidays):
        raise Refusal(422, "holidays-missing")
    turn.emit(events.ConfigApplied(version=wish.version, config=wish.config, holidays=wish.holidays))
    for agent in [agent for agent in turn.pool.agents if turn.pool.profile(agent) is None]:
        presence.dismiss(turn, agent)
    campaigns.configured(turn)
    for contact in list(turn.pool.contacts.values()):
        if contact.queue not in turn.pool.lookup.queues and contact.status in ("queued", "offered"):
            _move_from_lost_queue(turn, contact)
    return OK


def _move_from_lost_queue(turn: Turn, contact: Contact) -> None:
    """A queue was deleted under its waiting contacts: they go to their brand's default queue, in their old place."""
    if contact.status == "offered":
        offers.withdraw(turn, contact, "queue-deleted")
        if contact.id not in turn.pool.contacts:
            return
    brand = turn.pool.brand(contact.brand)
    queue = brand.default_queue if brand else next(iter(turn.pool.lookup.queues), contact.queue)
    turn.emit(events.ContactRequeued(contact=contact.id, queue=queue, reason="queue-deleted"))


def tick(turn: Turn, wish: inputs.Tick) -> Answer:
    return OK


Handler = Callable[[Turn, Any], Answer]

HANDLERS: dict[type[inputs.Input], Handler] = {
    inputs.ReceiveMessage: intake.receive_message,
    inputs.ReviseMessage: replies.revise,
    inputs.ReceiveReceipt: replies.receive_receipt,
    inputs.EndSession: intake.end_session,
    inputs.ReceiveCall: calls.receive_call,
    inputs.EndCall: calls.end_call,
    inputs.LeaveLine: calls.leave_line,
    inputs.OrderCallback: intake.order_callback,
    inputs.CancelCallback: callbacks.cancel,
    inputs.AnswerLeg: calls.answer_leg,
    inputs.EndLeg: calls.end_leg,
    inputs.ClaimSend: calls.claim_send,
    inputs.EndSend: calls.end_send,
    inputs.Connect: presence.connect,
    inputs.Disconnect: presence.disconnect,
    inputs.StartGateway: presence.start_gateway,
    inputs.SetPresence: presence.set_presence,
    inputs.MoveContact: participants.move,
    inputs.ReprioritiseContact: participants.reprioritise,
    inputs.TakeOver: participants.take_over,
    inputs.ConsultAgent: participants.consult,
    inputs.ConferenceContact: participants.conference,
    inputs.MonitorContact: participants.monitor,
    inputs.LeaveContact: participants.leave,
    inputs.AcceptOffer: offers.accept,
    inputs.DeclineOffer: offers.decline,
    inputs.SendMessage: contacts.send_message,
    inputs.HoldContact: contacts.hold,
    inputs.ResumeContact: contacts.resume,
    inputs.ParkContact: contacts.park,
    inputs.TransferContact: contacts.transfer,
    inputs.WrapUpContact: contacts.wrap_up,
    inputs.ExtendWrapUp: contacts.extend_wrap_up,
    inputs.CompleteContact: contacts.complete,
    inputs.MergeCustomer: customers.merge,
    inputs.SplitCustomer: customers.split,
    inputs.StartContact: contacts.start,
    inputs.EndReserve: campaigns.end_reserve,
    inputs.SetCampaign: campaigns.set_running,
    inputs.WakeCampaign: campaigns.wake,
    inputs.ApplyConfig: apply_config,
    inputs.Tick: tick,
}


def decide(
    pool: Pool, wish: inputs.Input, now: float, id_: str, at: float | None = None, content: Content | None = None
) -> Decision:
    """Answer one input at log time `now` (never before the pool's own time). `at` is when the edge took it in."""
    now = max(now, pool.t)
    turn = Turn(pool, now, id_, now if at is None else at, content)
    try:
        answer = HANDLERS[type(wish)](turn, wish)
    except Refusal as refusal:
        if turn.events:
            raise RuntimeError(f"{type(wish).__name__} refused after {turn.events}") from refusal
        return Decision([], [], refusal.answer)
    _settle(turn)
    return Decision(turn.events, turn.effects, answer)


def _settle(turn: Turn) -> None:
    """Whoever waits first, then the campaigns with who is left."""
    offers.settle(turn)
    while turn.pool.memory.campaigns and campaigns.pursue(turn):
        offers.settle(turn)


# -- timers


def _promote(turn: Turn, contact: Contact) -> None:
    turn.emit(events.ContactPromoted(contact=contact.id))


def _prefer(turn: Turn, contact: Contact) -> None:
    turn.emit(events.PreferenceEnded(contact=contact.id))


def _idle(turn: Turn, contact: Contact) -> None:
    agent = contact.agent or ""
    turn.emit(events.ContactParked(contact=contact.id, reason="silent"))
    presence.after_work(turn, agent)


def _exclusion(turn: Turn, contact: Contact) -> None:
    for agent, until in list(contact.excluded.items()):
        if until <= turn.now:
            turn.emit(events.ExclusionEnded(contact=contact.id, agent=agent))


def _wrap(turn: Turn, contact: Contact) -> None:
    agent = contact.agent
    turn.emit(events.ContactCompleted(contact=contact.id, outcome="handled"))
    if agent is not None:
        presence.after_work(turn, agent)


def _silence(turn: Turn, contact: Contact) -> None:
    agent = contact.agent
    contacts.end_call_of(turn, contact)
    turn.emit(events.ContactCompleted(contact=contact.id, outcome="closed"))
    if agent is not None:
        presence.after_work(turn, agent)


def _reply(turn: Turn, contact: Contact) -> None:
    if not contact.nudged:
        turn.emit(events.ContactNudged(contact=contact.id))
        return
    agent = contact.agent or ""
    turn.emit(
        events.ContactRequeued(
            contact=contact.id,
            queue=contact.queue,
            reason="silent-owner",
            excluded_until=turn.now + offers.EXCLUDE_S,
        )
    )
    presence.after_work(turn, agent)


def _callback(turn: Turn, contact: Contact) -> None:
    callbacks.due(turn, contact)
    if contact.queue not in turn.pool.lookup.queues:
        _move_from_lost_queue(turn, contact)


def _cool(turn: Turn, agent: Any) -> None:
    turn.emit(events.AgentCooled(agent=agent.id))


CONTACT_TIMERS: dict[str, Callable[[Turn, Contact], None]] = {
    "step": waits.step,
    "promote": _promote,
    "prefer": _prefer,
    "exclusion": _exclusion,
    "wrap": _wrap,
    "silence": _silence,
    "reply": _reply,
    "idle": _idle,
    "callback": _callback,
    "line": lines.line_lost,
    "reach": lines.nobody_free,
}
AGENT_TIMERS: dict[str, Callable[[Turn, Any], None]] = {
    "cool": _cool,
    "lost_offers": presence.lost_offers,
    "lost": presence.lost,
}


def expire(pool: Pool, until: float) -> Decision | None:
    """Let the earliest timer that is due at or before log time `until` happen; None when none is."""
    due_at = pool.due_at() if pool.is_due(until) else None
    if due_at is None or due_at > until:
        return None
    due = pool.timers.pop(pool.next_due)
    assert due is not None
    _, entity, id_, kind = due
    # After an outage what is overdue happens now, and once: not again and again in a past that nobody saw.
    late = until - due_at > offers.OUTAGE_S
    turn = Turn(pool, max(pool.t, until if late else due_at), "", due_at, None)
    if entity == "conversation":
        turn.emit(events.ConversationForgotten(conversation=id_))
    elif entity == "agent":
        AGENT_TIMERS[kind](turn, pool.agents[id_])
    elif entity == "campaign":
        campaigns.due(turn, id_, kind)
    elif kind == "offer":
        offers.timed_out(turn, pool.contacts[id_], lateness_s=until - due_at)
    else:
        CONTACT_TIMERS[kind](turn, pool.contacts[id_])
    _settle(turn)
    return Decision(turn.events, turn.effects, OK)
