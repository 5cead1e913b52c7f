"""Mail as text: decoding what other programs sent, cleaning HTML, and cutting off what is only quoted.

Other programs send anything. Nothing here raises on a mail's account: what cannot be read is left out or replaced.
"""

import base64
import binascii
import codecs
import email
import hashlib
import html as entities
import re
from collections.abc import Iterator
from email.message import Message
from email.policy import Compat32
from email.utils import collapse_rfc2231_value, getaddresses

import msgspec
import nh3
from mailparser_reply import EmailReplyParser

from channels.base import File

MAX_PARTS = 200
MAX_BOUNDARIES = 200
MAX_TEXT = 200_000
MAX_TAGS = 10_000
"""Cleaning takes time by the square of how deep the tags are nested."""
MAX_FILES = 20
MAX_FILES_BYTES = 25_000_000
MAX_TEXT_BYTES = 200_000
MAX_HTML_BYTES = 350_000
"""As JSON, so that text, HTML and headers together fit into one record of the log."""

CHARSETS = {
    **dict.fromkeys(
        ("ks_c_5601-1987", "ks_c_5601-1989", "ks_c_5601", "ksc5601", "ksc_5601", "euc-kr", "ms949"), "cp949"
    ),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "x-sjis"), "cp932"),
    "iso-2022-jp": "iso2022_jp_ext",
    "unicode-1-1-utf-7": "utf-7",
}
"""Names that mean less than what their senders put in: the supersets decode both."""
NO_CHARSETS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "oem", "mbcs"))
"""Codecs of Python's own that no mail is written in; some are slow, some raise what no decoder should."""
UNDECLARED = ("utf-8", "cp949")

REPLY_LANGUAGES = ["en", "ko", "ja", "zh", "de", "fr", "es", "it"]
MAX_PARSED, MAX_PARSED_LINE = 20_000, 500
"""The reply parser's patterns take time by the square of what they are given."""
QUOTE_HEADS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^[ \t]*>?[ \t]*20\d\d[ \t]*년[ \t]*\d+[ \t]*월[ \t]*\d+[ \t]*일[^\n]{0,120}님이 작성:?[ \t]*$",
        r"^[ \t]*20\d\d[-./][^\n]{0,60}(?:님이|님께서)[^\n]{0,60}(?:작성|보낸 메시지|보냄)[^\n]{0,20}$",
        r"^[ \t]*-{2,}[ \t]*(?:원본 ?메일|원본 ?메시지|Original Message|元のメッセージ|原始邮件|原始郵件)[ \t]*-{2,}[ \t]*$",
        r"^[ \t]*-{5,}[ \t]*\n(?=[ \t]*(?:보낸 ?사람|From)[ \t]*:)",
        r"^[ \t]*\*?(?:보낸 ?사람|발신|From|差出人|发件人|寄件者)[ \t]*[:：][^\n]{1,200}\n"
        r"[ \t]*\*?(?:보낸 ?날짜|받는 ?사람|날짜|Date|Sent|To|送信日時|日時|宛先|发送时间|发送日期|收件人|收件者)[ \t]*[:：]",
        r"^[ \t]*20\d\d年\d+月\d+日[^\n]{0,120}(?:写道|寫道|のメール|:)[ \t]*[:：]?[ \t]*$",
        r"^[ \t]*在 ?20\d\d[^\n]{0,160}(?:写道|寫道)[ \t]*[:：][ \t]*$",
        r"^[ \t]*V[àa]o [^\n]{0,80} đã viết:[ \t]*$",
    )
)
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "img", "li", "ol"),
    *("p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}

WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
BETWEEN_WORDS = re.compile(r"(\?=)[ \t\r\n]+(?==\?[^?\s]{1,40}\?[bBqQ]\?)")
ADDRESS = re.compile(
    r"<\s*([^<>\s@]{1,320}@[^<>\s@]{1,255})\s*>|([^\s<>()\[\],;:\"@]{1,320}@[^\s<>()\[\],;:\"@]{1,255})"
)
BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?blockquote|/?table)\b", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
BOUNDARY = re.compile(rb"boundary[ \t]*=", re.IGNORECASE)
MIME_HEADERS = re.compile(rb"^(?:content-|mime-)[^\n]*(?:\n[ \t][^\n]*)*\n?", re.IGNORECASE | re.MULTILINE)
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")


