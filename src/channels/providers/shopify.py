"""Shopify: what happens to orders, refunds, disputes and customers' data, as work for somebody.

Shopify has no public interface to its chat (Inbox), and contact forms come by mail, where they are answered. What comes
here are webhooks of the topics that the setting `topics` names (shopify.dev, webhook topics), each a contact of kind
`task` about its order, with a link into the admin. Nothing can be answered here.
"""

import hashlib
from typing import Any

from channels import loose, malls, signatures
from channels.base import (
    About,
    Account,
    HookReply,
    Item,
    Look,
    Order,
    Outgoing,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
    by_status,
)
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

TOPICS = "orders/cancelled refunds/create disputes/create disputes/update customers/data_request"
SHOWN = (
    *("name", "status", "reason", "cancel_reason", "type", "amount", "total_price", "currency", "financial_status"),
    *("fulfillment_status", "evidence_due_by", "note", "tags"),
)
"""Fields of any topic that are shown to the agent, where there are any."""
PRIVACY_S = 30 * malls.DAY_S
"""Within what a customer's wish to see his data must be answered (shopify.dev, privacy law compliance)."""


class Shopify:
    name = "shopify"
    about = About(
        title="Shopify events as tasks",
        family="mall",
        receives="orders cancelled, refunds, disputes, privacy requests",
        policy="cannot be answered here: a link into the admin",
        evidence="vendor's library",
        verified_against="signature: Shopify's own library; the rest: documents",
    )
    kinds: tuple[Kind, ...] = ("task",)
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("shop",)
    required_secrets: tuple[str, ...] = ("client_secret",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """While the client secret is rotated Shopify still signs with the old one, for an hour."""
        given = webhook.headers.get("x-shopify-hmac-sha256", "")
        wanted = [signatures.shopify(secret, webhook.body) for secret in account.secrets["client_secret"].split()]
        return any(signatures.same(one, given) for one in wanted)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        if not isinstance(said, dict):
            return Reading(reply=HookReply(422, "not an event"))
        topic = webhook.headers.get("x-shopify-topic", "").lower()
        wanted = account.setting("topics", TOPICS).replace(",", " ").lower().split()
        shop = webhook.headers.get("x-shopify-shop-domain", "").lower()
        if topic not in wanted or shop != account.setting("shop").lower():
            return Reading()
        return Reading((self._task(account, topic, webhook, said),))

    def _task(self, account: Account, topic: str, webhook: Webhook, said: dict[str, Any]) -> Item:
        shop, id_ = account.setting("shop"), malls.text(said.get("id"))
        kind = topic.partition("/")[0]
        order = malls.text(said.get("order_id")) or (id_ if kind == "orders" else "")
        request = malls.text(loose.at(said, "data_request", "id"))
        about = f"order:{order}" if order else f"{kind}:{request or id_ or _digest(webhook)}"
        asked_at = next(
            filter(None, (malls.time(said.get(n)) for n in ("updated_at", "created_at", "initiated_at"))), None
        )
        late_at = malls.time(said.get("evidence_due_by"))
        if topic == "customers/data_request":
            late_at = malls.answer_by(account, asked_at or webhook.t, PRIVACY_S)
        event = webhook.headers.get("x-shopify-event-id") or webhook.headers.get("x-shopify-webhook-id")
        shown = [f"{name}: {value}" for name in SHOWN if (value := malls.text(said.get(name), malls.MAX_FACT))]
        path = f"orders/{order}" if order else "customers" if kind == "customers" else ""
        return malls.item(
            account,
            f"{topic}:{event or _digest(webhook)}",
            Thread(external=about, kind="ticket"),
            self._who(shop, said, about),
            "\n".join((topic, *shown)),
            asked_at=asked_at,
            late_at=late_at,
            subject=" ".join(filter(None, (topic, malls.text(said.get("name"))))),
            attributes=malls.facts(topic=topic, order=order, link=f"https://{shop}/admin/{path}"),
            policy=malls.BY_LINK,
        )

    def _who(self, shop: str, said: dict[str, Any], about: str) -> Identity:
        """The customer by mail address, as in the channel for mails; else by Shopify's number of him."""
        customer = said.get("customer")
        email = malls.text(said.get("email")) or malls.text(loose.at(customer, "email"))
        name = " ".join(filter(None, (malls.text(loose.at(customer, n)) for n in ("first_name", "last_name")))) or None
        if "@" in email:
            return Identity(scope="email", kind="email", value=email.lower(), name=name)
        number = malls.text(loose.at(customer, "id"))
        return Identity(scope=f"shopify:{shop}", kind="external", value=number or about, name=name)

    def policy(self, account: Account) -> ReplyPolicy:
        return malls.BY_LINK

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Order:
        raise Unsendable("Shopify takes no answers here: open the order, or write a mail")

    def outcome(self, status: int, body: bytes) -> Result:
        return by_status(status, "nothing is sent to Shopify")


def _digest(webhook: Webhook) -> str:
    return hashlib.sha256(webhook.body).hexdigest()[:40]
