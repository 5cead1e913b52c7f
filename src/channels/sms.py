"""What the providers of SMS share: numbers, messages and receipts as inputs, how long a text may be, files by link.

Numbers are E.164 here (`+821012345678`). Korean providers want them as people dial them (`01012345678`).
"""

import datetime as dt
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from channels import loose
from channels.base import Account, Call, File, HookReply, Item, Outgoing, Result, Unsendable, by_status
from router.effects import AnyEffect, Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Elsewhere, Identity, Part, ReplyPolicy, SendStatus, Text, Thread
from router.replies import length

KST = dt.timezone(dt.timedelta(hours=9))
SMS_BYTES, LMS_BYTES, SUBJECT_BYTES = 90, 2_000, 40
"""Korean carriers: a short and a long message, and the subject of a long one, in bytes of EUC-KR."""
MAX_MEDIA = 10
MAX_LINK = 1_000
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)
"""The letters of 3GPP TS 23.038; a text with any other is sent as UCS-2, of which less than half as many fit."""
NOT_JSON = HookReply(422, "not JSON")
KOREAN = ReplyPolicy(max_length=LMS_BYTES, unit="bytes_euc_kr")


def e164(number: str, country: str = "") -> str:
    """A number with its country; a name or a short code stays what it is."""
    digits = re.sub(r"[\s().-]", "", number)[:40]
    if not re.fullmatch(r"\+?\d+", digits) or digits.startswith("+"):
        return digits if digits.startswith("+") else number[:40]
    if country and digits.startswith("0"):
        return f"+{country}{digits[1:]}"
    return f"+{digits}" if len(digits) >= 10 and not digits.startswith("0") else digits


def domestic(number: str) -> str:
    """A Korean number as people dial it; raises Unsendable for one of another country."""
    digits = re.sub(r"[^\d+]", "", number)
    if digits.startswith("+82"):
        digits = "0" + digits[3:].removeprefix("0")
    if not digits.isdigit():
        raise Unsendable(f"'{number}' is no Korean number, and this provider sends within Korea")
    return digits


def message(
    account: Account,
    external: str,
    sender: str,
    to: str,
    words: str,
    media: tuple[tuple[str, str], ...] = (),
    at: float | None = None,
) -> Item | None:
    """A customer's message; `media` are (link, type). None when it does not say from whom, or which it is."""
    if not external or not sender:
        return None
    key = loose.joined(external)
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=sender),
        identity=Identity(scope="e164", kind="phone", value=sender),
        dedupe_key=key,
        occurred_at=at,
        to=to or None,
    )
    parts: list[Part] = [Text(text=words[:20_000])]
    for number, (link, media_type) in enumerate(media[:MAX_MEDIA], 1):
        if link.startswith("https://") and len(link) <= MAX_LINK:
            name = urlsplit_name(link) or f"file-{number}"
            parts.append(Elsewhere(ref=link, name=name, media_type=media_type or "application/octet-stream"))
    return Item(key, body, Content(parts=tuple(parts)), late=True)


def urlsplit_name(link: str) -> str:
    """The last part of a link's path, where it looks like a file's name."""
    try:
        name = urlsplit(link).path.rpartition("/")[2]
    except ValueError:
        return ""
    return name[:100] if re.fullmatch(r"[\w.-]+\.\w{1,8}", name) else ""


def receipt(
    account: Account, external: str, status: SendStatus | None, detail: str = "", ours: str = ""
) -> tuple[Item, ...]:
    """What became of a message: by `ours`, our name of it, where the provider tells it back, else by the provider's."""
    if status is None or not (external or ours):
        return ()
    words = detail.strip()[:300] or None
    if ours:
        body = ReceiveReceipt(message=ours, status=status, detail=words)
    else:
        body = ReceiveReceipt(channel=account.channel, external=external, status=status, detail=words)
    return (Item(loose.joined(external or ours, status), body),)


def delivery(effect: AnyEffect, message: Outgoing | None) -> tuple[Deliver, str]:
    """The effect and its text; raises Unsendable for what is no message."""
    if not isinstance(effect, Deliver) or message is None:
        raise Unsendable("not a message")
    return effect, message.content.text.strip()


def fitting(text: str, gsm: int, other: int) -> str:
    """The text if it fits; `gsm` is the limit of one in the alphabet of SMS, `other` of one in any letters (UTF-16)."""
    if not text:
        raise Unsendable("an SMS needs text")
    limit = gsm if set(text) <= GSM else other
    size = length(text, "utf16")
    if size is None or size > limit:
        raise Unsendable(f"an SMS in these letters has at most {limit} of them, this one has {size}")
    return text


def korean(text: str, subject: str | None, has_files: bool) -> tuple[str, str, str]:
    """(SMS, LMS or MMS; subject; text), as short as they go. Raises Unsendable."""
    size = length(text, "bytes_euc_kr")
    if not text:
        raise Unsendable("an SMS needs text")
    if size is None:
        odd = "".join(dict.fromkeys(letter for letter in text if length(letter, "bytes_euc_kr") is None))[:20]
        raise Unsendable(f"Korean carriers cannot carry these letters: {odd}")
    if size > LMS_BYTES:
        raise Unsendable(f"a long message has at most {LMS_BYTES} bytes in EUC-KR, this one has {size}")
    title = " ".join((subject or "").split())
    title = title.encode("cp949", "ignore")[:SUBJECT_BYTES].decode("cp949", "ignore")
    if has_files:
        return "MMS", title, text
    return ("SMS", "", text) if size <= SMS_BYTES and not title else ("LMS", title, text)


def ended(status: int, externals: tuple[str, ...], detail: str) -> Result:
    """By its status, but a success that names nothing is none."""
    named = tuple(filter(None, externals))
    if 200 <= status < 300 and not named:
        return Result("uncertain", detail=f"{status} without a name of the message")
    return by_status(status, detail.strip(), named)


def no_files(message: Outgoing | None) -> None:
    if message is not None and message.files:
        raise Unsendable("this provider sends texts only: send a link instead")


def jpeg(file: File, limit_bytes: int = 300_000) -> File:
    """A picture as Korean carriers take it. Raises Unsendable for any other file."""
    if not file.body.startswith(b"\xff\xd8\xff"):
        raise Unsendable(f"'{file.name}' is no JPEG; Korean carriers carry nothing else")
    if len(file.body) > limit_bytes:
        raise Unsendable(f"'{file.name}' has {len(file.body) // 1000} kB; Korean carriers take {limit_bytes // 1000}")
    return file


def fetch(ref: str, headers: Mapping[str, str] | None = None, basic: tuple[str, str] | None = None) -> Call:
    return Call(url=ref, method="GET", headers=headers or {}, basic=basic, timeout_s=60)


def fetched(status: int, media_type: str, body: bytes) -> File | Result:
    """A file behind a link; what is gone is gone, anything else may be had later."""
    if 200 <= status < 300 and body:
        return File("", media_type, body)
    if status in (401, 403, 404, 410):
        return Result("rejected", detail=f"{status}: it is not there any more")
    return Result("retry", detail=f"{status} from the file's server", after_s=30)


def segment(text: str) -> str:
    return quote(text, safe="")
