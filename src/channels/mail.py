"""Mail as text: decoding what other programs sent, cleaning HTML, and cutting off what is only quoted."""

import email
import email.policy
import re
from email.message import EmailMessage
from html.parser import HTMLParser

import nh3
from mailparser_reply import EmailReplyParser

from channels.base import File

MAX_PARTS = 200
MAX_TEXT = 200_000
CHARSETS = {"ks_c_5601-1987": "cp949", "ks_c_5601": "cp949", "ksc5601": "cp949", "euc-kr": "cp949", "gb2312": "gb18030"}
"""Names that mean less than what their senders put in: the supersets decode both."""

REPLY_LANGUAGES = ["en", "ko", "ja", "zh", "de", "fr", "es", "it"]
QUOTE_HEADS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^\s*>?\s*20\d\d\s*년\s*\d+\s*월\s*\d+\s*일.{0,80}님이 작성:?\s*$",
        r"^\s*20\d\d[-./].{0,60}(님이|님께서).{0,60}(작성|보낸 메시지|보냄).{0,20}$",
        r"^-{2,}\s*(원본 메일|원본 메시지|Original Message)\s*-{2,}\s*$",
        r"^\s*(보낸 ?사람|발신|From)\s*:.{1,200}\n\s*(보낸 ?날짜|받는 ?사람|날짜|Date|Sent|To)\s*:",
        r"^\s*20\d\d年\d+月\d+日.{0,80}(写道|寫道|のメール|:)\s*[:：]?\s*$",
        r"^\s*V[àa]o .{0,80} đã viết:\s*$",
    )
)
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "img", "li", "ol"),
    *("p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}


def parse(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def header(message: EmailMessage, name: str, limit: int = 400) -> str:
    """A header as readable text, on one line; empty when it is missing or beyond reading."""
    try:
        value = str(message.get(name, ""))
    except (ValueError, LookupError, IndexError, AttributeError):
        raw = dict(message.raw_items()).get(name, "")
        value = str(raw)
    return " ".join(value.replace("\x00", "").split())[:limit]


def bodies(message: EmailMessage) -> tuple[str, str, tuple[File, ...]]:
    """(plain text, HTML, attachments), each empty when there is none."""
    plain: list[str] = []
    html: list[str] = []
    files: list[File] = []
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            break
        if part.is_multipart():
            continue
        name = _filename(part)
        kind = part.get_content_type()
        if name is None and kind == "text/plain":
            plain.append(decoded(part))
        elif name is None and kind == "text/html":
            html.append(decoded(part))
        else:
            body = part.get_payload(decode=True)
            inline = str(part.get("Content-ID", "")).strip(" <>")[:200] or None
            files.append(File(name or "attachment", kind, body if isinstance(body, bytes) else b"", inline))
    return "\n".join(plain)[:MAX_TEXT], "\n".join(html)[:MAX_TEXT], tuple(files)


def _filename(part: "email.message.Message") -> str | None:
    try:
        name = part.get_filename()
    except (ValueError, LookupError, IndexError, AttributeError):
        name = None
    if name is None and part.get_content_disposition() == "attachment":
        name = "attachment"
    return name.replace("/", "_").replace("\\", "_").replace("\x00", "")[:200] if name else name


def decoded(part: "email.message.Message") -> str:
    body = part.get_payload(decode=True)
    if not isinstance(body, bytes):
        return ""
    charset = (part.get_content_charset("utf-8") or "utf-8").lower()
    try:
        return body.decode(CHARSETS.get(charset, charset))
    except (LookupError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def cleaned(html: str) -> str:
    """HTML that runs nothing, loads nothing from outside, and styles nothing but itself."""

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if tag == "img" and attribute == "src":
            return value if value.startswith(("cid:", "data:image/")) else None
        return value

    return nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href", "title"}, "img": {"src", "alt", "width", "height"}, "td": {"colspan", "rowspan"}},
        url_schemes={"http", "https", "mailto", "cid", "data"},
        attribute_filter=keep,
        link_rel="noopener noreferrer nofollow",
    )


def new_words(text: str) -> str:
    """The text without what it quotes; the whole of it when nothing else is left."""
    cut = text
    for head in QUOTE_HEADS:
        found = head.search(cut)
        if found is not None and found.start() > 0:
            cut = cut[: found.start()]
    reply = EmailReplyParser(languages=REPLY_LANGUAGES).parse_reply(cut) or ""
    return reply.strip() or cut.strip() or text.strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "head"):
            self._hidden += 1
        elif tag in ("br", "p", "div", "tr", "li"):
            self.said.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "head") and self._hidden:
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.said.append(data)


def text_of(html: str) -> str:
    """Readable text of an HTML mail that has no plain part."""
    reader = _Text()
    reader.feed(html)
    lines = ("".join(reader.said)).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())
