"""From message to contact: a message joins its conversation's open contact, or opens one, classified by rule.

Deduplication is by the provider's id of the message within its conversation, so a second delivery changes nothing.
"""

from router import callbacks, events, redial
from router.capacity import INTERRUPTIBLE, cost
from router.config import REOPEN_WITHIN_S, Channel
from router.eligible import fits, has_offer, reachable, signed_in
from router.inputs import EndSession, OrderCallback, ReceiveCall, ReceiveMessage
from router.memory import Contact, Conversation, external_key
from router.model import Identity, Kind, Thread, conversation_id, derive_id
from router.offers import withdraw
from router.presence import after_work
from router.replies import copy_files, note_policy
from router.rules import classify
from router.turn import OK, Answer, Refusal, Turn
from router.waits import end

LAST_TIER = 9
OLDEST_INTAKE_S = 72 * 3600.0
"""How far back a contact may have come in by its own account."""


def receive_message(turn: Turn, wish: ReceiveMessage) -> Answer:
    channel = open_channel(turn, wish.channel)
    conversation = turn.pool.conversations.get(conversation_id(channel.id, wish.thread))
    if conversation is not None and wish.dedupe_key in conversation.keys:
        return Answer(code="duplicate", contact=conversation.contact)
    if wish.author != "customer":
        return _from_elsewhere(turn, conversation, wish)
    conversation = conversation or open_conversation(turn, channel, wish.thread, wish.identity, wish.language)
    contact = turn.pool.contacts.get(conversation.contact or "")
    if contact is None:
        contact = open_inbound(turn, channel, conversation, wish)
    add_message(turn, conversation, contact.id, wish)
    note_policy(turn, conversation, wish.policy)
    copy_files(turn, conversation, turn.input)
    if contact.id in turn.pool.contacts and contact.status == "parked":
        _wake(turn, contact)
    return Answer(contact=contact.id)


def _from_elsewhere(turn: Turn, conversation: Conversation | None, wish: ReceiveMessage) -> Answer:
    """A colleague has answered in the provider's own pages, or the provider echoes what we said ourselves."""
    contact = (conversation.contact or conversation.last_contact) if conversation else None
    if conversation is None or contact is None:
        return Answer(code="nobody-asked")
    if external_key(wish.channel, wish.dedupe_key) in turn.pool.memory.externals:
        return Answer(code="duplicate", contact=contact)
    add_message(turn, conversation, contact, wish)
    copy_files(turn, conversation, turn.input)
    return Answer(contact=contact)


def kind_of(channel: Channel, thread: Thread) -> Kind:
    """What a phone has recorded is a task: nobody is on the line."""
    return "task" if thread.kind == "voicemail" else channel.kind


def open_channel(turn: Turn, channel: str) -> Channel:
    found = turn.pool.channel(channel)
    if found is None or not found.enabled:
        raise Refusal(404, "unknown-channel")
    return found


def customer_id(identity: Identity) -> str:
    return derive_id("customer", identity.scope, identity.kind, identity.value)


def open_conversation(
    turn: Turn, channel: Channel, thread: Thread, identity: Identity, language: str | None
) -> Conversation:
    id_ = conversation_id(channel.id, thread)
    turn.emit(
        events.ConversationOpened(
            conversation=id_,
            channel=channel.id,
            brand=channel.brand,
            kind=kind_of(channel, thread),
            thread=thread,
            customer=customer_id(identity),
            identity=identity,
            language=language,
        )
    )
    return turn.pool.conversations[id_]


Wish = ReceiveMessage | ReceiveCall | OrderCallback


def order_callback(turn: Turn, wish: OrderCallback) -> Answer:
    """A callback that was asked for on a page, in a chat, or by a colleague. It has a place in line like a caller."""
    channel = open_channel(turn, wish.channel)
    if channel.kind != "voice":
        raise Refusal(422, "not-a-phone")
    if not redial.is_known(wish.identity):
        raise Refusal(422, "number-needed")
    if wish.at is not None and wish.at > turn.now + callbacks.FURTHEST_S:
        raise Refusal(422, "too-far-ahead")
    if wish.queue is not None and wish.queue not in turn.pool.lookup.queues:
        raise Refusal(404, "unknown-queue")
    thread = Thread(external=derive_id("callback", turn.input), kind="callback")
    conversation = open_conversation(turn, channel, thread, wish.identity, wish.language)
    contact = open_inbound(turn, channel, conversation, wish)
    if contact.id not in turn.pool.contacts:
        return Answer(code="not-taken", contact=contact.id)
    callbacks.promise(turn, contact, wish.identity.value, wish.at)
    return Answer(status=201, code="created", contact=contact.id)