class _Headers(Compat32):
    """Headers as their sender wrote them, with bare 8-bit letters decoded; only what asks for words decodes words."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return _eight_bit(str(value))


HEADERS = _Headers()


def parse(raw: bytes) -> Message:
    """A mail; one that is nested beyond reason, or breaks the parser, is its headers and the rest as plain text."""
    if len(BOUNDARY.findall(raw)) <= MAX_BOUNDARIES:
        try:
            return email.message_from_bytes(raw, policy=HEADERS)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError):
            pass
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return email.message_from_bytes(MIME_HEADERS.sub(b"", head[:200_000]) + b"\n\n" + body, policy=HEADERS)


def source(message: Message, name: str, limit: int = 20_000) -> str:
    """A header as its sender wrote it, on one line; empty when it is missing."""
    try:
        value = message.get(name, "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return " ".join(readable(str(value)[:limit]).split())


def header(message: Message, name: str, limit: int = 400) -> str:
    """A header as readable text, on one line; empty when it is missing."""
    return " ".join(words(source(message, name)).split())[:limit]


def words(text: str) -> str:
    """RFC 2047 undone, also where senders broke a letter of two bytes over two words."""
    found: list[str] = []
    open_charset, open_bytes = "", b""
    end = 0
    text = BETWEEN_WORDS.sub(r"\1", text)
    for match in WORD.finditer(text):
        charset, body = match[1].lower(), _word(match[2], match[3])
        if open_bytes and (match.start() > end or charset != open_charset):
            found.append(_decoded(open_bytes, open_charset))
            open_bytes = b""
        found.append(text[end : match.start()])
        open_charset, open_bytes = charset, open_bytes + body
        end = match.end()
    if open_bytes:
        found.append(_decoded(open_bytes, open_charset))
    return readable("".join([*found, text[end:]]))


def _word(encoding: str, body: str) -> bytes:
    data = body.encode("ascii", "ignore")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    return _base64(data)


def _base64(data: bytes) -> bytes:
    """What can be had of it, whatever its padding."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return base64.b64decode(letters + b"=" * (-len(letters) % 4))


def address(message: Message, name: str) -> tuple[str, str]:
    """(name, address) of the first address in a header, the address in lower case and empty when there is none.

    The address is looked for before words are decoded, so that no name can pose as one.
    """
    given = source(message, name)
    for text in (given, words(given)):
        for shown, found in _addresses(text)[:1]:
            if ADDRESS.fullmatch(found):
                return words(shown).strip("'\" ")[:200], found
        match = ADDRESS.search(text)
        if match is not None:
            found = (match[1] or match[2]).lower()[:320]
            return words(text[: match.start()]).strip("'\" <,")[:200], found
    return "", ""


def key(message_id: str, raw: bytes) -> str:
    """A mail's identity: its Message-ID, which is not always unique, with what was said, whatever way it came."""
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256(message_id.encode() + b"\n" + body).hexdigest()[:40]


def original(raw: bytes) -> File:
    return File("original.eml", "message/rfc822", raw, "original")


def bounded(files: tuple[File, ...]) -> tuple[File, ...]:
    kept: list[File] = []
    size = 0
    for file in files[:MAX_FILES]:
        size += len(file.body)
        if size <= MAX_FILES_BYTES:
            kept.append(file)
    return tuple(kept)


def addresses(text: str) -> list[tuple[str, str]]:
    """All well-formed (name, address) of a header's text."""
    return [(name, found) for name, found in _addresses(text) if ADDRESS.fullmatch(found)]


def _addresses(text: str) -> list[tuple[str, str]]:
    try:
        return [(name, found.lower()[:320]) for name, found in getaddresses([text])]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def bodies(message: Message) -> tuple[str, str, tuple[File, ...]]:
    """(plain text, HTML, attachments), each empty when there is none."""
    plain: list[str] = []
    html: list[str] = []
    files: list[File] = []
    for part in _leaves(message):
        name, kind = _filename(part), _media_type(part)
        if name is None and kind.startswith(("text/plain", "multipart/")):  # of no parts: what its sender wrote there
            plain.append(decoded(part))
        elif name is None and kind == "text/html":
            html.append(decoded(part))
        else:
            inline = source(part, "Content-ID").strip(" <>")[:200] or None
            files.append(File(name or _title(part, kind), kind, _payload(part), inline))
    return "\n".join(plain)[:MAX_TEXT], _fewer_tags("\n".join(html)[:MAX_TEXT]), tuple(files)


