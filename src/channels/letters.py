"""A mail as a message of a customer's, and an answer as a mail: threads, keys, senders, whoever carried it.

A conversation is a thread of mails. Our Message-IDs carry its name and a token that only we can make, so an answer
finds it through In-Reply-To or References; else the oldest Message-ID that a mail names is its thread. Out-of-office
replies, bounces and our own mails never become contacts (RFC 3834, RFC 3464). Every other mail does, however odd: it
comes with its original bytes, so that nothing of what could not be read is lost.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.policy import EmailPolicy
from email.utils import formatdate
from typing import Any

import msgspec
import structlog

from channels import bounces, mail, verdicts
from channels.base import Account, File, HookReply, Item, Outgoing, Reading, Unsendable
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage
from router.model import Content, Identity, Text, Thread

OURS = re.compile(r"<([0-9a-f-]{36})\.([0-9a-z]{8,64})\.([0-9a-z]{12})@")
MAX_REFERENCES = 20
UNKNOWN = "unknown@sender.invalid"
"""Who wrote a mail that names nobody (RFC 2606: a mail to it can reach no one)."""

log = structlog.get_logger("channels.letters")


# -- coming in


def reading(account: Account, raw: bytes, attributes: Mapping[str, str] | None = None) -> Reading:
    """A mail's raw bytes as a message, a receipt, or nothing. A fault of ours still leaves the original.

    `attributes` are what whoever carried it has found out about it.
    """
    try:
        return understood(account, raw, attributes or {})
    except Exception:
        log.exception("mail.unreadable", channel=account.channel, size_bytes=len(raw))
        return _unreadable(account, raw)


def understood(account: Account, raw: bytes, attributes: Mapping[str, str]) -> Reading:
    message = mail.parse(raw)
    told = bounces.told(message, raw)
    ours = named_by_us(account, raw.decode("latin-1")) if told else None
    if told is not None and ours is not None:
        return Reading((told.item(ours[0]),))
    if _automatic(message) or _from_ourselves(account, message):
        return Reading(reply=HookReply(200, "no message of a customer's"))
    plain, html, files = mail.bodies(message)
    words = mail.new_words(plain if plain.strip() else mail.text_of(html))
    message_id = mail.source(message, "Message-ID", 998)
    references = _references(message)
    subject = mail.header(message, "Subject")
    name, sender = _sender(account, message)
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=_thread(account, message_id, references, raw), kind="email"),
        identity=Identity(scope="email", kind="email", value=sender, name=name or None),
        dedupe_key=mail.key(message_id, raw),
        to=_addressed(account, message),
        attributes={**verdicts.of(message, account.setting("authserv_id")), **attributes},
    )
    content = Content(
        parts=(Text(text=words, html=mail.cleaned(html) if html else None),),
        subject=subject or None,
        headers={"message-id": message_id, "references": " ".join(references)},
    )
    return Reading((Item(body.dedupe_key, body, content, (*mail.bounded(files), mail.original(raw)), late=True),))


def _references(message: Message) -> list[str]:
    """The Message-IDs a mail names, the oldest first; also those that its program wrote as encoded words."""
    named = mail.words(f"{mail.source(message, 'References')} {mail.source(message, 'In-Reply-To', 998)}")
    return list(dict.fromkeys(re.findall(r"<[^<>\s]{1,500}>", named)))[:100]


def _thread(account: Account, message_id: str, references: list[str], raw: bytes) -> str:
    for named in reversed(references):
        ours = named_by_us(account, named)
        if ours is not None:
            return ours[1]
    root = (references or [message_id])[0] or hashlib.sha256(raw).hexdigest()
    return hashlib.sha256(root.encode()).hexdigest()[:24]


def _automatic(message: Message) -> bool:
    """Nobody wrote it, or it went to a list: an answer would answer a machine (RFC 3834, 2)."""
    submitted = mail.header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if mail.header(message, "Precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return True
    if mail.source(message, "Return-Path") == "<>" or message.get_content_type() == "multipart/report":
        return True
    if mail.address(message, "From")[1].startswith("mailer-daemon@"):
        return True
    return any(message.get(name) is not None for name in ("List-Id", "X-Autoreply", "X-Auto-Response-Suppress"))


def _sender(account: Account, message: Message) -> tuple[str, str]:
    """(name, address) of whom an answer goes to: whom the mail asks us to answer, else who sent it."""
    own = account.setting("address").lower()
    for field in ("Reply-To", "From", "Sender", "Return-Path"):
        name, sender = mail.address(message, field)
        if sender and sender != own:
            return name or mail.address(message, "From")[0], sender
    return mail.header(message, "From", 200), UNKNOWN


def _from_ourselves(account: Account, message: Message) -> bool:
    """Our own mail come round; a form of the shop's own that asks us to answer its customer is none."""
    own = account.setting("address").lower()
    return mail.address(message, "From")[1] == own and mail.address(message, "Reply-To")[1] in ("", own)