def open_inbound(turn: Turn, channel: Channel, conversation: Conversation, wish: Wish) -> Contact:
    """Classify and enqueue. A customer who comes back within `reopen_within` prefers the last agent."""
    config, kind = turn.pool.memory.config, conversation.kind
    rule, outcome = classify(config, channel.brand, facts(turn, channel, kind, wish) if config.rules else {})
    brand = turn.pool.brand(channel.brand)
    asked = wish.queue if isinstance(wish, OrderCallback) else None
    queue = _with_room(turn, asked or outcome.queue or channel.queue or (brand.default_queue if brand else ""))
    is_full = _is_full(turn, queue)
    back = conversation.last_contact is not None and turn.now - conversation.last_word_at < REOPEN_WITHIN_S[kind]
    wanted = wish.prefers if isinstance(wish, OrderCallback) else conversation.last_agent if back else None
    prefers = (wanted,) if wanted and reachable(turn.pool, wanted) else ()
    rules = turn.pool.lookup.queues.get(queue)
    before = redial.kept(turn.pool.memory, conversation, queue, turn.now)
    if kind == "voice" and before is None:
        before = callbacks.called_again(turn, conversation, queue)
    came_at = before.enqueued_at if before else turn.at
    enqueued_at = min(turn.now, max(came_at, turn.now - OLDEST_INTAKE_S))
    target_s = turn.pool.promise(queue, channel.brand, kind, enqueued_at)
    patient = isinstance(wish, ReceiveMessage) and wish.patient
    answer_by = wish.answer_by if isinstance(wish, ReceiveMessage) and not patient else None
    if answer_by is not None:
        target_s = min(target_s, max(0.0, answer_by - enqueued_at))
    id_ = derive_id("contact", turn.input)
    turn.emit(
        events.ContactOpened(
            contact=id_,
            conversation=conversation.id,
            direction="inbound",
            queue=queue,
            target_s=target_s,
            enqueued_at=enqueued_at,
            tier=LAST_TIER if patient and outcome.tier is None else outcome.tier,
            head_start_s=outcome.head_start_s,
            requires=outcome.requires,
            attributes={**_called(wish), **wish.attributes, **outcome.attributes},
            language=wish.language or conversation.language,
            prefers=prefers,
            prefer_until=turn.now + rules.prefer_for_s if prefers and rules else None,
            follows=before.contact if before else conversation.last_contact if back else None,
            rule=rule,
            answer_by=answer_by,
            patient=patient,
        )
    )
    contact = turn.pool.contacts[id_]
    if not isinstance(wish, OrderCallback):  # which can wait until the doors are open, and holds no line
        _turn_away(turn, contact, is_full)
    return contact


def _turn_away(turn: Turn, contact: Contact, is_full: bool) -> None:
    """Whoever comes while the doors are closed, or when there is no room."""
    hours, when_closed = turn.pool.hours(contact.queue, contact.brand), turn.pool.queue(contact).when_closed
    if hours is not None and when_closed != "wait" and not hours.is_open(turn.now):
        end(turn, contact, "after_hours", when_closed)
    elif is_full:
        end(turn, contact, "overflowed", "message")


def _called(wish: Wish) -> dict[str, str]:
    """The number that was called: it says for whom, or for what on television."""
    return {"called": wish.to} if isinstance(wish, ReceiveCall) and wish.to else {}


def _is_full(turn: Turn, queue: str) -> bool:
    rules = turn.pool.lookup.queues.get(queue)
    return rules is not None and rules.max_length is not None and turn.pool.length(queue) >= rules.max_length


def _with_room(turn: Turn, queue: str) -> str:
    """The queue itself, or, when it is full, the one that takes what is over."""
    overflow = turn.pool.lookup.queues[queue].overflow_queue
    if overflow is None or overflow not in turn.pool.lookup.queues or not _is_full(turn, queue):
        return queue
    return overflow


