"""What may be answered, what became of it, and what customers take back, told as stories."""

import pytest

from router import events, inputs
from router.config import Queue, Step
from router.effects import CopyFiles, Deliver
from router.engine import decide
from router.memory import PARKED_RECEIPTS, REMEMBER_EXTERNALS
from router.model import Content, Elsewhere, Identity, ReplyPolicy, Text, Thread
from router.replies import length
from support.story import Story, agent, center

ANN = {"identity": Identity(scope="t", kind="external", value="ann"), "thread": Thread(external="ann")}


def story() -> Story:
    it = Story(center(agent("mina")))
    it.on("mina")
    return it


def writes(it: Story, text: str = "hello", key: str | None = None, **more: object) -> str:
    """Ann writes; the contact."""
    key = key or f"k{it.count}"
    wish = inputs.ReceiveMessage(channel="social", dedupe_key=key, **{**ANN, **more})  # type: ignore[arg-type]
    answer = it.tell(wish, text).answer
    assert answer.contact is not None
    return answer.contact


def says(it: Story, contact: str, text: str = "yes") -> tuple[int, str]:
    answer = it.tell(inputs.SendMessage(agent="mina", contact=contact), text).answer
    return answer.status, answer.code


def sent(it: Story) -> str:
    """The name of our last message."""
    return [effect.key for effect in it.effects if isinstance(effect, Deliver)][-1]


def ends(it: Story, key: str, result: str = "accepted", *externals: str) -> None:
    it.tell(inputs.ClaimSend(key=key, worker="w"))
    it.tell(inputs.EndSend(key=key, result=result, externals=externals))  # type: ignore[arg-type]


def receipts(it: Story) -> list[tuple[str, str]]:
    return [(each.message, each.status) for each in it.happened(events.ReceiptRecorded)]  # type: ignore[attr-defined]


def test_a_closed_window_refuses_and_the_next_word_opens_it_again() -> None:
    it = story()
    contact = writes(it, policy=ReplyPolicy(until=it.now + 60))
    it.accepts("mina")
    assert says(it, contact) == (200, "ok")
    it.wait(61)
    assert says(it, contact) == (409, "reply-window-closed")
    writes(it, policy=ReplyPolicy(until=it.now + 60))
    assert says(it, contact) == (200, "ok")
    changes = it.happened(events.ReplyPolicyChanged)
    assert len(changes) == 2, "and it is told only when it changes"


def test_where_nothing_may_be_answered_the_reason_is_the_providers() -> None:
    it = story()
    contact = writes(it, policy=ReplyPolicy(allowed=False, reason="answer-by-link"))
    it.accepts("mina")
    assert says(it, contact) == (409, "answer-by-link")
    private = it.tell(inputs.SendMessage(agent="mina", contact=contact, private=True), "a note").answer
    assert private.status == 200, "notes between colleagues go nowhere"


def test_of_one_answer_there_is_one_unless_it_failed() -> None:
    it = story()
    contact = writes(it, policy=ReplyPolicy(style="one_shot"))
    it.accepts("mina")
    assert says(it, contact) == (200, "ok")
    assert says(it, contact) == (409, "already-answered")
    ends(it, sent(it), "rejected")
    assert says(it, contact) == (200, "ok"), "what the mall did not take is no answer"
    ends(it, sent(it), "uncertain")
    assert says(it, contact) == (409, "already-answered"), "what may have been taken is one"
    writes(it)
    assert says(it, contact) == (200, "ok"), "another question has another answer"


@pytest.mark.parametrize(
    ("text", "unit", "long"),
    [
        ("가나다", "characters", 3),
        ("👍", "utf16", 2),
        ("가", "bytes_utf8", 3),
        ("가a", "bytes_euc_kr", 3),
        ("👍", "bytes_euc_kr", None),
        ("가a", "weighted", 3),
        ("", "weighted", 0),
        ("\ud800", "utf16", 1),
    ],
)
def test_lengths_as_providers_count_them(text: str, unit: str, long: int | None) -> None:
    assert length(text, unit) == long  # type: ignore[arg-type]


def test_what_is_too_long_or_cannot_be_written_there_is_refused_before_it_is_sent() -> None:
    it = story()
    contact = writes(it, policy=ReplyPolicy(max_length=4, unit="bytes_euc_kr"))
    it.accepts("mina")
    assert says(it, contact, "가나다") == (422, "message-too-long")
    assert says(it, contact, "👍") == (422, "cannot-be-written-there")
    assert says(it, contact, "가나") == (200, "ok")


def test_a_receipt_by_the_providers_name_finds_its_message() -> None:
    it = story()
    contact = writes(it)
    it.accepts("mina")
    says(it, contact)
    ends(it, sent(it), "accepted", "wamid.1")
    it.tell(inputs.ReceiveReceipt(channel="social", external="wamid.1", status="delivered"))
    assert receipts(it) == [(sent(it), "delivered")]
    assert it.tell(inputs.ReceiveReceipt(channel="sms", external="wamid.1", status="read")).answer.code == "parked"


