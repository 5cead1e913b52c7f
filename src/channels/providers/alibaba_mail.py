"""Alibaba.com, 1688 and AliExpress: their notification mails, out of a mailbox, with a link to where one answers.

None of them has a public interface to buyers' chat (their clients are closed, and to drive them breaks their terms). What
they do send is a mail: who may answer opens the link in it. Only mails that come from their domains are taken, so let a
rule of the mailbox move them into a folder of their own (setting `folder`); of what else lies there nothing is made.
"""

import html as entities
import re
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from channels import mail, malls
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
)
from router.effects import AnyEffect
from router.inputs import ReceiveMessage
from router.model import Content, Identity, Kind, ReplyPolicy, Text, Thread

MARKETS = ("alibaba.com", "1688.com", "aliexpress.com")
LINK = re.compile(r"https?://[A-Za-z0-9.-]{1,200}[^\s\"'<>]{0,1500}")
MAX_LINKS = 300
RANK = ("talk", "order", "product", "")
ORDER = ("orderid", "order_id", "tradeid", "trade_id", "tradeorderid")
PRODUCT = ("productid", "product_id", "offerid", "offer_id", "itemid")
TALK = ("inquiryid", "inquiry_id", "feedbackid", "messageid", "msgid", "conversationid", "encryptfeedbackid")
IN_PATH = (
    re.compile(r"/offer/(\d{5,20})\.html"),
    re.compile(r"/item/(\d{5,20})\.html"),
    re.compile(r"_(\d{5,20})\.html"),
)
"""Products in addresses: detail.1688.com/offer/N.html, aliexpress.com/item/N.html, alibaba.com/product-detail/NAME_N.html."""


class AlibabaMail:
    name = "alibaba_mail"
    about = About(
        title="Alibaba.com, 1688, AliExpress by their mails",
        family="mall",
        receives="notification mails",
        media="in",
        policy="cannot be answered here: a link to the market's own pages",
        verified_against="made-up mails; the market's mails have no documented form",
    )
    kinds: tuple[Kind, ...] = ("email",)
    transport: Transport = "mailbox"
    required_settings: tuple[str, ...] = ("address", "imap_host")
    required_secrets: tuple[str, ...] = ("password",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # mails come from the mailbox, never from a hook

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        message = mail.parse(webhook.body)
        market = _market(mail.address(message, "From")[1].rpartition("@")[2])
        if market is None or _is_forged(message):
            return Reading(reply=HookReply(200, "no notification"))
        return Reading((self._notification(account, market, message, webhook),))

    def _notification(self, account: Account, market: str, message: Message, webhook: Webhook) -> Item:
        plain, html, files = mail.bodies(message)
        known = _links(f"{html} {plain}")
        key = mail.key(mail.source(message, "Message-ID", 998), webhook.body)
        order, product, talk = (known.get(name, "") for name in ("order", "product", "talk"))
        thread = talk or order or key  # two mails about one product are of two buyers
        body = ReceiveMessage(
            channel=account.channel,
            thread=Thread(external=f"{market}:{thread}"[: malls.MAX_KEY], kind="ticket"),
            identity=Identity(scope=market, kind="external", value=thread[: malls.MAX_KEY]),
            dedupe_key=key,
            attributes=malls.facts(
                market=market, order=order, product=product, link=known.get("link") or f"https://message.{market}/"
            ),
            policy=malls.BY_LINK,
            answer_by=malls.answer_by(account, webhook.t, 0),
        )
        words = mail.fitting(mail.readable(plain.strip() or mail.text_of(html)), mail.MAX_TEXT_BYTES)
        content = Content(
            parts=(Text(text=words, html=mail.cleaned(html) if html else None),),
            subject=mail.header(message, "Subject") or None,
        )
        return Item(key, body, content, (*mail.bounded(files), mail.original(webhook.body)), late=True)

    def policy(self, account: Account) -> ReplyPolicy:
        return malls.BY_LINK

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Order:
        raise Unsendable("this market takes no answers from outside: open the link and answer there")

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="nothing is sent to this market")


def _market(host: str) -> str | None:
    return next((market for market in MARKETS if host == market or host.endswith(f".{market}")), None)


def _is_forged(message: Message) -> bool:
    """Whether our own mail server says so (RFC 8601): anybody can write these names into a mail."""
    return "dmarc=fail" in "".join(mail.source(message, "Authentication-Results").lower().split())


def _links(text: str) -> dict[str, str]:
    """Ids of talk, order and product in the links into these markets, and the best of these links."""
    found: dict[str, str] = {}
    best = len(RANK)
    for url in LINK.findall(text)[:MAX_LINKS]:
        url = entities.unescape(url).rstrip(").,;")
        ids = _ids(url)
        if ids is None:
            continue
        rank = min((RANK.index(name) for name in ids), default=len(RANK) - 1)
        if rank < best and "unsubscri" not in url.lower():
            best, found["link"] = rank, url
        found = {**ids, **found}
    return found


def _ids(url: str) -> dict[str, str] | None:
    """What a link into one of the markets is about; None for any other link."""
    try:
        parts = urlsplit(url)
        asked = {name.lower(): value for name, value in parse_qsl(parts.query, max_num_fields=100)}
        host = parts.hostname or ""
    except ValueError:
        return None
    if _market(host) is None:
        return None
    named = {"talk": TALK, "order": ORDER, "product": PRODUCT}
    found = {kind: next((asked[one] for one in names if asked.get(one)), "") for kind, names in named.items()}
    match = next(filter(None, (pattern.search(parts.path) for pattern in IN_PATH)), None)
    found["product"] = found["product"] or (match[1] if match else "")
    return {kind: value[: malls.MAX_NAME] for kind, value in found.items() if value}
