"""Shopify: events of chosen topics are tasks; `vectors.json` has a signature that Shopify's own library made."""

import base64
import hashlib
import hmac

import msgspec
import pytest

from channels.base import Unsendable
from channels.providers.shopify import Shopify
from support.channel import NOW, account, hook, nobody, payloads
from support.malls import deliver, said

SHOPIFY = Shopify()
OURS = account(SHOPIFY, {"shop": "k-shop.myshopify.com"}, {"client_secret": "new old"})
CANCELLED = next(p for p in payloads("shopify") if p.path.stem == "order_cancelled")


def signed(body: bytes, secret: str) -> dict[str, str]:
    mac = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {**CANCELLED.said["request"]["headers"], "X-Shopify-Hmac-Sha256": mac}


def test_a_webhook_is_signed_with_the_clients_secret_or_the_one_before() -> None:
    body = CANCELLED.body
    assert SHOPIFY.verify(OURS, hook(body, signed(body, "new")))
    assert SHOPIFY.verify(OURS, hook(body, signed(body, "old")))
    assert not SHOPIFY.verify(OURS, hook(body, signed(body, "other")))
    assert not SHOPIFY.verify(OURS, hook(body + b" ", signed(body, "new")))
    assert not SHOPIFY.verify(OURS, hook(body))


def read(headers: dict[str, str] | None = None, body: object = None, **settings: str):  # type: ignore[no-untyped-def]
    ours = msgspec.structs.replace(OURS, settings={**OURS.settings, **settings})
    given = {**CANCELLED.said["request"]["headers"], **(headers or {})}
    return SHOPIFY.read(ours, hook(CANCELLED.body if body is None else body, given), nobody)  # type: ignore[arg-type]


def test_the_owner_chooses_the_topics() -> None:
    assert len(read().items) == 1
    assert read(topics="orders/create, refunds/create").items == ()
    assert len(read(topics="orders/create, Orders/Cancelled").items) == 1


def test_an_event_of_another_shop_of_the_app_is_not_ours() -> None:
    reading = read({"X-Shopify-Shop-Domain": "other.myshopify.com"})
    assert (reading.items, reading.reply.status) == ((), 200)


def test_an_event_that_comes_twice_has_one_key_and_another_has_another() -> None:
    [one], [again] = read().items, read({"X-Shopify-Webhook-Id": "another-delivery"}).items
    [other] = read({"X-Shopify-Event-Id": "e2"}).items
    assert one.key == again.key != other.key
    bare = {"X-Shopify-Event-Id": "", "X-Shopify-Webhook-Id": ""}
    assert read(bare).items[0].key == read(bare).items[0].key != read(bare, {"id": 2}).items[0].key


def test_all_that_happens_to_an_order_is_one_conversation() -> None:
    [refund] = read({"X-Shopify-Topic": "refunds/create"}, {"id": 509562969, "order_id": 820982911946154508}).items
    [cancelled] = read().items
    assert refund.body.thread == cancelled.body.thread


def test_nothing_can_be_answered_and_the_link_says_where_it_can() -> None:
    with pytest.raises(Unsendable):
        SHOPIFY.write(OURS, deliver("order:1"), said("hello"), NOW)
    [item] = read().items
    assert item.body.policy == SHOPIFY.policy(OURS)
    assert not item.body.policy.allowed and item.body.attributes["link"].endswith("/orders/820982911946154508")


def test_what_is_no_event_is_refused() -> None:
    assert read(body=b"[]").reply.status == 422
