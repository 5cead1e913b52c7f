"""Live rooms: what becomes a contact, what counts as one, and that neither memory nor the line grows with the show.

The bus is a fake with a real router behind it, so that what is open is what the router says.
"""

import itertools
import random  # noqa: TID251 - seeded

import pytest

from channels.accounts import Accounts
from channels.alike import asks
from channels.base import Account, Comment
from channels.live import ROOMS, NotPickable, Rooms
from channels.picking import GROUPS, SEEN, SPEAKERS, Bucket, Picking, Room, picking
from channels.ports import Unavailable
from channels.providers.twitch import Twitch
from router import inputs
from router.config import Brand, Channel, Condition, Config, Outcome, Queue, Rule
from router.engine import decide
from router.memory import Contact
from router.model import Content, Identity
from router.state import Pool
from support.channel import NOW, account

ids = itertools.count()


def said(
    text: str, who: str = "", value: float = 0, room: str = "r1", is_staff: bool = False, id_: str = ""
) -> Comment:
    number = next(ids)
    author = Identity(scope="twitch", kind="handle", value=who or f"viewer{number}", name=who or None)
    id_ = id_ or f"m{number}"
    return Comment(room=room, id=id_, author=author, text=text, at=NOW, value=value, is_staff=is_staff)


RULE = Rule(
    id="big",
    when=Condition(field="attributes.value_band", op="in", value=("1000+", "10000+")),
    then=Outcome(queue="vip", tier=2),
)
CONFIG = Config(
    brands=(Brand(id="b", name="B", default_queue="live"),),
    channels=(Channel(id="c", name="C", brand="b", provider="twitch", kind="social"),),
    queues=(Queue(id="live", name="Live", wrap_up_s=0), Queue(id="vip", name="VIP")),
    rules=(RULE,),
)


class Bus:
    """Durable at once, decided at once; `away`: nothing can be taken."""

    def __init__(self) -> None:
        self._pool = Pool()
        decide(self._pool, inputs.ApplyConfig(version=1, config=CONFIG), NOW, "config")
        self.away = False
        self.taken: list[tuple[str, inputs.ReceiveMessage, Content]] = []
        self.now = NOW

    async def take(
        self, workspace: str, actor: str, key: str, body: inputs.Input, content: Content | None = None
    ) -> str:
        if self.away:
            raise Unavailable("gone")
        assert isinstance(body, inputs.ReceiveMessage) and content is not None
        self.taken.append((key, body, content))
        decide(self._pool, body, self.now, key, content=content)
        return key

    async def ask(self, *_: object, **__: object) -> tuple[None, str]:
        raise AssertionError("a comment is taken, never asked")

    def pool(self, workspace: str) -> Pool | None:
        return self._pool

    @property
    def contacts(self) -> list[Contact]:
        return list(self._pool.contacts.values())

    def complete_all(self) -> None:
        for contact in self.contacts:
            decide(self._pool, inputs.EndSession(channel="c", thread=self._thread(contact)), self.now, f"e{contact.id}")

    def _thread(self, contact: Contact) -> "inputs.Thread":
        return self._pool.conversations[contact.conversation].thread


class Show:
    def __init__(self, **live: object) -> None:
        self.bus = Bus()
        self.ours = account(Twitch(), {"live": live})
        self.rooms = Rooms(self.bus, lambda: self.bus.now, Twitch().policy)

    async def says(self, *comments: Comment) -> None:
        await self.rooms.take(self.ours, comments)

    async def waits(self, seconds: float) -> None:
        """Time passes, with a look at the rooms twice a second."""
        for _ in range(int(seconds * 2)):
            self.bus.now += 0.5
            for held, room in list(self.rooms._rooms.values()):
                await self.rooms._admit(held, room)

    @property
    def picked(self) -> list[str]:
        return [content.text for _, _, content in self.bus.taken]

    @property
    def counts(self) -> dict[str, int]:
        return self.rooms.counts("ws", "c")["r1"]


# -- what says the same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("배송 언제 와요?", "배송언제와요???"),
        ("ㅋㅋㅋㅋㅋㅋ", "ㅋㅋ"),
        ("ＢＩＧ SALE!!", "big sale"),
        ("재입고 예정이 있는지 궁금해요", "재입고 예정이 있는지 궁금해요ㅠㅠㅠ 🙏"),
        ("하트 :hand-pink-waving: 예뻐요", "하트 예뻐요 {:d_47:}"),
    ],
)
def test_these_say_the_same(one: str, other: str) -> None:
    room = Room(Picking(), NOW)
    assert room.hear(said(one), NOW) is room.hear(said(other), NOW)


