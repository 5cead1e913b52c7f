"""SMS by SMPP 3.4: what PDUs say, and what a text is as an order to an SMSC. The connection is in channels.smpp.

`read` gets the PDU of a message or receipt as the body of a "request" with method SMPP; of a long message those of all
its parts, in order. SMPP names and dates no message, so the session tells in the header `name` which of several equal
ones it is (channels/smpp_inbox.py); where the SMSC has an id in a TLV, that is the key.
"""

import math
import re

from channels import smpp_pdu as wire
from channels.base import (
    About,
    Account,
    HookReply,
    Item,
    Look,
    Outgoing,
    Reading,
    Result,
    Submit,
    Transport,
    Unsendable,
    Webhook,
)
from channels.smpp_pdu import Address, Pdu, Short, Written
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Kind, ReplyPolicy, Text, Thread

GAP = "[…]"
"""Stands for a part that has not come."""
MAX_TEXT = 20_000
NUMBER = re.compile(r"\+?[0-9*#]{2,20}")


def setting(account: Account, name: str, default: float) -> float:
    """A number, also one that was written as a text."""
    value = account.settings.get(name, default)
    try:
        number = default if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if math.isfinite(number) else default


def _octet(account: Account, name: str, default: int) -> int:
    return int(setting(account, name, default)) & 0xFF


class Smpp:
    name = "smpp"
    about = About(
        title="SMS by SMPP 3.4 (SMSC or aggregator)",
        family="sms",
        receives="texts, long ones too",
        sends="texts, long ones too",
        receipts="sent, delivered, failed",
        policy="10 parts: 670 letters of Korean",
        evidence="vendor's library",
        verified_against="the SMSC of npm's smpp 0.5.1, and aiosmpplib's reading",
    )
    kinds: tuple[Kind, ...] = ("sms",)
    transport: Transport = "smpp"
    required_settings: tuple[str, ...] = ("host", "system_id", "number")
    required_secrets: tuple[str, ...] = ("password",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # messages come from the session that we have opened, never from a hook

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        pdus = [pdu for pdu in wire.frames(webhook.body) if pdu.command in (wire.DELIVER_SM, wire.DATA_SM)]
        said = [message for pdu in pdus if (message := wire.short(pdu)) is not None]
        if not said or len(said) < len(pdus):
            return Reading(reply=HookReply(422, "no message"))
        receipt = self.receipt(account, said[0])
        if receipt is not None:
            return self._receipt(account, receipt, wire.digest(pdus[0].body)[:16])
        identity, is_named = self.identity(account, pdus)
        name = webhook.headers.get("name", "")[:60]
        key = f"{identity}:{name}" if name and not is_named else identity
        sender, thread = self._sender(account, said[0].source)
        body = ReceiveMessage(
            channel=account.channel,
            thread=thread,
            identity=sender,
            dedupe_key=key,
            to=said[0].destination.value[:40] or None,
            policy=None if sender.kind == "phone" else ReplyPolicy(allowed=False, reason="reply-not-allowed"),
        )
        text = _joined(said, account.setting("default_alphabet", "gsm7"))[:MAX_TEXT]
        item = Item(key, body, Content(parts=(Text(text=text),)), late=is_named or "again" in webhook.headers)
        return Reading((item,))

    def receipt(self, account: Account, message: Short) -> wire.Receipt | None:
        return wire.receipt(message, account.setting("receipt_ids", "as_is"), _default(account))

    def _receipt(self, account: Account, receipt: wire.Receipt, digest: str) -> Reading:
        """Its key has its bytes in it, for there are SMSCs that number anew from 1 when they are started again."""
        if receipt.status is None or not receipt.external:
            return Reading()
        body = ReceiveReceipt(
            status=receipt.status, detail=receipt.detail, channel=account.channel, external=receipt.external
        )
        return Reading((Item(f"{receipt.external}:{receipt.status}:{digest}", body),))

    def identity(self, account: Account, pdus: list[Pdu]) -> tuple[str, bool]:
        """What names this message, and whether it is the SMSC's own name for it."""
        return wire.identity(pdus, int(setting(account, "message_id_tlv", wire.RECEIPTED_ID)))

    def _sender(self, account: Account, source: Address) -> tuple[Identity, Thread]:
        """A number in E.164 as far as that can be told, or a name, which nobody can answer."""
        value = source.value.strip()[:40]
        code = account.setting("country_code").lstrip("+")
        if source.ton == 1 and value[:1].isdigit():
            value = f"+{value}"
        elif code and source.ton != 5 and value.startswith("0"):
            value = f"+{code}{value[1:]}"
        if source.ton != 5 and NUMBER.fullmatch(value):
            return Identity(scope="e164", kind="phone", value=value), Thread(external=value)
        return Identity(scope=f"sms:{account.channel}", kind="handle", value=value or "?"), Thread(
            external=f"name:{value}"
        )

    def policy(self, account: Account) -> ReplyPolicy:
        match account.setting("data_coding", "auto"):
            case "gsm7":
                return ReplyPolicy(max_length=153 * wire.MAX_PARTS)
            case "euckr":
                return ReplyPolicy(max_length=134 * wire.MAX_PARTS, unit="bytes_euc_kr")
        return ReplyPolicy(max_length=67 * wire.MAX_PARTS, unit="utf16")

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Submit:
        if not isinstance(effect, Deliver):
            raise Unsendable("not a message")
        text = message.content.text if message else ""
        if not text.strip():
            raise Unsendable("an SMS needs text")
        if effect.identity.kind != "phone" or not NUMBER.fullmatch(effect.identity.value):
            raise Unsendable(f"'{effect.identity.value}' is no number that an SMS can be sent to")
        written = _written(account, text)
        if written is None:
            raise Unsendable("this text has letters that cannot be written in an SMS of this channel")
        if len(written.pieces()) > wire.MAX_PARTS:
            raise Unsendable(f"an SMS has at most {wire.MAX_PARTS} parts")
        return Submit(
            source=account.setting("number"), destination=effect.identity.value, text=text, reference=effect.key
        )

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="an SMSC is not spoken to by HTTP")


