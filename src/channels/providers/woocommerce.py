"""WooCommerce: orders with a customer's note or in a state that wants somebody, and product reviews.

In: webhooks of orders (X-WC-Webhook-Topic order.created, order.updated), signed over the body; the body is the order
(developer.woocommerce.com, REST API v3). Reviews have no webhook and are asked for: GET products/reviews. Out: an order
note for the customer, which WooCommerce sends him by mail. A review cannot be answered by this API: a link. After five
deliveries that failed in a row a webhook is switched off; orders are listed by when they were changed, oldest first.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from channels import loose, mail, malls, signatures
from channels.base import (
    About,
    Account,
    Call,
    Found,
    HookReply,
    Item,
    Look,
    Outgoing,
    Page,
    Reading,
    Result,
    Span,
    Transport,
    Unsendable,
    Webhook,
)
from router.effects import AnyEffect
from router.model import Identity, Kind, ReplyPolicy, Thread

STATES = "failed on-hold"
SIZE, FIRST_S, MOST_S, OVERLAP_S, PAUSE_S = 100, 7 * malls.DAY_S, 365 * malls.DAY_S, malls.DAY_S, 300.0


class WooCommerce:
    name = "woocommerce"
    about = About(
        title="WooCommerce orders and reviews",
        family="mall",
        receives="customers' notes on orders, orders in some states, reviews",
        sends="order notes, which are mailed to the customer",
        policy="reviews only by a link",
        made_good="orders; reviews are asked for anyway",
        verified_against="documents",
    )
    kinds: tuple[Kind, ...] = ("email", "task")
    transport: Transport = "webhook"
    required_settings: tuple[str, ...] = ("url",)
    required_secrets: tuple[str, ...] = ("webhook_secret", "consumer_key", "consumer_secret")
    span_s = malls.DAY_S

    def verify(self, account: Account, webhook: Webhook) -> bool:
        """A ping, which comes unsigned when a webhook is saved and says nothing, is answered so that it can be saved."""
        if webhook.body.startswith(b"webhook_id=") and webhook.body[11:31].isdigit() and len(webhook.body) < 31:
            return True
        given = webhook.headers.get("x-wc-webhook-signature", "")
        secrets = account.secrets["webhook_secret"].split()
        return any(signatures.same(signatures.base64_mac(secret, webhook.body), given) for secret in secrets)

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        said = loose.decoded(webhook.body)
        topic = webhook.headers.get("x-wc-webhook-topic", "")
        found = self._order(account, said) if topic in ("order.created", "order.updated") else None
        is_known = isinstance(said, dict) or webhook.body.startswith(b"webhook_id=")
        return Reading((found,) if found else (), HookReply() if is_known else HookReply(422, "not an order"))

    def _order(self, account: Account, said: Any) -> Item | None:
        id_, state, note = (
            malls.text(loose.at(said, name), malls.MAX_TEXT) for name in ("id", "status", "customer_note")
        )
        wants = state in account.setting("states", STATES).replace(",", " ").split()
        if not id_.isdecimal() or not (note or wants):
            return None
        email = malls.text(loose.at(said, "billing", "email")).lower()
        name = " ".join(filter(None, (malls.text(loose.at(said, "billing", n)) for n in ("first_name", "last_name"))))
        who = Identity(scope="email", kind="email", value=email, name=name or None)
        return malls.item(
            account,
            f"order:{id_}:{state if wants else 'note'}",  # an update that changes neither is the same
            Thread(external=f"order:{id_}", kind="ticket"),
            who if "@" in email else Identity(scope=self._scope(account), kind="external", value=f"order:{id_}"),
            "\n".join(filter(None, (f"[{state}]" if wants else "", note))),
            asked_at=_utc(loose.at(said, "date_modified_gmt")),
            subject=f"#{malls.text(loose.at(said, 'number')) or id_}",
            attributes=malls.facts(
                order=id_, status=state, total=loose.at(said, "total"), link=self._link(account, id_)
            ),
            policy=ReplyPolicy(),
        )

    def _scope(self, account: Account) -> str:
        return f"woocommerce:{account.setting('url')}"

    def _link(self, account: Account, order: str) -> str:
        return f"{account.setting('url').rstrip('/')}/wp-admin/post.php?post={order}&action=edit"

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy()

    def poll(self, account: Account, cursor: Mapping[str, Any], now: float) -> Call:
        at = malls.place(cursor, now, FIRST_S, MOST_S)
        after = malls.iso(at.since)
        asked = {
            "after": after,
            "order": "asc",
            "orderby": "date_gmt",
            "status": "all",
            "per_page": SIZE,
            "page": at.page,
        }
        return self._call(account, "GET", f"products/reviews?{urlencode(asked)}", None)

    def page(self, account: Account, cursor: Mapping[str, Any], status: int, body: bytes, now: float) -> Page:
        said, at = loose.decoded(body), malls.place(cursor, now, FIRST_S, MOST_S)
        if status != 200 or not isinstance(said, list):
            return malls.refused(cursor, status, said)
        items = [item for row in malls.rows(said) if (item := self._review(account, row)) is not None]
        after, pause_s = at.on(len(said) >= SIZE, 1, now, OVERLAP_S, PAUSE_S)
        return Page(items=tuple(items), cursor=after, again_s=pause_s)

    def _review(self, account: Account, row: dict[str, Any]) -> Item | None:
        id_, email = malls.text(row.get("id")), malls.text(row.get("reviewer_email")).lower()
        if not id_:
            return None
        name = malls.text(row.get("reviewer")) or None
        who = Identity(scope="email", kind="email", value=email, name=name)
        return malls.item(
            account,
            f"review:{id_}",
            Thread(external=f"review:{id_}", kind="public_comment"),
            who
            if "@" in email
            else Identity(scope=self._scope(account), kind="external", value=f"review:{id_}", name=name),
            mail.text_of(malls.text(row.get("review"), mail.MAX_TEXT)),
            asked_at=_utc(row.get("date_created_gmt")),
            attributes=malls.facts(
                product=row.get("product_id"),
                product_name=row.get("product_name"),
                rating=row.get("rating"),
                link=row.get("product_permalink"),
            ),
            policy=malls.BY_LINK,
        )

    def since(self, account: Account, span: Span, now: float) -> tuple[Call, ...]:
        times = {"modified_after": loose.utc(span.start), "modified_before": loose.utc(span.end + 1)}
        return (self._orders(account, {**times, "page": "1"}),)

    def _orders(self, account: Account, asked: Mapping[str, str]) -> Call:
        query = {"dates_are_gmt": "true", "orderby": "modified", "order": "asc", "per_page": str(SIZE), **asked}
        return self._call(account, "GET", f"orders?{urlencode(query)}", None)

    def found(self, account: Account, call: Call, span: Span, status: int, body: bytes, now: float) -> Found:
        said = loose.decoded(body)
        if status != 200 or not isinstance(said, list):
            return Found(fault=f"{status} {malls.why(said)}".strip())
        items = tuple(item for row in malls.rows(said) if (item := self._order(account, row)) is not None)
        asked = dict(parse_qsl(urlsplit(call.url).query))
        page = int(loose.number(asked, "page") or 1)
        is_last = len(said) < SIZE
        return Found(items=items, more=() if is_last else (self._orders(account, {**asked, "page": str(page + 1)}),))

    def ask_subscription(self, account: Account, now: float) -> Call:
        return self._call(account, "GET", "webhooks?per_page=100", None)

    def subscription(self, account: Account, status: int, body: bytes, now: float) -> str | None:
        said = loose.decoded(body)
        if status != 200 or not isinstance(said, list):
            return f"{status} {malls.why(said)}".strip()
        ours = [row for row in malls.rows(said) if row.get("delivery_url") == account.hook_url]
        topics = {malls.text(row.get("topic")) for row in ours if row.get("status") == "active"}
        lacking = [topic for topic in ("order.created", "order.updated") if topic not in topics]
        return f"no active webhook of {' and '.join(lacking)} goes to {account.hook_url}" if lacking else None

    def _call(self, account: Account, method: str, path: str, said: Any) -> Call:
        call = malls.post(f"{account.setting('url').rstrip('/')}/wp-json/wc/v3/{path}", said, method=method)
        key = (account.secrets["consumer_key"], account.secrets["consumer_secret"])
        return Call(url=call.url, method=method, basic=key, body=call.body if said else None, headers=call.headers)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Call:
        effect, words = malls.answer(effect, message)
        kind, _, order = effect.thread.external.partition(":")
        if kind != "order" or not order.isdecimal():
            raise Unsendable("a review cannot be answered here: open the link")
        return self._call(account, "POST", f"orders/{order}/notes", {"note": words, "customer_note": True})

    def outcome(self, status: int, body: bytes) -> Result:
        said = loose.decoded(body)
        known = malls.outcome(status, said, (malls.text(loose.at(said, "id")),))
        return Result("rejected", detail=known.detail) if status == 401 else known


def _utc(value: Any) -> float | None:
    """WooCommerce writes its times of Greenwich without a zone."""
    return malls.time(f"{value}+00:00") if isinstance(value, str) else None