def _unreadable(account: Account, raw: bytes) -> Reading:
    """A mail that could not be taken apart: its sender and its whole, as a file."""
    found = mail.ADDRESS.search(raw[:20_000].decode("ascii", "ignore"))
    sender = (found[1] or found[2]).lower()[:320] if found else UNKNOWN
    key = hashlib.sha256(raw).hexdigest()[:40]
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=key[:24], kind="email"),
        identity=Identity(scope="email", kind="email", value=sender),
        dedupe_key=key,
        to=account.setting("address").lower(),
    )
    return Reading((Item(key, body, Content(parts=(Text(text=""),)), (mail.original(raw),), late=True),))


def _addressed(account: Account, message: Message) -> str | None:
    known = [address for field in ("To", "Cc") for _, address in mail.addresses(mail.source(message, field))]
    own = account.setting("address").lower()
    return own if own in known else (known[0] if known else None)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An answer before it is written as a mail. `headers` are those that keep it in its thread."""

    sender: str
    sender_name: str
    to: str
    subject: str
    text: str
    headers: dict[str, str]


def letter(account: Account, effect: AnyEffect, message: Outgoing | None) -> Letter:
    """Raises Unsendable."""
    if not isinstance(effect, Deliver) or message is None:
        raise Unsendable("not a mail")
    to = effect.identity.value
    if to == UNKNOWN or not to.isascii() or mail.addresses(to) != [("", to.lower())]:
        raise Unsendable(f"'{to}' is no address that a mail can be sent to")
    address = account.setting("address")
    headers = {"Message-ID": message_id_of(account, effect.key, effect.thread.external, address.partition("@")[2])}
    last = message.last_headers.get("message-id")
    if last:
        headers["In-Reply-To"] = last
        older = message.last_headers.get("references", "").split()[-MAX_REFERENCES:]
        headers["References"] = " ".join([*older, last])
    signature = account.setting("signature")
    return Letter(
        sender=address,
        sender_name=account.setting("from_name", account.brand),
        to=to,
        subject=_subject(message),
        text=message.content.text + (f"\n\n-- \n{signature}" if signature else "") + "\n",
        headers=headers,
    )


def written(letter: Letter, files: tuple[File, ...], now: float) -> bytes:
    """A letter as other programs read it. Raises Unsendable."""
    try:
        return _written(letter, files, now)
    except (ValueError, LookupError, HeaderParseError) as error:
        raise Unsendable(f"this cannot be written as a mail: {error}") from error


def _written(letter: Letter, files: tuple[File, ...], now: float) -> bytes:
    made = EmailMessage(policy=WIRE)
    user, _, domain = letter.sender.partition("@")
    made["From"] = Address(letter.sender_name, user, domain)
    made["To"] = letter.to
    made["Subject"] = letter.subject
    made["Date"] = formatdate(now)
    for name, value in letter.headers.items():
        made[name] = value
    made.set_content(letter.text)
    for file in files:
        main, _, sub = travelling(file).partition("/")
        made.add_attachment(file.body, maintype=main, subtype=sub, filename=file_name(file))
    return made.as_bytes()


def travelling(file: File) -> str:
    """A file's media type as an attachment may have it: mails and parts may not travel as base64 (RFC 2046)."""
    kind = file.media_type if mail.MEDIA_TYPE.fullmatch(file.media_type) else "application/octet-stream"
    return "application/octet-stream" if kind.startswith(("message/", "multipart/")) else kind


def file_name(file: File) -> str:
    return " ".join(mail.readable(file.name).split()) or "file"


def _subject(message: Outgoing) -> str:
    if message.content.subject:
        subject = message.content.subject
    elif message.last_subject:
        subject = message.last_subject
        subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    else:
        subject = "(no subject)"
    return " ".join(subject.split())[:400]


# -- names that only we can make


def message_id_of(account: Account, message: str, thread: str, domain: str) -> str:
    return f"<{message}.{thread}.{_token(account, message, thread)}@{domain}>"


def _token(account: Account, message: str, thread: str) -> str:
    return account.sign(f"mail {message} {thread}")[:12]


def named_by_us(account: Account, text: str) -> tuple[str, str] | None:
    """(message, thread) of the first Message-ID in a text that we made."""
    for message, thread, token in OURS.findall(text):
        if hmac.compare_digest(_token(account, message, thread), token):
            return message, thread
    return None


# -- on the wire


class _Wire(EmailPolicy):
    """As other programs read it: seven bits, thread names whole, and every letter of a long name or subject.

    Where a header does not fit on a line, Python writes Message-IDs as encoded words (RFC 2047), which no program then
    finds, and loses spaces between Korean words.
    """

    def _fold(self, name: str, value: Any, refold_binary: bool = False) -> str:
        if name.lower() in ("in-reply-to", "references"):
            return f"{name}: " + "\r\n ".join(str(value).split()) + "\r\n"
        if name.lower() == "subject" and not str(value).isascii():
            return f"{name}: {_encoded(str(value), name)}\r\n"
        if name.lower() == "from" and not str(value).isascii():
            [sender] = value.addresses
            return f"{name}: {_encoded(sender.display_name, name)}\r\n <{sender.addr_spec}>\r\n"
        folded: str = super()._fold(name, value, refold_binary)  # type: ignore[misc]
        return folded


def _encoded(text: str, name: str) -> str:
    return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")


WIRE = _Wire(linesep="\r\n", cte_type="7bit")
