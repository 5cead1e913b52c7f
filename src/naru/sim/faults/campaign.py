"""Outbound work that waits for an agent, as a campaign will make it: until there are campaigns, it is made here.

It is what reserves and blending are about, and nothing that the router takes today leaves any waiting.
"""

from router import events, offers
from router.engine import Decision
from router.inputs import Input
from router.intake import open_conversation
from router.model import Identity, Thread, conversation_id, derive_id
from router.state import Pool
from router.turn import OK, Turn


class Campaign(Input, frozen=True, kw_only=True):
    channel: str
    thread: Thread
    queue: str


def begin(pool: Pool, wish: Campaign, now: float, id_: str) -> Decision:
    """An outbound contact in line, unless its conversation has one."""
    turn = Turn(pool, max(now, pool.t), id_, now, None)
    channel = pool.channel(wish.channel)
    if channel is not None and conversation_id(channel.id, wish.thread) not in pool.conversations:
        identity = Identity(scope="t", kind="external", value=wish.thread.external)
        conversation = open_conversation(turn, channel, wish.thread, identity, None)
        turn.emit(
            events.ContactOpened(
                contact=derive_id("contact", id_),
                conversation=conversation.id,
                direction="outbound",
                queue=wish.queue,
                target_s=0.0,
                enqueued_at=turn.now,
            )
        )
        offers.settle(turn)
    return Decision(turn.events, turn.effects, OK)
