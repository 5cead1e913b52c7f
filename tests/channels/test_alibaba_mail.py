"""Alibaba's markets by their mails: whose they are, what they are about, where one answers."""

import pytest

from channels.base import Unsendable, Webhook
from channels.providers.alibaba_mail import AlibabaMail
from router.model import Media, Text
from support.channel import NOW, account, nobody
from support.malls import deliver, said

ALIBABA = AlibabaMail()
OURS = account(ALIBABA, {"address": "shop@kshop.example"})


def read(sender: str, body: str, extra: str = "", **settings: object):  # type: ignore[no-untyped-def]
    raw = (
        f"From: {sender}\nTo: shop@kshop.example\nSubject: =?utf-8?b?7IOI66Gc7Jq0IOusuOydmA==?=\n"
        f"Message-ID: <1@x>\n{extra}Content-Type: text/html; charset=utf-8\n\n{body}\n"
    )
    webhook = Webhook(method="MAIL", url="", path="", headers={}, query={}, body=raw.encode(), t=NOW)
    return ALIBABA.read(account(ALIBABA, {**OURS.settings, **settings}), webhook, nobody).items


@pytest.mark.parametrize(
    ("sender", "market"),
    [
        ("x@alibaba.com", "alibaba.com"),
        ("Alibaba <x@service.Alibaba.com>", "alibaba.com"),
        ("x@notice.1688.com", "1688.com"),
        ("x@mail.aliexpress.com", "aliexpress.com"),
        ("x@notalibaba.com", None),
        ("x@alibaba.com.evil.example", None),
        ("alibaba.com <x@evil.example>", None),
        ('"x@alibaba.com" <x@evil.example>', None),
        ("", None),
    ],
)
def test_only_what_comes_from_their_domains_is_theirs(sender: str, market: str | None) -> None:
    items = read(sender, "<p>hi</p>")
    assert [item.body.attributes["market"] for item in items] == ([market] if market else [])


@pytest.mark.parametrize(
    ("results", "count"),
    [("mx; dkim=pass; dmarc=pass", 1), ("mx; DMARC = fail (p=none)", 0), ("mx; spf=fail", 1)],
)
def test_what_our_own_mail_server_found_forged_is_left(results: str, count: int) -> None:
    assert len(read("x@alibaba.com", "hi", f"Authentication-Results: {results}\n")) == count


@pytest.mark.parametrize(
    ("link", "known"),
    [
        ("https://www.alibaba.com/product-detail/Mask-Pack_1600812345678.html", {"product": "1600812345678"}),
        ("https://www.aliexpress.com/item/1005001234567890.html?spm=a2g", {"product": "1005001234567890"}),
        ("https://detail.1688.com/offer/610947572360.html", {"product": "610947572360"}),
        ("https://trade.aliexpress.com/order_detail.htm?orderId=8123", {"order": "8123"}),
        ("https://biz.alibaba.com/ta/detail.htm?orderId=77&amp;tracelog=x", {"order": "77"}),
    ],
)
def test_products_and_orders_are_read_from_the_links(link: str, known: dict[str, str]) -> None:
    [item] = read("x@alibaba.com", f'<a href="{link}">see</a>')
    assert known.items() <= item.body.attributes.items()
    assert item.body.attributes["link"] == link.replace("&amp;", "&")


def test_the_link_to_the_talk_is_the_best_and_others_lead_nowhere() -> None:
    body = "".join(
        f'<a href="{url}">x</a>'
        for url in (
            "https://evil.example/?inquiryId=1",
            "https://alibaba.com.evil.example/?inquiryId=2",
            "https://alibaba.com/unsubscribe?inquiryId=9",
            "https://www.alibaba.com/help",
            "https://biz.alibaba.com/ta/detail.htm?orderId=77",
            "https://message.alibaba.com/detail.htm?inquiryId=3",
            "https://message.alibaba.com/detail.htm?inquiryId=3&lang=en",  # as good, but the second
            "http://[bad",
        )
    )
    [item] = read("x@alibaba.com", body)
    assert item.body.attributes["link"] == "https://message.alibaba.com/detail.htm?inquiryId=3"
    assert item.body.attributes["order"] == "77"


def test_two_mails_about_one_product_are_of_two_buyers_and_two_about_one_talk_are_of_one() -> None:
    product = '<a href="https://detail.1688.com/offer/610947572360.html">x</a>'
    talk = '<a href="https://message.alibaba.com/detail.htm?inquiryId=3">x</a>'
    threads = [
        [read("x@1688.com", link + words)[0].body.thread.external for words in ("one", "two")]
        for link in (product, talk)
    ]
    assert threads[0][0] != threads[0][1] and threads[1][0] == threads[1][1]


def test_the_mail_comes_with_its_words_cleaned_and_its_original() -> None:
    [item] = read("x@alibaba.com", "<p>500개 견적 부탁드립니다</p><script>alert(1)</script>")
    part = item.content.parts[0]
    assert isinstance(part, Text) and part.text == "500개 견적 부탁드립니다" and "script" not in (part.html or "")
    assert item.content.subject == "새로운 문의" and item.late
    assert [file.name for file in item.files] == ["original.eml"]
    assert not any(isinstance(part, Media) for part in item.content.parts)


def test_the_owner_may_set_a_clock() -> None:
    assert read("x@alibaba.com", "hi")[0].body.answer_by is None
    assert read("x@alibaba.com", "hi", reply_within_h=24)[0].body.answer_by == NOW + 86400


def test_nothing_is_answered_from_here() -> None:
    with pytest.raises(Unsendable, match="open the link"):
        ALIBABA.write(OURS, deliver("alibaba.com:1"), said("hello"), NOW)
    assert ALIBABA.outcome(200, b"").kind == "rejected"
    assert not ALIBABA.policy(OURS).allowed
