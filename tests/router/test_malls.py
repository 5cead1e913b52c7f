"""Stories of malls' tickets, from what their providers read to what the engine lets an agent answer."""

import msgspec
import pytest

from channels import CHANNELS, registry
from router import inputs
from router.config import Queue
from router.effects import Deliver
from router.inputs import ReceiveMessage
from router.memory import Contact
from support.channel import Payload, payloads
from support.story import Story, agent, center

PROVIDERS = registry(CHANNELS)
HOUR = 3600.0


def message(provider: str, name: str, number: int = 0) -> ReceiveMessage:
    """What a provider reads of a recorded payload, as of the channel `email` of the story's center."""
    payload = next(p for p in payloads(provider) if p.path.stem == name)
    assert isinstance(payload, Payload)
    body = payload.read(PROVIDERS[provider]).items[number].body
    assert isinstance(body, ReceiveMessage)
    return msgspec.structs.replace(body, channel="email")


def taken(wish: ReceiveMessage, now: float | None = None) -> tuple[Story, Contact]:
    """The ticket has come a minute after the customer wrote it, and mina has it."""
    queue = Queue(id="care", name="Care", target_s={"email": 72 * HOUR})
    story = Story(center(agent("mina"), queues=(queue,)), now or (wish.occurred_at or 1_000_000.0) + 60)
    contact = story.tell(wish, "?").answer.contact
    story.on("mina")
    assert story.accepts("mina").id == contact
    return story, story.pool.contacts[contact or ""]


def answers(story: Story, contact: Contact, text: str = "내일 도착합니다") -> tuple[int, str]:
    answer = story.tell(inputs.SendMessage(agent="mina", contact=contact.id), text).answer
    return answer.status, answer.code


def delivered(story: Story) -> list[Deliver]:
    return [effect for effect in story.effects if isinstance(effect, Deliver)]


def ends(story: Story, result: str, *externals: str) -> None:
    key = delivered(story)[-1].key
    story.tell(inputs.ClaimSend(key=key, worker="w"))
    story.tell(inputs.EndSend(key=key, result=result, externals=externals))  # type: ignore[arg-type]


ONE_SHOT = [("naver_smartstore", "inquiries"), ("coupang", "center")]


@pytest.mark.parametrize(("provider", "name"), ONE_SHOT)
def test_the_one_answer_of_a_ticket_is_given_once(provider: str, name: str) -> None:
    story, contact = taken(message(provider, name))
    assert answers(story, contact)[0] < 300
    ends(story, "accepted")
    assert answers(story, contact) == (409, "already-answered")
    assert len(delivered(story)) == 1


@pytest.mark.parametrize(("provider", "name"), ONE_SHOT)
def test_an_answer_that_failed_was_none(provider: str, name: str) -> None:
    story, contact = taken(message(provider, name))
    answers(story, contact)
    ends(story, "rejected")
    assert answers(story, contact)[0] < 300
    assert len(delivered(story)) == 2


def test_a_colleagues_answer_in_navers_own_pages_uses_up_the_one_that_there_is() -> None:
    story, contact = taken(message("naver_smartstore", "inquiries"))
    echo = message("naver_smartstore", "answered")
    assert story.tell(echo, "내일 도착합니다").answer.contact == contact.id
    assert answers(story, contact) == (409, "already-answered")
    assert delivered(story) == []


def test_our_own_answer_that_comes_back_from_naver_is_not_shown_twice() -> None:
    story, contact = taken(message("naver_smartstore", "inquiries"))
    answers(story, contact)
    [name] = PROVIDERS["naver_smartstore"].outcome(200, b'{"data": {"inquiryCommentNo": 902}}').externals
    ends(story, "accepted", name)
    assert story.tell(message("naver_smartstore", "answered"), "x").answer.code == "duplicate"


@pytest.mark.parametrize(("provider", "name"), [("naver_smartstore", "questions"), ("grip", "inquiry")])
def test_an_answer_that_overwrites_may_be_given_again_and_the_agent_is_told(provider: str, name: str) -> None:
    story, contact = taken(message(provider, name))
    policy = story.pool.conversations[contact.conversation].policy
    assert policy is not None and policy.style == "overwrite"
    for _ in range(2):
        assert answers(story, contact)[0] < 300
        ends(story, "accepted")
    assert len(delivered(story)) == 2


@pytest.mark.parametrize(
    ("provider", "name"),
    [("shopify", "order_cancelled"), ("alibaba_mail", "inquiry"), ("woocommerce", "reviews")],
)
def test_what_is_answered_by_a_link_is_not_answered_here(provider: str, name: str) -> None:
    story, contact = taken(message(provider, name))
    assert answers(story, contact) == (409, "answer-by-link")
    assert contact.attributes["link"].startswith("https://")
    assert delivered(story) == []


@pytest.mark.parametrize(
    ("provider", "name", "text"), [("coupang", "center", "가" * 1001), ("grip", "inquiry", "가" * 1001)]
)
def test_what_is_too_long_for_the_mall_is_not_sent(provider: str, name: str, text: str) -> None:
    story, contact = taken(message(provider, name))
    assert answers(story, contact, text) == (422, "message-too-long")
    assert answers(story, contact, text[:-1])[0] < 300


CLOCKS = [
    ("ebay", "message", 24 * HOUR),
    ("tiktok_shop", "message", 12 * HOUR),
    ("naver_smartstore", "inquiries", 24 * HOUR),
    ("coupang", "online", 24 * HOUR),
]


@pytest.mark.parametrize(("provider", "name", "within_s"), CLOCKS)
def test_a_malls_clock_is_the_promise_where_it_is_shorter_than_the_queues(
    provider: str, name: str, within_s: float
) -> None:
    wish = message(provider, name)
    story, contact = taken(wish)
    assert wish.occurred_at is not None
    assert contact.target_s == within_s - 60
    assert story.pool.due_by(contact, 72 * HOUR) == wish.occurred_at + within_s


def test_of_four_malls_the_one_that_is_late_first_is_served_first() -> None:
    """Whatever came first: all four were asked at once, and TikTok counts twelve hours, not twenty-four."""
    queue = Queue(id="care", name="Care", target_s={"email": 72 * HOUR})
    story = Story(center(agent("mina"), queues=(queue,)), 1_784_080_000.0)
    for provider, name, within_s in CLOCKS:
        wish = message(provider, name)
        story.tell(msgspec.structs.replace(wish, occurred_at=story.now, answer_by=story.now + within_s), "?")
    first = story.pool.in_line("care")[0]
    assert story.pool.conversations[first.conversation].identity.scope.startswith("tiktok:")