def test_a_receipt_that_overtakes_its_messages_name_waits_for_it() -> None:
    it = story()
    contact = writes(it)
    it.accepts("mina")
    says(it, contact)
    for status in ("sent", "read", "delivered"):
        it.tell(inputs.ReceiveReceipt(channel="social", external="x1", status=status))  # type: ignore[arg-type]
    assert receipts(it) == []
    it.restored()
    ends(it, sent(it), "accepted", "x1")
    assert receipts(it) == [(sent(it), "read")]
    assert it.pool.memory.parked_receipts == {}


def test_receipts_of_nobodys_messages_do_not_pile_up() -> None:
    it = story()
    for number in range(PARKED_RECEIPTS + 10):
        event = events.ReceiptParked(channel="c", external=f"x{number}", status="sent")
        it.pool.memory.parked_receipts.setdefault(f"c/x{number}", (event.status, None))
    it.copy.memory.parked_receipts.update(it.pool.memory.parked_receipts)
    it.tell(inputs.ReceiveReceipt(channel="social", external="one-more", status="sent"))
    assert len(it.pool.memory.parked_receipts) == PARKED_RECEIPTS
    assert REMEMBER_EXTERNALS >= PARKED_RECEIPTS


def test_a_read_mark_is_about_all_that_was_sent_until_then() -> None:
    it = story()
    contact = writes(it)
    it.accepts("mina")
    names = []
    for number in range(3):
        says(it, contact)
        ends(it, sent(it), "accepted", f"m{number}")
        names.append(sent(it))
        it.wait(10)
    mark = inputs.ReceiveReceipt(channel="social", thread=ANN["thread"], up_to=it.now - 15, status="read")  # type: ignore[arg-type]
    it.tell(mark)
    assert receipts(it) == [(name, "read") for name in names[:2]]


def test_what_a_colleague_answers_elsewhere_is_shown_and_asks_nobody() -> None:
    it = story()
    contact = writes(it)
    it.accepts("mina")
    writes(it, "from the app", key="e1", author="external_console")
    said = it.happened(events.MessageAdded)[-1]
    assert (said.author, said.contact) == ("external_console", contact)  # type: ignore[attr-defined]
    assert it.pool.contacts[contact].replied
    says(it, contact)
    ends(it, sent(it), "accepted", "ours-1")
    before = len(it.journal)
    writes(it, "yes", key="ours-1", author="external_console")
    assert len(it.journal) == before, "the echo of our own word is none"


def test_a_colleagues_word_to_somebody_we_do_not_know_opens_nothing() -> None:
    it = story()
    wish = inputs.ReceiveMessage(channel="social", dedupe_key="e1", author="external_console", **ANN)  # type: ignore[arg-type]
    assert it.tell(wish, "hi").answer.code == "nobody-asked"
    assert not it.pool.contacts


def test_messages_are_edited_and_taken_back_by_the_providers_name_of_them() -> None:
    it = story()
    contact = writes(it, key="m1")
    edit = inputs.ReviseMessage(channel="social", thread=ANN["thread"], change="edited", dedupe_key="m1")  # type: ignore[arg-type]
    it.tell(edit, "hello!")
    [revised] = it.happened(events.MessageRevised)
    added = it.happened(events.MessageAdded)[0]
    assert (revised.message, revised.contact, revised.change) == (added.message, contact, "edited")  # type: ignore[attr-defined]
    unknown = inputs.ReviseMessage(channel="social", thread=ANN["thread"], change="deleted", dedupe_key="m9")  # type: ignore[arg-type]
    assert it.tell(unknown).answer.code == "unknown-message"
    elsewhere = inputs.ReviseMessage(channel="social", thread=Thread(external="bob"), change="deleted", dedupe_key="m1")
    assert it.tell(elsewhere).answer.code == "already-over"


def test_files_that_lie_with_the_provider_are_fetched() -> None:
    it = story()
    content = Content(parts=(Text(text="look"), Elsewhere(ref="media-1", name="photo.jpg")))
    wish = inputs.ReceiveMessage(channel="social", dedupe_key="m1", **ANN)  # type: ignore[arg-type]
    decision = decide(it.pool, wish, it.now, "input-x", None, content)
    [copy] = [effect for effect in decision.effects if isinstance(effect, CopyFiles)]
    assert (copy.message, copy.thread, copy.channel) == ("input-x", ANN["thread"], "social")


def test_what_had_been_lying_there_goes_behind_what_comes_now_and_is_never_promoted() -> None:
    queue = Queue(id="care", name="Care", max_wait_s=600, steps=(Step(after_s=300, end="close"),))
    it = Story(center(agent("mina", maximum={"social": 1}), queues=(queue,)))
    old = writes(it, patient=True, thread=Thread(external="old"))
    it.wait(3600)
    assert it.pool.contacts[old].status == "queued"
    assert not it.pool.contacts[old].promoted
    new = writes(it, thread=Thread(external="new"))
    it.on("mina")
    assert it.accepts("mina").id == new
    it.completes("mina", it.pool.contacts[new])
    assert it.accepts("mina").id == old