def test_near_means_four_fifths_of_the_trigrams() -> None:
    room = Room(Picking(), NOW)
    long = "안녕하세요 오늘 방송 정말 재미있게 보고 있어요 감사합니다"
    first = room.hear(said(long), NOW)
    assert room.hear(said(long + " 늘"), NOW) is first
    assert room.hear(said("안녕하세요 오늘 방송"), NOW) is not first
    assert first is not None and first.count == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("혹시 95 사이즈 재고 있을까요 궁금합니다", "혹시 100 사이즈 재고 있을까요 궁금합니다"),
        ("10원이에요", "1000원이에요"),
        ("네", "아니요"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    room = Room(Picking(), NOW)
    assert room.hear(said(one), NOW) is not room.hear(said(other), NOW)


@pytest.mark.parametrize(
    "text",
    ["M 있어요?", "배송 언제 오나요", "쿠폰 되나요ㅠㅠ", "How long is shipping", "送料はいくらですか", "얼마예요"],
)
def test_these_are_questions(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize("text", ["예뻐요", "I want two of these!", "", "!!!", "Howdy folks"])
def test_these_are_none(text: str) -> None:
    assert not asks(text)


# -- what is picked


async def test_a_question_becomes_a_contact_of_its_author_in_the_room() -> None:
    show = Show()
    await show.says(said("이 색상 있나요?", who="mina", id_="m-1"))
    [(key, body, content)] = show.bus.taken
    assert (key, body.dedupe_key) == ("m-1", "m-1")
    assert (body.thread.external, body.thread.kind, body.identity.value) == ("r1/mina", "live_room", "mina")
    assert body.attributes == {"room": "r1", "value": "0", "similar": "1", "picked_by": "question"}
    assert body.policy is not None and body.policy.public and body.policy.max_length == 500
    assert content.headers == {"comment": "m-1", "name": "mina"}
    assert len(show.bus.contacts) == 1


async def test_the_first_rule_that_picks_is_named() -> None:
    show = Show(paid_from=500, mentions=["바다상점"], words=["사이즈"])
    await show.says(
        said("바다상점 사이즈 있나요?", value=500), said("바다상점 최고", value=100), said("사이즈 M"), said("와 좋다")
    )
    assert [body.attributes["picked_by"] for _, body, _ in show.bus.taken] == ["paid", "mention", "word"]


async def test_rules_can_be_switched_off() -> None:
    show = Show(questions=False, paid_from=None)
    await show.says(said("있나요?"), said("화이팅", value=100_000))
    assert show.picked == []


async def test_our_own_people_are_not_picked() -> None:
    show = Show()
    await show.says(said("질문 있나요?", is_staff=True))
    assert show.picked == [] and show.counts["staff"] == 1


async def test_a_hundred_who_ask_the_same_are_one_contact() -> None:
    show = Show()
    await show.says(*(said("배송 언제 와요" + "?" * (n % 5)) for n in range(100)))
    assert len(show.bus.taken) == 1
    assert show.counts["collapsed"] == 99
    assert show.rooms.sample("ws", "c")[0].similar == 100


async def test_a_comment_that_comes_twice_is_heard_once() -> None:
    show = Show()
    comment = said("와 예뻐요")
    await show.says(comment, comment)
    assert show.counts["repeated"] == 1 and show.rooms.sample("ws", "c")[0].similar == 1


async def test_everybody_who_paid_is_picked_however_alike_the_words() -> None:
    show = Show(per_minute=60)
    await show.says(*(said("화이팅", value=1000) for _ in range(3)))
    assert len(show.bus.taken) == 3


async def test_the_same_question_may_be_asked_again_later() -> None:
    show = Show()
    await show.says(said("배송 언제 와요?"))
    await show.waits(601)
    await show.says(said("배송 언제 와요?"))
    assert len(show.bus.taken) == 2


async def test_what_was_paid_can_be_told_apart_by_a_rule() -> None:
    show = Show(bands=[1000, 10000])
    await show.says(said("두 개 주문", value=12_000), said("응원", value=999), said("하나", value=1000.5))
    assert [body.attributes.get("value_band") for _, body, _ in show.bus.taken] == ["10000+", None, "1000+"]
    assert [body.attributes["value"] for _, body, _ in show.bus.taken] == ["12000", "999", "1000.50"]
    assert [(contact.queue, contact.tier) for contact in show.bus.contacts] == [("vip", 2), ("live", None), ("vip", 2)]


# -- bounds


async def test_a_minute_never_takes_more_than_it_may() -> None:
    show = Show(per_minute=12, most_open=1000, window_s=1)
    picked_at: list[float] = []
    for n in range(1200):
        before = len(show.bus.taken)
        await show.says(said(f"{n} 번 있나요?"))
        picked_at += [show.bus.now] * (len(show.bus.taken) - before)
        show.bus.now += 0.1
    assert all(len([at for at in picked_at if start <= at < start + 60]) <= 12 for start in picked_at)
    assert len(picked_at) >= 20, "and it goes on"
    assert show.counts["picked"] + show.counts["dropped"] >= 1200 - 60


async def test_no_more_are_open_than_may_be() -> None:
    show = Show(per_minute=600, most_open=5)
    await show.says(*(said(f"{n} 번 있나요?") for n in range(50)))
    await show.waits(3)
    assert len(show.bus.contacts) == 5
    show.bus.complete_all()
    await show.waits(1)
    assert len(show.bus.contacts) == 5, "who asked within the last seconds has come up"
    await show.waits(10)
    show.bus.complete_all()
    await show.waits(1)
    assert show.bus.contacts == [], "and who asked before is not queued for ever"
    assert show.counts["dropped"] == 40


async def test_over_the_bound_the_most_valuable_is_first() -> None:
    show = Show(per_minute=4, words=["세일"])
    await show.says(said("첫 질문인가요?"))
    await show.says(said("세일 좋아"), said("질문 일번인가요?"), said("큰손", value=9000), said("작은손", value=50))
    assert show.picked == ["첫 질문인가요?"]
    for _ in range(4):
        show.rooms._rooms["ws", "c", "r1"][1].bucket.put_back()
        await show.waits(0.5)
    assert show.picked[1:] == ["큰손", "작은손", "질문 일번인가요?", "세일 좋아"]


async def test_who_has_an_open_contact_may_say_more_but_not_without_end() -> None:
    show = Show(per_minute=4)
    await show.says(said("M 있나요?", who="mina"))
    await show.says(*(said(f"검정 말고 {n}", who="mina") for n in range(20)))
    assert {body.attributes["picked_by"] for _, body, _ in show.bus.taken[1:]} == {"reply"}
    assert 1 <= show.counts["replies"] < 6
    assert len(show.bus.contacts) == 1
    show.bus.complete_all()
    await show.says(said("고마워요", who="mina"))
    assert "고마워요" not in show.picked


async def test_what_the_log_does_not_take_comes_again() -> None:
    show = Show()
    show.bus.away = True
    comment = said("있나요?")
    with pytest.raises(Unavailable):
        await show.says(comment)
    show.bus.away = False
    await show.says(comment)
    assert show.picked == ["있나요?"]
    assert (show.counts["comments"], show.counts["picked"]) == (1, 1)


async def test_memory_is_bounded_whatever_comes() -> None:
    show, chance = Show(per_minute=600, most_open=1000), random.Random(7)
    for n in range(6000):
        text = "".join(chr(chance.randrange(0xAC00, 0xD7A3)) for _ in range(12)) + ("?" if n % 2 else "")
        await show.says(said(text, value=chance.choice((0, 0, 0, 1e11)), room=f"r{n % 2}"))
        show.bus.now += 0.005
    assert len(show.rooms._rooms) == 2
    for _, room in show.rooms._rooms.values():
        assert len(room.groups) == GROUPS and len(room._seen) == SEEN
        assert len(room._by_letters) <= GROUPS and len(room._waiting) <= GROUPS and len(room._speakers) <= SPEAKERS
    for n in range(2 * ROOMS):
        await show.says(said("안녕", room=f"other{n}"))
    assert len(show.rooms._rooms) == ROOMS


def test_a_bucket_gives_a_quarter_at_once_and_the_rest_evenly() -> None:
    bucket = Bucket(20, 0)

    def taken(now: float) -> int:
        count = 0
        while bucket.holds(now):
            bucket.take()
            count += 1
        return count

    assert taken(0) == 5
    assert taken(4.1) == 1
    assert taken(3600) == 5


# -- by hand


async def test_a_supervisor_picks_whatever_the_bounds_say() -> None:
    show = Show(per_minute=1, questions=False)
    await show.says(said("와 예쁘다", id_="m-hand"))
    assert [one.picked_by for one in show.rooms.sample("ws", "c")] == [None]
    await show.rooms.pick("ws", "c", "m-hand")
    [(_, body, _)] = show.bus.taken
    assert body.attributes["picked_by"] == "hand"
    assert [one.picked_by for one in show.rooms.sample("ws", "c")] == ["hand"]
    with pytest.raises(NotPickable, match="already-picked"):
        await show.rooms.pick("ws", "c", "m-hand")
    with pytest.raises(NotPickable, match="unknown-comment"):
        await show.rooms.pick("ws", "c", "m-other")
    with pytest.raises(NotPickable, match="unknown-comment"):
        await show.rooms.pick("other", "c", "m-hand")


# -- settings


@pytest.mark.parametrize(
    "live",
    [{"per_minute": 0}, {"most_open": "many"}, {"paid_from": -1}, {"word": ["x"]}, {"window_s": 600}, ["x"], "yes"],
)
def test_settings_that_cannot_work_are_told_to_the_owner(live: object) -> None:
    with pytest.raises(ValueError, match=r"settings\.live"):
        picking({"live": live})
    secrets = {"client_secret": "env:A", "webhook_secret": "env:B"}
    settings = {"client_id": "x", "sender_id": "y", "live": live}
    channel = Channel(id="c", name="C", brand="b", provider="twitch", kind="social", settings=settings, secrets=secrets)
    accounts = Accounts({"twitch": Twitch()}, lambda *parts: "t", lambda *_: "secret", "http://x")
    accounts.configure("ws", Config(channels=(channel,)))
    assert "settings.live" in (accounts.fault("ws", "c") or "")


def test_new_settings_hold_from_the_next_comment() -> None:
    show = Show()
    first = show.rooms._room(show.ours, "r1")
    again: Account = account(Twitch(), {"live": {"per_minute": 1}})
    assert show.rooms._room(show.ours, "r1") is first
    assert show.rooms._room(again, "r1").picking.per_minute == 1
