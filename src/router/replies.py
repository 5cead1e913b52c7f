"""What may be answered (`model.ReplyPolicy`), what became of it, and what customers take back.

The provider computes a policy with every message and the engine enforces it: a closed window, the one answer of a
mall's ticket, a text that is too long, are refused before anything is sent, with a word that the desk explains.
Receipts name our message, or the provider's name of it; one that comes before its message's name is known waits.
"""

from router import events
from router.effects import CopyFiles
from router.inputs import ReceiveReceipt, ReviseMessage
from router.memory import Conversation, external_key
from router.model import Content, Elsewhere, ReplyPolicy, Unit, conversation_id
from router.turn import OK, Answer, Refusal, Turn

LATIN = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""The code points that weigh one for X; all others weigh two (developer.x.com, counting characters)."""


def length(text: str, unit: Unit) -> int | None:
    """A text's length as its provider counts it; None when it cannot be written there at all."""
    match unit:
        case "characters":
            return len(text)
        case "utf16":
            return len(text.encode("utf-16-le", "surrogatepass")) // 2
        case "bytes_utf8":
            return len(text.encode("utf-8", "surrogatepass"))
        case "weighted":
            return sum(1 if any(low <= ord(letter) <= high for low, high in LATIN) else 2 for letter in text)
        case "bytes_euc_kr":
            try:
                return len(text.encode("cp949"))
            except UnicodeEncodeError:
                return None


def refuse(turn: Turn, conversation: Conversation, content: Content | None) -> None:
    """Raises Refusal where an answer is not allowed now, or not this one."""
    policy = conversation.policy
    if policy is None:
        return
    if not policy.allowed:
        raise Refusal(409, policy.reason or "reply-not-allowed")
    if policy.until is not None and turn.now > policy.until:
        raise Refusal(409, "reply-window-closed")
    if policy.style == "one_shot" and conversation.replies > 0:
        raise Refusal(409, "already-answered")
    if policy.max_length is not None and content is not None:
        long = length(content.text, policy.unit)
        if long is None:
            raise Refusal(422, "cannot-be-written-there")
        if long > policy.max_length:
            raise Refusal(422, "message-too-long")


def note_policy(turn: Turn, conversation: Conversation, policy: ReplyPolicy | None) -> None:
    if policy is not None and policy != conversation.policy:
        turn.emit(events.ReplyPolicyChanged(conversation=conversation.id, policy=policy))


def copy_files(turn: Turn, conversation: Conversation, message: str) -> None:
    """Files that lie with the provider are fetched before they vanish there."""
    if turn.content is not None and any(isinstance(part, Elsewhere) for part in turn.content.parts):
        turn.do(
            CopyFiles(
                channel=conversation.channel,
                conversation=conversation.id,
                thread=conversation.thread,
                message=message,
            )
        )


def revise(turn: Turn, wish: ReviseMessage) -> Answer:
    """What was said is said otherwise now: edited or taken back by its author, or its files have been copied."""
    conversation = turn.pool.conversations.get(conversation_id(wish.channel, wish.thread))
    if conversation is None:
        return Answer(code="already-over")
    message = wish.message or conversation.keys.get(wish.dedupe_key or "")
    if message is None:
        return Answer(code="unknown-message")
    turn.emit(
        events.MessageRevised(
            conversation=conversation.id,
            contact=conversation.contact or conversation.last_contact or "",
            message=message,
            change=wish.change,
        )
    )
    if wish.change == "edited":  # an edited caption comes with its picture, which lies with the provider again
        copy_files(turn, conversation, message)
    return OK


def receive_receipt(turn: Turn, wish: ReceiveReceipt) -> Answer:
    """By our name of the message, by the provider's, or of all up to a time (a read mark)."""
    if wish.up_to is not None and wish.thread is not None:
        return _read_up_to(turn, wish, wish.up_to)
    message = wish.message
    if wish.external is not None:
        key = external_key(wish.channel, wish.external)
        message = turn.pool.memory.externals.get(key, "")
        if not message:
            turn.emit(
                events.ReceiptParked(
                    channel=wish.channel, external=wish.external, status=wish.status, detail=wish.detail
                )
            )
            return Answer(code="parked")
    turn.emit(events.ReceiptRecorded(message=message, status=wish.status, detail=wish.detail))
    return OK


def _read_up_to(turn: Turn, wish: ReceiveReceipt, up_to: float) -> Answer:
    thread = wish.thread
    conversation = turn.pool.conversations.get(conversation_id(wish.channel, thread)) if thread else None
    for message, at in conversation.ours if conversation else ():
        if at <= up_to:
            turn.emit(events.ReceiptRecorded(message=message, status=wish.status, detail=wish.detail))
    return OK


def overtook(turn: Turn, message: str, channel: str, externals: tuple[str, ...]) -> list[events.ReceiptRecorded]:
    """A message's names become known: what receipts have said of it already."""
    parked = (turn.pool.memory.parked_receipts.get(external_key(channel, external)) for external in externals)
    return [events.ReceiptRecorded(message=message, status=one[0], detail=one[1]) for one in parked if one is not None]