def _fewer_tags(html: str) -> str:
    return "<".join(html.split("<", MAX_TAGS + 1)[: MAX_TAGS + 1])


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that are not made of parts, in order. A mail within a mail is one of them."""
    left = [message]
    for _ in range(MAX_PARTS):
        if not left:
            return
        part = left.pop()
        inner = _inner(part)
        if part.get_content_maintype() == "multipart" and inner:
            left += reversed(inner)
        else:
            yield part


def _inner(part: Message) -> list[Message]:
    """What a part is made of, if it is made of parts."""
    return [each for each in part.get_payload() if isinstance(each, Message)] if part.is_multipart() else []


def _media_type(part: Message) -> str:
    """As in the header; one that is no media type is bytes."""
    kind = part.get_content_type()
    return kind if MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"


def _title(part: Message, kind: str) -> str:
    """The name of a file that its sender gave none."""
    inner = _inner(part)
    if kind == "message/rfc822" and inner:
        subject = header(inner[0], "Subject", 100).replace("/", "_").replace("\\", "_")
        return f"{subject or 'message'}.eml"
    return "attachment"


def _filename(part: Message) -> str | None:
    name = _parameter(part, "filename", "content-disposition") or _parameter(part, "name", "content-type")
    if not name and source(part, "Content-Disposition", 100).lower().startswith("attachment"):
        return _title(part, part.get_content_type())
    name = " ".join(name.split()).replace("/", "_").replace("\\", "_")
    return name[:200] or None


def _parameter(part: Message, parameter: str, of: str) -> str:
    """A parameter in any of the ways in which mail programs write letters into one."""
    try:
        value = part.get_param(parameter, "", of)
        if isinstance(value, tuple):
            charset, _, text = value
            return readable(_decoded(text.encode("latin-1", "replace"), (charset or "utf-8").lower()))
        return words(collapse_rfc2231_value(value))
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _payload(part: Message) -> bytes:
    """A part's bytes, decoded from how they travelled; as they travelled when they cannot be decoded."""
    if part.is_multipart():  # a mail within a mail
        return b"\r\n".join(_bytes(each) for each in _inner(part))
    for decode in (True, False):
        try:
            body = part.get_payload(decode=decode)
            return body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogateescape")
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    return b""


def _bytes(message: Message) -> bytes:
    try:
        return message.as_bytes(policy=email.policy.compat32)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return b"" if message.is_multipart() else _payload(message)


def decoded(part: Message) -> str:
    """A part's text."""
    try:
        charset = part.get_content_charset("")
    except (ValueError, LookupError, TypeError, AttributeError):
        charset = ""
    return readable(_decoded(_payload(part), str(charset).lower()).replace("\r\n", "\n"))


def _decoded(data: bytes, charset: str) -> str:
    """By the charset named if that reads it, else as what it looks like, else with marks for what is no letter."""
    for name in (CHARSETS.get(charset, charset), *UNDECLARED):
        try:
            if name and codecs.lookup(name).name.replace("-", "_") not in NO_CHARSETS:
                return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode(CHARSETS.get(charset) or "utf-8", "replace")


def _eight_bit(text: str) -> str:
    """A header's bare 8-bit bytes, which the parser has kept as surrogates, as the letters that they most likely are."""
    if text.isascii():
        return text
    return _decoded(text.encode("utf-8", "surrogateescape"), "")


def readable(text: str) -> str:
    """Without what is no letter in any language: controls, halves of letters, and NUL."""
    return CONTROL.sub("", text)


def fitting(text: str, limit: int) -> str:
    """As much of a text as takes no more than so many bytes in the log."""
    while (size := len(msgspec.json.encode(text))) > limit:
        text = text[: len(text) * limit // size]
    return text


def cleaned(html: str) -> str | None:
    """HTML that runs nothing, loads nothing from outside, and styles nothing but itself; None when it is too much."""

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "src":
            return value if value.startswith(("cid:", "data:image/")) else None
        if attribute == "href":
            return value if value.strip().lower().startswith(("http://", "https://", "mailto:")) else None
        return value

    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href", "title"}, "img": {"src", "alt", "width", "height"}, "td": {"colspan", "rowspan"}},
        url_schemes={"http", "https", "mailto", "cid", "data"},
        attribute_filter=keep,
        link_rel="noopener noreferrer nofollow",
    )
    return clean if fitting(clean, MAX_HTML_BYTES) == clean else None


def new_words(text: str) -> str:
    """The text without what it quotes; the whole of it when nothing else is left."""
    cut = text
    for head in QUOTE_HEADS:
        found = head.search(cut)
        if found is not None and cut[: found.start()].strip():
            cut = cut[: found.start()]
    reply = ""
    if len(cut) <= MAX_PARSED and all(len(line) <= MAX_PARSED_LINE for line in cut.split("\n")):
        reply = EmailReplyParser(languages=REPLY_LANGUAGES).parse_reply(re.sub(r"\n{4,}", "\n\n\n", cut)) or ""
    return fitting(reply.strip() or cut.strip() or text.strip(), MAX_TEXT_BYTES)


def text_of(html: str) -> str:
    """Readable text of an HTML mail that has no plain part."""
    bare = nh3.clean(
        BREAK.sub(lambda tag: f"\n{tag[0]}", re.sub(r"\s+", " ", html)),
        tags=set(),
        clean_content_tags={"script", "style", "head", "title"},
    )
    lines = readable(entities.unescape(bare)).replace("\xa0", " ").split("\n")
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())