def facts(turn: Turn, channel: Channel, kind: Kind, wish: Wish) -> dict[str, str]:
    """The fields that rules may read (config.FIELDS), those that are known."""
    local = turn.pool.local(turn.now)
    found = {
        "channel": channel.id,
        "brand": channel.brand,
        "kind": kind,
        "to": None if isinstance(wish, OrderCallback) else wish.to,
        "from": wish.identity.value,
        "language": wish.language,
        "subject": turn.content.subject if turn.content else None,
        "text": turn.content.text if turn.content else None,
        "local_time": f"{local:%H:%M}",
        "weekday": f"{local:%a}".lower(),
    }
    found |= {f"customer.{key}": value for key, value in wish.customer.items()}
    found |= {f"attributes.{key}": value for key, value in wish.attributes.items()}
    return {key: value for key, value in found.items() if value is not None}


def add_message(turn: Turn, conversation: Conversation, contact: str, wish: ReceiveMessage) -> None:
    turn.emit(
        events.MessageAdded(
            conversation=conversation.id,
            contact=contact,
            message=turn.input,
            number=conversation.messages + 1,
            author=wish.author,
            key=wish.dedupe_key,
            occurred_at=wish.occurred_at,
        )
    )


def _wake(turn: Turn, contact: Contact) -> None:
    """The customer speaks in a parked contact: its agent takes it up if open, else it queues, preferring the agent."""
    agent = turn.pool.agents[contact.agent or ""]
    if signed_in(agent) and fits(turn.pool, agent, contact.kind) == (True, 0):
        turn.emit(events.ContactResumed(contact=contact.id))
        return
    queue = turn.pool.queue(contact)
    until = turn.now + queue.prefer_for_s
    prefers = (agent.id,) if reachable(turn.pool, agent.id) else ()
    turn.emit(
        events.ContactRequeued(
            contact=contact.id, queue=contact.queue, reason="customer-spoke", prefers=prefers, prefer_until=until
        )
    )
    after_work(turn, agent.id)


def end_session(turn: Turn, wish: EndSession) -> Answer:
    channel = open_channel(turn, wish.channel)
    conversation = turn.pool.conversations.get(conversation_id(channel.id, wish.thread))
    contact = turn.pool.contacts.get(conversation.contact or "") if conversation else None
    if conversation is not None:
        note_policy(turn, conversation, wish.policy)
    if contact is not None:
        customer_left(turn, contact)
    return OK


def customer_left(turn: Turn, contact: Contact) -> None:
    """Before an agent had it, the contact is abandoned; after, it is time for wrap-up."""
    if contact.status == "offered":
        withdraw(turn, contact, "customer-left")
    if contact.id not in turn.pool.contacts:
        return  # an own call that still rang its agent was over with the offer
    if contact.status == "queued":
        was_called = contact.reach_by is not None
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="hung_up" if was_called else "abandoned"))
    elif contact.status in ("active", "held", "parked"):
        finish(turn, contact)


def has_room_to_finish(turn: Turn, contact: Contact) -> bool:
    """Wrap-up holds units and cannot be interrupted: what is parked has none yet, and those of a mail may be promised
    to a call that rings, or to the next one that a campaign's agent is kept for."""
    agent = turn.pool.agents.get(contact.agent or "")
    if agent is None or turn.pool.queue(contact).wrap_up_s == 0:
        return True
    if contact.status == "parked":
        return fits(turn.pool, agent, contact.kind) == (True, 0)
    profile = turn.pool.profile(agent.id)
    if profile is None or not (has_offer(turn.pool, agent) or agent.kept_for is not None):
        return True
    others = [other for other in turn.pool.assigned(agent) if other is not contact and other.status != "parked"]
    firm = (o for o in others if o.kind not in INTERRUPTIBLE or not o.is_in_hand)
    promised = turn.pool.kind_kept_for(agent)
    kinds = [contact.kind, *(other.kind for other in firm), *((promised,) if promised is not None else ())]
    return sum(map(cost, kinds)) <= profile.units


def finish(turn: Turn, contact: Contact) -> None:
    """The conversation is over: wrap-up, where the queue has one, unless its agent's hands are full of other work."""
    agent = contact.agent
    wrap_up_s = turn.pool.queue(contact).wrap_up_s
    if wrap_up_s > 0 and has_room_to_finish(turn, contact):
        turn.emit(events.ContactWrapping(contact=contact.id, until=turn.now + wrap_up_s))
    else:
        turn.emit(events.ContactCompleted(contact=contact.id, outcome="handled"))
        if agent is not None:
            after_work(turn, agent)
