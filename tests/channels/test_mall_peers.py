"""Two malls from end to end, against peers of ours that behave as their documents say: a shop of Cafe24, whose refresh
token is good once, and a SmartStore, whose product answers overwrite and whose inquiries take one answer.

The peers know nothing of the providers: they are asked by the house's own poller and tokens, over requests without a net.
"""

import asyncio
import json
from typing import Any

import httpx2

from channels.base import Account, Item, Line, Outgoing, Page, Result
from channels.http import Answered, request
from channels.polling import Poller
from channels.providers.cafe24 import Cafe24
from channels.providers.naver_smartstore import NaverSmartStore
from channels.tokens import Tokens
from router.inputs import ReceiveMessage
from support.channel import NOW, account
from support.mall_peers import Shop, Store
from support.malls import deliver, said


class House:
    """What a worker has: the cursor, what is kept of tokens, and what was taken in, by key."""

    def __init__(self, provider: Any, ours: Account, peer: httpx2.MockTransport) -> None:
        self.t = NOW
        self.taken: dict[str, Item] = {}
        self.place: dict[str, Any] = {}
        self.sealed: dict[str, str] = {}
        self.provider, self.ours = provider, ours
        self.client = httpx2.AsyncClient(transport=peer)
        self.begin()

    def begin(self) -> None:
        """A process begins: it knows what was kept, and no more."""
        self.tokens = Tokens({self.ours.provider: self.provider}, self, self.client, lambda: self.t)  # type: ignore[arg-type]
        line = Line(
            take=self._take,
            ask=self._none,
            comments=self._none,
            look=lambda call: None,
            cursor=self._cursor,
            move_cursor=self._move,
            clock=lambda: self.t,
            sleep=self._none,
        )
        self.poller = Poller(self.ours, self.provider, line, self.client, self.tokens)

    async def _take(self, item: Item) -> None:
        self.taken.setdefault(item.key, item)

    async def _none(self, *_: Any) -> None:
        return None

    async def _cursor(self) -> dict[str, Any]:
        return self.place

    async def _move(self, cursor: dict[str, Any]) -> None:
        self.place = json.loads(json.dumps(cursor))

    async def kept(self, workspace: str, channel: str) -> dict[str, str]:
        return self.sealed

    async def keep(self, workspace: str, channel: str, kept: dict[str, str]) -> None:
        self.sealed = kept

    async def round(self) -> list[str | None]:
        """Polls until the provider says to rest; the faults on the way."""
        faults: list[str | None] = []
        for _ in range(20):
            page: Page = await self.poller.once()
            faults += [page.fault] if page.fault else []
            if not page.fault and page.again_s > 1:
                return faults
        raise AssertionError(f"it never rests: {faults}")

    async def answers(self, thread: str, text: str, **more: Any) -> Result:
        ours = await self.tokens.account(self.ours)
        assert isinstance(ours, Account)
        message: Outgoing = said(text, **more)
        answer = await request(self.client, self.provider.write(ours, deliver(thread), message, self.t))
        assert isinstance(answer, Answered)
        result = self.provider.outcome(answer.status, answer.body)
        assert isinstance(result, Result)
        return result


def shop() -> tuple[Shop, House]:
    peer = Shop()
    ours = account(
        Cafe24(),
        {"mall_id": "kshop", "client_id": "app", "boards": "6", "operator_id": "kshop"},
        {"client_secret": "cs", "refresh_token": "first"},
    )
    return peer, House(Cafe24(), ours, httpx2.MockTransport(peer))


def test_a_shop_of_cafe24_is_followed_over_renewals_and_restarts() -> None:
    async def story() -> None:
        peer, house = shop()
        assert await house.round() == [] and list(house.taken) == ["6:1"]
        house.t += 7200  # the token is over
        house.begin()  # and so was the process
        peer.articles.append(peer.article(2, "customer2", "환불해 주세요"))
        assert await house.round() == [] and list(house.taken) == ["6:1", "6:2"]
        assert (peer.renewals, house.sealed["refresh_token"]) == (2, "r2"), "the last one renews the next"

    asyncio.run(story())


def test_a_token_that_the_shop_takes_back_is_renewed_at_once() -> None:
    async def story() -> None:
        peer, house = shop()
        await house.round()
        peer.access = "another"  # its owner has logged everybody out
        peer.articles.append(peer.article(2, "customer2", "환불해 주세요"))
        assert await house.round() == ["401 401 access_token time expired"]
        assert "6:2" in house.taken and peer.renewals == 2

    asyncio.run(story())


def test_our_answer_stands_below_the_question_and_comes_back_under_the_name_that_it_got() -> None:
    async def story() -> None:
        peer, house = shop()
        await house.round()
        done = await house.answers("6:1", "내일\n도착합니다", last_subject="문의")
        assert (done.kind, done.externals) == ("accepted", ("6:2",))
        assert (peer.articles[1]["parent_article_no"], peer.articles[1]["content"]) == (1, "내일<br>도착합니다")
        await house.round()
        body = house.taken["6:2"].body
        assert isinstance(body, ReceiveMessage)
        assert (body.author, body.thread.external, body.dedupe_key) == ("external_console", "6:1", done.externals[0])

    asyncio.run(story())


def store() -> tuple[Store, House]:
    peer = Store()
    secret = {"client_secret": "$2a$04$abcdefghijklmnopqrstuv"}
    ours = account(NaverSmartStore(), {"client_id": "app"}, secret)
    return peer, House(NaverSmartStore(), ours, httpx2.MockTransport(peer))


def test_a_smartstore_is_followed_and_its_one_answer_comes_back_under_its_name() -> None:
    async def story() -> None:
        _, house = store()
        assert await house.round() == [] and list(house.taken) == ["inquiry:7", "qna:9"]
        done = await house.answers("inquiry:7", "내일 도착합니다")
        assert (done.kind, done.externals) == ("accepted", ("answer:70",))
        await house.round()
        echo = house.taken["answer:70"].body
        assert isinstance(echo, ReceiveMessage) and echo.dedupe_key == done.externals[0]
        assert echo.thread.external == "inquiry:7"

    asyncio.run(story())


def test_a_colleague_was_quicker_and_naver_says_so() -> None:
    async def story() -> None:
        peer, house = store()
        await house.round()
        peer.answer("제가 답했어요")
        late = await house.answers("inquiry:7", "내일 도착합니다")
        assert (late.kind, late.detail) == ("rejected", "ERR-NC-101010 already answered")
        assert peer.inquiries[0]["answerContent"] == "제가 답했어요"

    asyncio.run(story())


def test_a_product_answer_takes_the_place_of_the_one_before() -> None:
    async def story() -> None:
        peer, house = store()
        await house.round()
        for text in ("면입니다", "울입니다"):
            assert (await house.answers("qna:9", text)).kind == "accepted"
            assert peer.questions[0]["answer"] == text

    asyncio.run(story())