def _default(account: Account) -> str:
    return account.setting("default_alphabet", "gsm7")


def _written(account: Account, text: str) -> Written | None:
    return wire.written(text, account.setting("data_coding", "auto"), _default(account))


def _joined(said: list[Short], default: str) -> str:
    """The text of the parts. Bytes are joined before they are read, for a letter may be cut between two parts."""
    found, data, last = [], b"", 0
    for at, message in enumerate(said):
        if at and message.number == last + 1 and message.data_coding == said[at - 1].data_coding:
            data += message.data
        else:
            if at:
                found.append(wire.text(data, said[at - 1].data_coding, default))
            if message.number > last + 1:
                found.append(GAP)
            data = message.data
        last = message.number
    found.append(wire.text(data, said[-1].data_coding, default))
    if last < said[-1].total:
        found.append(GAP)
    return "".join(found)


def submit_bodies(account: Account, order: Submit, reference: int) -> list[bytes]:
    """The bodies of the submit_sm that carry an order out, with receipts asked for."""
    message = Short(
        source=_address(account, order.source, "source"),
        destination=_address(account, order.destination, "destination"),
        registered=1,
    )
    text = _written(account, order.text) or wire.written(order.text)
    assert text is not None  # UCS-2 writes everything
    return list(wire.parts(message, text, reference, account.setting("long", "parts")))


def _address(account: Account, value: str, side: str) -> Address:
    """A number as most SMSCs want it: international without its plus, national as it is; or a name."""
    code = account.setting("country_code").lstrip("+")
    if code and account.setting("numbers") == "national" and value.startswith(f"+{code}"):
        value = f"0{value[len(code) + 1 :]}"
    ton, npi = (1, 1) if value.startswith("+") else (0, 1) if NUMBER.fullmatch(value) else (5, 0)
    return Address(_octet(account, f"{side}_ton", ton), _octet(account, f"{side}_npi", npi), value.removeprefix("+"))
