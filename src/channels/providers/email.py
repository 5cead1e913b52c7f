"""E-mail: any mailbox by IMAP and SMTP. Here only translation; the connection is in channels.mailbox.

A conversation is a thread of mails. Our Message-IDs carry its name and a token that only we can make, so an answer
finds it through In-Reply-To or References; else the oldest Message-ID that a mail names is its thread. Out-of-office
replies, bounces and our own mails never become contacts (RFC 3834, RFC 3464).
"""

import hashlib
import hmac
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, getaddresses, parseaddr

from channels import mail
from channels.base import (
    Account,
    File,
    HookReply,
    Item,
    Look,
    Mail,
    Outgoing,
    Reading,
    Result,
    Transport,
    Unsendable,
    Webhook,
)
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Kind, Part, ReplyPolicy, Text, Thread

OURS = re.compile(r"<([0-9a-f-]{36})\.([0-9a-z]{8,64})\.([0-9a-z]{12})@")
MAX_FILES = 20
MAX_FILES_BYTES = 25_000_000
MAX_REFERENCES = 20


class Email:
    name = "email"
    kinds: tuple[Kind, ...] = ("email",)
    transport: Transport = "mailbox"
    required_settings: tuple[str, ...] = ("address", "imap_host", "smtp_host")
    required_secrets: tuple[str, ...] = ("password",)

    def verify(self, account: Account, webhook: Webhook) -> bool:
        return False  # mails come from the mailbox, never from a hook

    def read(self, account: Account, webhook: Webhook, look: Look) -> Reading:
        """A mail's raw bytes as a message, a receipt, or nothing."""
        message = mail.parse(webhook.body)
        sender_name, sender = parseaddr(mail.header(message, "From"))
        sender = sender.lower()[:320]
        bounced = _bounce(account, message, webhook.body)
        if bounced is not None:
            return Reading((bounced,))
        if not sender or "@" not in sender or sender == account.setting("address").lower() or _automatic(message):
            return Reading(reply=HookReply(200, "no message of a customer's"))
        plain, html, files = mail.bodies(message)
        words = mail.new_words(plain or mail.text_of(html))
        parts: list[Part] = [Text(text=words, html=mail.cleaned(html) if html else None)]
        message_id = mail.header(message, "Message-ID", 998)
        references = _references(message)
        subject = mail.header(message, "Subject")
        body = ReceiveMessage(
            channel=account.channel,
            thread=Thread(external=_thread(account, message_id, references, webhook.body), kind="email"),
            identity=Identity(scope="email", kind="email", value=sender, name=sender_name[:200] or None),
            dedupe_key=_key(message_id, webhook.body),
            to=_addressed(account, message),
        )
        content = Content(
            parts=tuple(parts),
            subject=subject or None,
            headers={"message-id": message_id, "references": " ".join(references)},
        )
        original = File("original.eml", "message/rfc822", webhook.body, "original")
        return Reading((Item(body.dedupe_key, body, content, (*_bounded(files), original), late=True),))

    def policy(self, account: Account) -> ReplyPolicy:
        return ReplyPolicy(max_length=100_000)

    def write(self, account: Account, effect: AnyEffect, message: Outgoing | None, now: float) -> Mail:
        if not isinstance(effect, Deliver) or message is None:
            raise Unsendable("not a mail")
        address = account.setting("address")
        made = EmailMessage(policy=SMTP)
        user, _, domain = address.partition("@")
        made["From"] = Address(account.setting("from_name", account.brand), user, domain)
        made["To"] = effect.identity.value
        made["Subject"] = _subject(message)
        made["Date"] = formatdate(now)
        made["Message-ID"] = message_id_of(account, effect.key, effect.thread.external, domain)
        last = message.last_headers.get("message-id")
        if last:
            made["In-Reply-To"] = last
            made["References"] = " ".join([*message.last_headers.get("references", "").split()[-MAX_REFERENCES:], last])
        signature = account.setting("signature")
        made.set_content(message.content.text + (f"\n\n-- \n{signature}" if signature else "") + "\n")
        for file in message.files:
            main, _, sub = file.media_type.partition("/")
            made.add_attachment(file.body, maintype=main, subtype=sub or "octet-stream", filename=file.name)
        return Mail(sender=address, recipient=effect.identity.value, raw=made.as_bytes())

    def outcome(self, status: int, body: bytes) -> Result:
        return Result("rejected", detail="mail is not sent by HTTP")


