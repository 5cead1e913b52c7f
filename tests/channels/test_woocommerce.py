"""WooCommerce: signed webhooks of orders, reviews that are asked for, answers as order notes."""

import base64
import hashlib
import hmac
import json

import pytest

from channels.base import Page, Span, Unsendable
from channels.providers.woocommerce import WooCommerce
from support.channel import HOOK, NOW, account, asked, hook, nobody, payloads
from support.malls import body, deliver, raw, said, written

WOO = WooCommerce()
OURS = account(
    WOO,
    {"url": "https://shop.example/"},
    {"webhook_secret": "new old", "consumer_key": "ck", "consumer_secret": "cs"},
)
ORDER = next(p for p in payloads("woocommerce") if p.path.stem == "order_with_note").body


def signed(what: bytes, secret: str) -> dict[str, str]:
    mac = base64.b64encode(hmac.new(secret.encode(), what, hashlib.sha256).digest()).decode()
    return {"X-WC-Webhook-Signature": mac, "X-WC-Webhook-Topic": "order.updated"}


def test_a_webhook_is_signed_over_its_body() -> None:
    assert WOO.verify(OURS, hook(ORDER, signed(ORDER, "new"))) and WOO.verify(OURS, hook(ORDER, signed(ORDER, "old")))
    assert not WOO.verify(OURS, hook(ORDER, signed(ORDER, "other")))
    assert not WOO.verify(OURS, hook(ORDER + b" ", signed(ORDER, "new")))
    assert not WOO.verify(OURS, hook(ORDER))


def test_an_unsigned_ping_is_answered_and_nothing_else_goes_with_it() -> None:
    assert WOO.verify(OURS, hook(b"webhook_id=3"))
    assert WOO.read(OURS, hook(b"webhook_id=3"), nobody).items == ()
    for odd in (b"webhook_id=3&x=1", b"webhook_id=", b"webhook_id={}", b"webhook_id=" + b"1" * 40):
        assert not WOO.verify(OURS, hook(odd))


def test_an_order_that_is_only_moved_on_is_the_same_message_still() -> None:
    first, again = (
        WOO.read(OURS, hook(ORDER.replace(b"processing", state), signed(ORDER, "new")), nobody).items[0].key
        for state in (b"processing", b"completed")
    )
    assert first == again
    failed = WOO.read(OURS, hook(ORDER.replace(b"processing", b"failed"), signed(ORDER, "new")), nobody).items[0]
    assert failed.key != first


def test_an_answer_is_a_note_that_is_mailed_to_the_customer() -> None:
    call = written(WOO, OURS, "order:4750", "문 앞에 두겠습니다")
    assert (call.method, call.url, call.basic) == (
        "POST",
        "https://shop.example/wp-json/wc/v3/orders/4750/notes",
        ("ck", "cs"),
    )
    assert body(call) == {"note": "문 앞에 두겠습니다", "customer_note": True}
    assert WOO.outcome(201, raw({"id": 281})).externals == ("281",)


@pytest.mark.parametrize(("thread", "text"), [("order:4750", ""), ("review:22", "x"), ("order:1/2", "x")])
def test_what_is_no_answer_is_said(thread: str, text: str) -> None:
    with pytest.raises(Unsendable):
        WOO.write(OURS, deliver(thread), said(text), NOW)


@pytest.mark.parametrize(
    ("status", "kind"), [(201, "accepted"), (401, "rejected"), (404, "rejected"), (429, "retry"), (500, "uncertain")]
)
def test_how_a_send_ended(status: int, kind: str) -> None:
    assert WOO.outcome(status, raw({"code": "x", "message": "y"})).kind == kind


def test_reviews_are_asked_for_from_where_we_were() -> None:
    call = WOO.poll(OURS, {"since": NOW - 60}, NOW)
    assert (call.method, call.basic, call.body) == ("GET", ("ck", "cs"), None)
    assert call.url.startswith("https://shop.example/wp-json/wc/v3/products/reviews?after=2023-11-15T07%3A12%3A20")
    page = WOO.page(OURS, {"since": NOW - 60}, 200, raw([{"id": 1, "review": "좋아요"}, "odd"]), NOW)
    assert isinstance(page, Page)
    assert ([item.key for item in page.items], page.again_s) == (["review:1"], 300)
    assert WOO.page(OURS, {}, 401, raw({"message": "no"}), NOW).fault == "401 no"


def test_orders_that_were_lost_are_asked_for_page_by_page() -> None:
    (first,) = asked(WOO, OURS)
    assert first.url == (
        "https://shop.example/wp-json/wc/v3/orders?dates_are_gmt=true&orderby=modified&order=asc&per_page=100"
        "&modified_after=2023-11-14T21%3A13%3A20Z&modified_before=2023-11-14T22%3A13%3A21Z&page=1"
    )
    full = json.dumps([json.loads(ORDER)] * 100).encode()
    (second,) = WOO.found(OURS, first, Span(NOW - 3600, NOW), 200, full, NOW).more
    assert second.url == first.url.replace("&page=1", "&page=2") and second.basic == ("ck", "cs")


@pytest.mark.parametrize(
    ("hooks", "fault"),
    [
        ([("order.created", "active", HOOK), ("order.updated", "active", HOOK)], None),
        ([("order.created", "active", HOOK), ("order.updated", "disabled", HOOK)], "order.updated"),
        ([("order.created", "active", "https://old.example"), ("order.updated", "paused", HOOK)], "order.created and"),
    ],
)
def test_a_webhook_that_was_switched_off_is_told(hooks: list[tuple[str, str, str]], fault: str | None) -> None:
    listed = [{"topic": topic, "status": status, "delivery_url": url} for topic, status, url in hooks]
    told = WOO.subscription(OURS, 200, json.dumps(listed).encode(), NOW)
    assert told is None if fault is None else fault in (told or "")
