"""Reports about mails of ours: delivery status (RFC 3464, RFC 6533), what was read (RFC 8098), and older programs' own forms.

Whether a report is about a mail of ours is told by a Message-ID that only we can make; who calls this looks for it in the whole
report, since some give back the mail, some its headers, some only name it. A delay is no end and says nothing.
"""

import re
from email.message import Message
from typing import Literal

import msgspec

from channels import mail
from channels.base import Item
from router.inputs import ReceiveReceipt
from router.model import SendStatus

FOLD = re.compile(r"\n[ \t]+")
FIELD = r"^{name}[ \t]*:[ \t]*(.{{1,1000}})"
STATUS_PART = re.compile(r"^content-type:[ \t]*message/(?:global-)?delivery-status", re.IGNORECASE | re.MULTILINE)
READ_PART = re.compile(
    r"^content-type:[ \t]*message/(?:global-)?disposition-notification", re.IGNORECASE | re.MULTILINE
)
RETURNED_PART = re.compile(
    r"^content-type:[ \t]*(?:message/(?:rfc822|global)|text/rfc822-headers)", re.IGNORECASE | re.MULTILINE
)
QMAIL = re.compile(r"^hi\. this is the\b.{0,200}\bprogram\b", re.IGNORECASE | re.DOTALL)
"""How bounces begin that are written as D. J. Bernstein's QSBMF has it (cr.yp.to/proto/qsbmf.txt)."""
POSTMEN = ("mailer-daemon@", "postmaster@")
LATE = re.compile(r"delay|warning|not yet|지연|遅延", re.IGNORECASE)
REPLY = re.compile(r"\b(5\d\d[ -](?:#?5\.\d{1,3}\.\d{1,3})?[^\r\n]{0,250})")
MAX_REPORT = 100_000
ACTIONS: dict[str, SendStatus] = {
    "failed": "failed",
    "failure": "failed",
    "expired": "failed",
    "delivered": "delivered",
}
"""And what some write instead. relayed and expanded go on elsewhere, delayed is tried again."""


class Told(msgspec.Struct, frozen=True):
    status: Literal["failed", "delivered", "read"]
    detail: str | None

    def item(self, message: str) -> Item:
        end = "bounced" if self.status == "failed" else self.status
        return Item(f"{message}:{end}", ReceiveReceipt(message=message, status=self.status, detail=self.detail))


def told(message: Message, raw: bytes) -> Told | None:
    """What a report says of the mail that it is about; None for what is no report, or says nothing of an end."""
    if message.get_content_type() != "multipart/report":
        return _older(message)
    text = FOLD.sub(" ", raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n"))
    notice = READ_PART.search(text)
    if notice is not None:
        displayed = "displayed" in _field(text[notice.end() :][:MAX_REPORT], "Disposition").lower()
        return Told("read", None) if displayed else None
    status = STATUS_PART.search(text)
    start = status.end() if status else 0
    returned = RETURNED_PART.search(text, start)
    said = text[start : returned.start() if returned else None][:MAX_REPORT]
    return _delivery(said) or (None if _field(said, "Action") else _older(message))


def _delivery(text: str) -> Told | None:
    """The first recipient that failed, else the first that got it: a mail of ours has one, but an alias may have many."""
    groups = re.split(r"\n(?:[ \t]*\n)+", text)
    found = [(action, group) for group in groups if (action := _action(group)) in ACTIONS]
    if not found:
        return None
    action, group = next((each for each in found if ACTIONS[each[0]] == "failed"), found[0])
    if ACTIONS[action] == "delivered":
        return Told("delivered", None)
    code = _field(group, "Status").partition(" ")[0]
    kind, _, words = _field(group, "Diagnostic-Code").partition(";")
    detail = f"{code} {(words or kind).strip()}".strip()
    return Told("failed", _readable(detail) or "bounced")


def _action(group: str) -> str:
    """What was done for a recipient; where it is not said, a status of class 5 says it (RFC 3463)."""
    action = _field(group, "Action").partition(" ")[0].strip().lower()
    return action or ("failed" if _field(group, "Status").startswith("5.") else "")


def _field(text: str, name: str) -> str:
    found = re.search(FIELD.format(name=name), text, re.IGNORECASE | re.MULTILINE)
    return found[1].strip() if found else ""


def _older(message: Message) -> Told | None:
    """Forms of their own: Exim names whom it failed in a header, qmail begins in a certain way, others quote an SMTP reply
    of class 5. One that speaks of a delay is no end."""
    is_named = bool(mail.source(message, "X-Failed-Recipients"))
    is_report = (
        message.get_content_type() == "multipart/report"
        and "delivery-status" in mail.source(message, "Content-Type").lower()
    )
    if not is_named and not is_report and not mail.address(message, "From")[1].startswith(POSTMEN):
        return None
    if LATE.search(mail.header(message, "Subject")):
        return None
    words = mail.bodies(message)[0]
    reply = REPLY.search(words)
    if not is_named and reply is None and not QMAIL.match(words.lstrip()):
        return None
    return Told("failed", " ".join(mail.readable(reply[1]).split())[:300] if reply else "bounced")


def _readable(text: str) -> str:
    """What was read byte by byte, as the letters that it most likely is."""
    letters = text.encode("latin-1", "replace").decode("utf-8", "replace") if not text.isascii() else text
    return " ".join(mail.readable(letters).split())[:300]