def message_id_of(account: Account, message: str, thread: str, domain: str) -> str:
    return f"<{message}.{thread}.{_token(account, message, thread)}@{domain}>"


def _token(account: Account, message: str, thread: str) -> str:
    return account.sign(f"mail {message} {thread}")[:12]


def _ours(account: Account, text: str) -> tuple[str, str] | None:
    """(message, thread) of the first Message-ID in a text that we made."""
    for message, thread, token in OURS.findall(text):
        if hmac.compare_digest(_token(account, message, thread), token):
            return message, thread
    return None


def _references(message: EmailMessage) -> list[str]:
    named = f"{mail.header(message, 'References', 20_000)} {mail.header(message, 'In-Reply-To', 998)}"
    return list(dict.fromkeys(re.findall(r"<[^<>\s]{1,500}>", named)))[:100]


def _thread(account: Account, message_id: str, references: list[str], raw: bytes) -> str:
    for named in reversed(references):
        ours = _ours(account, named)
        if ours is not None:
            return ours[1]
    root = (references or [message_id])[0] or hashlib.sha256(raw).hexdigest()
    return hashlib.sha256(root.encode()).hexdigest()[:24]


def _key(message_id: str, raw: bytes) -> str:
    """A mail's identity: its Message-ID, which is not always unique, with what was said, whatever way it came."""
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256(message_id.encode() + b"\n" + body).hexdigest()[:40]


def _automatic(message: EmailMessage) -> bool:
    submitted = mail.header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if mail.header(message, "Precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return True
    return any(message.get(name) is not None for name in ("List-Id", "X-Autoreply", "X-Auto-Response-Suppress"))


def _bounce(account: Account, message: EmailMessage, raw: bytes) -> Item | None:
    """A delivery report about a mail of ours, as a receipt; reports about anything else are none of ours."""
    if message.get_content_type() != "multipart/report":
        return None
    ours = _ours(account, raw.decode("latin-1"))
    if ours is None:
        return None
    text = raw.decode("latin-1")
    failed = re.search(r"^Action:\s*failed", text, re.IGNORECASE | re.MULTILINE)
    if failed is None:
        return None
    said = re.search(r"^(?:Diagnostic-Code|Status):\s*(.{1,300})", text, re.IGNORECASE | re.MULTILINE)
    body = ReceiveReceipt(message=ours[0], status="failed", detail=said.group(1).strip() if said else "bounced")
    return Item(f"{ours[0]}:bounced", body)


def _addressed(account: Account, message: EmailMessage) -> str | None:
    named = getaddresses([mail.header(message, "To", 2000), mail.header(message, "Cc", 2000)])
    known = [address.lower() for _, address in named if "@" in address]
    own = account.setting("address").lower()
    return own if own in known else (known[0][:320] if known else None)


def _bounded(files: tuple[File, ...]) -> tuple[File, ...]:
    kept: list[File] = []
    size = 0
    for file in files[:MAX_FILES]:
        size += len(file.body)
        if size <= MAX_FILES_BYTES:
            kept.append(file)
    return tuple(kept)


def _subject(message: Outgoing) -> str:
    if message.content.subject:
        subject = message.content.subject
    elif message.last_subject:
        subject = message.last_subject
        subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    else:
        subject = "(no subject)"
    return " ".join(subject.split())[:400]
