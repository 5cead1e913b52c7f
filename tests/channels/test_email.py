"""Mails as other programs write them, read without a server: letters, quotes, HTML, threads, and whatever else comes."""

import base64
import email
import email.policy
import hashlib
import quopri
import re
import time
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels import mail
from channels.base import Account, File, Item, Outgoing, Reading, Unsendable, Webhook
from channels.letters import UNKNOWN, message_id_of, understood
from channels.providers.email import Email
from router.effects import Deliver
from router.inputs import ReceiveMessage, ReceiveReceipt
from router.model import Content, Identity, Text, Thread

OWN = "help@shop.test"
OUR_MESSAGE = "0f8fad5b-d9cb-469f-a165-70867728950e"
OUR_THREAD = "a1b2c3d4e5f6a1b2c3d4e5f6"


def sign(text: str) -> str:
    return hashlib.sha256(f"key {text}".encode()).hexdigest()[:20]


def account(**more: Any) -> Account:
    return Account(
        workspace="main",
        channel="mail",
        brand="shop",
        kind="email",
        provider="email",
        hook="hook",
        hook_url="http://naru.test/hooks/hook",
        settings={"address": OWN, "imap_host": "x", "smtp_host": "x", "from_name": "가게 Shop", **more},
        secrets={"password": "x"},
        sign=sign,
    )


ACCOUNT = account()
OUR_ID = message_id_of(ACCOUNT, OUR_MESSAGE, OUR_THREAD, "shop.test")


def read(raw: bytes) -> Reading:
    hook = Webhook(method="MAIL", url="", path="", headers={}, query={}, body=raw, t=0)
    return Email().read(ACCOUNT, hook, lambda call: None)


def item(raw: bytes) -> Item:
    [found] = read(raw).items
    return found


def said(raw: bytes) -> str:
    content = item(raw).content
    assert content is not None
    return content.text


def shown(raw: bytes) -> str:
    """The HTML that a desk would show."""
    content = item(raw).content
    assert content is not None
    [part] = content.parts
    assert isinstance(part, Text)
    return part.html or ""


def message(raw: bytes) -> ReceiveMessage:
    body = item(raw).body
    assert isinstance(body, ReceiveMessage)
    return body


def written(
    body: bytes | str = "hello", charset: str = "utf-8", encoding: str = "8bit", **headers: str | bytes
) -> bytes:
    """A mail by hand, as the old programs did; a header whose value is bytes goes out as it is."""
    given: dict[str, str | bytes] = {
        "From": "Mina <mina@customer.test>",
        "To": OWN,
        "Subject": "hello",
        "Message-ID": "<one@customer.test>",
        "MIME-Version": "1.0",
        "Content-Type": f"text/plain; charset={charset}",
        "Content-Transfer-Encoding": encoding,
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        for name, value in given.items()
        if value
    ]
    return b"\r\n".join([*lines, b"", body if isinstance(body, bytes) else body.encode()])


def worded(text: str, charset: str, encoding: str, codec: str) -> str:
    data = text.encode(codec)
    if encoding == "B":
        return f"=?{charset}?B?{base64.b64encode(data).decode()}?="
    return f"=?{charset}?Q?{''.join(f'={byte:02X}' for byte in data)}?="


def mixed(*parts: bytes, kind: str = "mixed", **headers: str | bytes) -> bytes:
    body = b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"
    headers = {"Content_Transfer_Encoding": "", "Content_Type": f'multipart/{kind}; boundary="cut"', **headers}
    return written(body, "", "", **headers)


# -- letters

SENTENCE = "똠방각하 펲시콜라 안녕하세요"
"""Its first letters are in cp949 and not in EUC-KR."""
PLAIN = "안녕하세요, 교환하고 싶습니다"


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("ks_c_5601-1987", "cp949", SENTENCE),
        ("KS_C_5601-1987", "cp949", SENTENCE),
        ("ksc5601", "cp949", SENTENCE),
        ("euc-kr", "cp949", SENTENCE),
        ("euc-kr", "euc-kr", PLAIN),
        ("cp949", "cp949", SENTENCE),
        ("ms949", "cp949", SENTENCE),
        ("iso-2022-kr", "iso2022_kr", PLAIN),
        ("johab", "johab", SENTENCE),
        ("utf-8", "utf-8", SENTENCE),
        ("us-ascii", "cp949", SENTENCE),  # a lie, and a common one
        ("us-ascii", "utf-8", SENTENCE),
        ("utf-8", "cp949", SENTENCE),
        ("x-no-such", "cp949", SENTENCE),
        ("unicode_escape", "utf-8", SENTENCE),  # Python would; a mail does not mean it
        ("shift_jis", "cp932", "①注文のキャンセル"),
        ("iso-2022-jp", "iso2022_jp_ext", "注文のキャンセル"),
        ("gb2312", "gb18030", "退货 鎔 镕"),
        ("big5", "big5", "退貨"),
    ],
)
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_letters_of_the_body(charset: str, codec: str, text: str, encoding: str) -> None:
    data = text.encode(codec)
    if encoding == "base64":
        data = base64.encodebytes(data)
    if encoding == "quoted-printable":
        data = quopri.encodestring(data)
    assert said(written(data, charset, encoding)) == text


@pytest.mark.parametrize("encoding", ["B", "Q"])
@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("ks_c_5601-1987", "cp949", SENTENCE),
        ("euc-kr", "cp949", SENTENCE),
        ("EUC-KR", "cp949", SENTENCE),
        ("utf-8", "utf-8", SENTENCE),
        ("utf-8*ko", "utf-8", SENTENCE),
        ("iso-2022-kr", "iso2022_kr", PLAIN),
        ("x-no-such", "utf-8", SENTENCE),
    ],
)
def test_letters_of_subject_and_name(charset: str, codec: str, text: str, encoding: str) -> None:
    word = worded(text, charset, encoding, codec)
    raw = written(Subject=f"Re: {word}", From=f"{word} <Mina@Customer.test>")
    found, body = item(raw), message(raw)
    assert found.content is not None
    assert found.content.subject == f"Re: {text}"
    assert (body.identity.name, body.identity.value) == (text, "mina@customer.test")


def test_a_letter_broken_over_two_words_is_one() -> None:
    data = SENTENCE.encode("cp949")
    halves = [base64.b64encode(data[:1]).decode(), base64.b64encode(data[1:]).decode()]
    subject = "\r\n ".join(f"=?ks_c_5601-1987?B?{half}?=" for half in halves)
    assert item(written(Subject=subject)).content == msgspec.structs.replace(
        item(written()).content,
        subject=SENTENCE,  # type: ignore[type-var]
    )


@pytest.mark.parametrize("codec", ["utf-8", "cp949"])
def test_bare_eight_bit_headers(codec: str) -> None:
    raw = written(Subject=SENTENCE.encode(codec), From=f"{PLAIN} <mina@customer.test>".encode(codec))
    content = item(raw).content
    assert content is not None
    assert content.subject == SENTENCE
    assert message(raw).identity.value == "mina@customer.test"


@pytest.mark.parametrize(
    "disposition",
    [
        b"attachment; filename*=UTF-8''%EC%98%81%EC%88%98%EC%A6%9D%20%EB%98%A0.png",
        b"attachment; filename*=ks_c_5601-1987''"
        + b"".join(b"%%%02X" % byte for byte in "영수증 똠.png".encode("cp949")),
        b"attachment; filename*0*=UTF-8''%EC%98%81%EC%88%98;\r\n filename*1*=%EC%A6%9D%20%EB%98%A0.png",
        b'attachment; filename="' + worded("영수증 똠.png", "ks_c_5601-1987", "B", "cp949").encode() + b'"',
        b"attachment; filename=" + worded("영수증 똠.png", "utf-8", "B", "utf-8").encode(),
        b'attachment; filename="' + "영수증 똠.png".encode("cp949") + b'"',
        b'attachment; filename="' + "영수증 똠.png".encode() + b'"',
    ],
)
def test_names_of_files(disposition: bytes) -> None:
    raw = mixed(
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nhello",
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: "
        + disposition
        + b"\r\n\r\n"
        + base64.encodebytes(bytes(range(256))),
    )
    file, original = item(raw).files
    assert (file.name, file.media_type, file.body) == ("영수증 똠.png", "image/png", bytes(range(256)))
    assert (original.name, original.body) == ("original.eml", raw)


def test_a_name_is_no_path_and_no_header() -> None:
    raw = mixed(
        b'Content-Type: text/plain\r\nContent-Disposition: attachment; filename="../../etc\\\\pass\x00wd\r\n x"\r\n\r\nx'
    )
    assert item(raw).files[0].name == ".._.._etc_passwd x"


def test_a_mail_within_a_mail_is_a_file() -> None:
    inner = written("inner words", Subject="forwarded", Message_ID="<inner@customer.test>")
    raw = mixed(b"Content-Type: text/plain\r\n\r\nouter words", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    assert said(raw) == "outer words"
    assert item(raw).files[0].name == "forwarded.eml"
    assert b"inner words" in item(raw).files[0].body


def test_pictures_within_keep_their_name() -> None:
    raw = mixed(
        b'Content-Type: text/html\r\n\r\n<p>see <img src="cid:photo@x"></p>',
        b"Content-Type: image/png\r\nContent-ID: <photo@x>\r\nContent-Disposition: inline\r\n\r\npng",
        kind="related",
    )
    assert item(raw).files[0].inline_id == "photo@x"
    assert 'src="cid:photo@x"' in shown(raw)


# -- quotes

QUOTES = [
    "2026년 3월 2일 (월) 오전 9:00, 가게 Shop <help@shop.test>님이 작성:\n\n> 지난 답장\n> 둘째 줄",
    "2026년 3월 2일 (월) 오전 9:00에 가게 Shop 님이 작성:\n> 지난 답장",
    '-----Original Message-----\nFrom: "가게"<help@shop.test>\nTo: <mina@naver.test>\nSent: 2026\nSubject: 답장\n\n지난 답장',
    "-----원본 메시지-----\n보낸 사람: 가게\n보낸 날짜: 2026년 3월 2일\n받는 사람: 미나\n제목: 답장\n\n지난 답장",
    "---------- 원본 메일 ----------\n보낸사람: 가게\n받는사람: 미나\n날짜: 2026-03-02\n제목: 답장\n\n지난 답장",
    "보낸 사람: 가게 <help@shop.test>\n보낸 날짜: 2026년 3월 2일 월요일 오전 9:00\n받는 사람: 미나\n제목: RE: 답장\n\n지난 답장",
    "On Mon, Mar 2, 2026 at 9:00 AM Shop <help@shop.test> wrote:\n\n> earlier answer",
    "From: Shop <help@shop.test>\nSent: Monday, March 2, 2026 9:00 AM\nTo: Mina\nSubject: RE: x\n\nearlier answer",
    "2026年3月2日(月) 9:00 ショップ <help@shop.test>:\n\n> 前の返事",
    "差出人: ショップ <help@shop.test>\n送信日時: 2026年3月2日 9:00\n宛先: ミナ\n件名: RE: x\n\n前の返事",
    "在 2026年3月2日，Shop <help@shop.test> 写道：\n\n> 上次的回复",
    "发件人: Shop <help@shop.test>\n发送时间: 2026年3月2日 9:00\n收件人: Mina\n主题: 回复\n\n上次的回复",
    "Am Mo., 2. März 2026 um 09:00 Uhr schrieb Shop <help@shop.test>:\n\n> frühere Antwort",
]


@pytest.mark.parametrize("quote", QUOTES)
@pytest.mark.parametrize("words", ["네, 감사합니다.\n내일 보내 주세요.", "Yes please.\n\nTomorrow is fine."])
def test_only_the_new_words_are_shown(words: str, quote: str) -> None:
    assert said(written(f"{words}\n\n{quote}")) == words


@pytest.mark.parametrize("quote", QUOTES)
def test_nothing_but_a_quote_is_not_nothing(quote: str) -> None:
    assert said(written(quote)) != ""


def test_an_answer_below_its_quote_is_kept() -> None:
    text = "On Mon, Mar 2, 2026 at 9:00 AM Shop <help@shop.test> wrote:\n> which size?\n\nSize 260 please."
    assert "Size 260 please." in said(written(text))


def test_dates_in_a_mail_are_no_quote() -> None:
    text = "2026년 3월 2일에 주문했습니다.\n보낸 사람: 김미나\n주소: 서울\n- 하나\n- 둘\n감사합니다."
    assert said(written(text)) == text


# -- HTML


def test_html_alone_is_read_as_text_too() -> None:
    html = (
        "<html><head><title>no</title><style>p{color:red}</style></head><body><p>첫&nbsp;줄 &lt;b&gt;</p>"
        "<div>둘째<br>셋째</div><script>alert(1)</script><ul><li>하나<li>둘</ul></body></html>"
    )
    raw = written(html, Content_Type="text/html; charset=utf-8")
    assert said(raw) == "첫 줄 <b>\n둘째\n셋째\n하나\n둘"


def test_the_plain_part_is_preferred_and_an_empty_one_is_not() -> None:
    html = b"Content-Type: text/html\r\n\r\n<p>rich</p>"
    assert said(mixed(b"Content-Type: text/plain\r\n\r\nplain", html, kind="alternative")) == "plain"
    assert said(mixed(b"Content-Type: text/plain\r\n\r\n \r\n", html, kind="alternative")) == "rich"


@pytest.mark.parametrize(
    ("html", "gone"),
    [
        ("<script>alert(1)</script>", "alert"),
        ("<SCRIPT SRC=//evil.test/x.js></SCRIPT>", "evil"),
        ('<img src=x onerror="alert(1)">', "onerror"),
        ('<img src="https://evil.test/pixel.gif">', "evil"),
        ('<img src="//evil.test/pixel.gif">', "evil"),
        ('<img srcset="https://evil.test/pixel.gif 1x">', "evil"),
        ('<a href="javascript:alert(1)">x</a>', "javascript"),
        ('<a href=" JaVaScRiPt:alert(1)">x</a>', "alert"),
        ('<a href="java\tscript:alert(1)">x</a>', "alert"),
        ('<a href="&#106;avascript:alert(1)">x</a>', "alert"),
        ('<a href="data:text/html,<script>alert(1)</script>">x</a>', "data:"),
        ('<a href="/v1/logout">x</a>', "logout"),
        ('<a href="cid:x">x</a>', "cid"),
        ('<div style="background:url(https://evil.test/p)">x</div>', "evil"),
        ("<style>@import 'https://evil.test/x.css'</style>", "evil"),
        ('<svg><image href="https://evil.test/p"/></svg>', "evil"),
        ('<svg onload="alert(1)">', "alert"),
        ('<iframe src="https://evil.test"></iframe>', "evil"),
        ('<form action="https://evil.test"><input name=password></form>', "evil"),
        ('<meta http-equiv="refresh" content="0;url=https://evil.test">', "evil"),
        ('<base href="https://evil.test/">', "evil"),
        ('<link rel=stylesheet href="https://evil.test/x.css">', "evil"),
        ('<table background="https://evil.test/p"><tr><td>x</td></tr></table>', "evil"),
        ('<video poster="https://evil.test/p"></video>', "evil"),
        ("<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>", "onerror"),
        ('<noscript><p title="</noscript><img src=x onerror=alert(1)>">', "<img src"),
    ],
)
def test_html_is_cleaned(html: str, gone: str) -> None:
    raw = written(f"<p>kept</p>{html}", Content_Type="text/html; charset=utf-8")
    assert gone.lower() not in shown(raw).lower()
    assert "<p>kept</p>" in shown(raw)


def test_links_are_kept_and_open_alone() -> None:
    raw = written('<a href="https://shop.test/?a=1&b=2">here</a>', Content_Type="text/html")
    assert shown(raw) == '<a href="https://shop.test/?a=1&amp;b=2" rel="noopener noreferrer nofollow">here</a>'


# -- whom it is from, and what it is not


@pytest.mark.parametrize(
    ("headers", "name", "address"),
    [
        ({"From": "Mina@Customer.test"}, None, "mina@customer.test"),
        ({"From": '"김, 미나" <mina@customer.test>'}, "김, 미나", "mina@customer.test"),
        ({"From": "김미나, 영업팀 <mina@customer.test>"}, "김미나, 영업팀", "mina@customer.test"),
        ({"From": worded("미나 <mina@customer.test>", "utf-8", "B", "utf-8")}, "미나", "mina@customer.test"),
        (
            {"From": f"{worded('x@evil.test>,', 'utf-8', 'Q', 'utf-8')} <mina@customer.test>"},
            None,
            "mina@customer.test",
        ),
        ({"From": "form@host.test", "Reply_To": "미나 <mina@customer.test>"}, "미나", "mina@customer.test"),
        ({"From": OWN, "Reply_To": "mina@customer.test"}, None, "mina@customer.test"),
        ({"From": "Mina <mina@customer.test>", "Reply_To": OWN}, "Mina", "mina@customer.test"),
        ({"From": "", "Sender": "mina@customer.test"}, None, "mina@customer.test"),
        ({"From": "", "Return_Path": "<mina@customer.test>"}, None, "mina@customer.test"),
        ({"From": "O'Brien@customer.test"}, None, "o'brien@customer.test"),
        ({"From": "Mina"}, "Mina", UNKNOWN),
        ({"From": ""}, None, UNKNOWN),
        ({"From": "@@@<>,;:"}, "@@@<>,;:", UNKNOWN),
    ],
)
def test_whom_an_answer_goes_to(headers: dict[str, str], name: str | None, address: str) -> None:
    identity = message(written(**headers)).identity
    assert identity.value == address
    assert name is None or identity.name == name


@pytest.mark.parametrize(
    "headers",
    [
        {"From": f"Shop <{OWN}>"},
        {"From": f"Shop <{OWN.upper()}>"},
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated (vacation)"},
        {"Precedence": "bulk"},
        {"Precedence": "list", "List_Id": "<news.shop.test>"},
        {"List_Id": "News <news.shop.test>"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"From": "Mail Delivery Subsystem <MAILER-DAEMON@mail.test>"},
        {"Content_Type": "multipart/report; report-type=disposition-notification; boundary=x"},
    ],
)
def test_loops_lists_and_machines_are_no_customers(headers: dict[str, str]) -> None:
    assert read(written(**headers)).items == ()


def test_a_person_may_say_so() -> None:
    assert read(written(Auto_Submitted="no")).items


@pytest.mark.parametrize(
    ("headers", "to"),
    [
        ({"To": f"a@b.test, Shop <{OWN}>"}, OWN),
        ({"To": "a@b.test", "Cc": OWN.upper()}, OWN),
        ({"To": "sales@shop.test, a@b.test"}, "sales@shop.test"),
        ({"To": ""}, None),
        ({"To": "undisclosed-recipients:;"}, None),
    ],
)
def test_whom_it_was_written_to(headers: dict[str, str], to: str | None) -> None:
    assert message(written(**headers)).to == to


def report(about: str, action: str = "failed", kind: str = "delivery-status") -> bytes:
    return mixed(
        b"Content-Type: text/plain\r\n\r\nIt could not be delivered.",
        f"Content-Type: message/{kind}\r\n\r\nReporting-MTA: dns; mail.test\r\n\r\n"
        f"Final-Recipient: rfc822; mina@customer.test\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n".encode(),
        f"Content-Type: text/rfc822-headers\r\n\r\nFrom: {OWN}\r\nMessage-ID: {about}\r\n".encode(),
        kind="report; report-type=delivery-status",
        From="MAILER-DAEMON@mail.test",
        Message_ID="<bounce@mail.test>",
    )


def test_a_bounce_of_ours_is_a_receipt() -> None:
    found = item(report(OUR_ID))
    assert found.body == ReceiveReceipt(message=OUR_MESSAGE, status="failed", detail="5.1.1 550 no such user")
    assert item(report(OUR_ID)).key == found.key


def test_a_report_of_delivery_is_a_receipt_too() -> None:
    assert item(report(OUR_ID, action="delivered")).body == ReceiveReceipt(message=OUR_MESSAGE, status="delivered")


@pytest.mark.parametrize(
    "raw",
    [
        report("<theirs@mail.test>"),
        report(OUR_ID, action="delayed"),
        report(OUR_ID, action="relayed"),
        report(OUR_ID[:-20] + "0" * 8 + OUR_ID[-12:]),
    ],
)
def test_other_reports_are_nothing(raw: bytes) -> None:
    assert read(raw).items == ()


def test_what_our_server_found_out_about_the_sender_is_shown() -> None:
    raw = b"Authentication-Results: mx.shop.test; spf=pass; dmarc=fail\r\n" + written()
    hook = Webhook(method="MAIL", url="", path="", headers={}, query={}, body=raw, t=0)
    [found] = Email().read(account(authserv_id="mx.shop.test"), hook, lambda call: None).items
    assert isinstance(found.body, ReceiveMessage)
    assert found.body.attributes == {"mail.spf": "pass", "mail.dmarc": "fail"}
    assert message(raw).attributes == {}  # without the server's name nothing is believed


# -- threads and repetitions


def thread(**headers: str) -> str:
    return message(written(**headers)).thread.external


def test_an_answer_to_ours_is_in_its_thread() -> None:
    assert thread(In_Reply_To=OUR_ID) == OUR_THREAD
    assert thread(References=f"<old@x.test> {OUR_ID} <other@y.test>") == OUR_THREAD
    assert thread(References=f"<old@x.test>\r\n {OUR_ID}") == OUR_THREAD
    assert thread(In_Reply_To=worded(OUR_ID, "utf-8", "Q", "utf-8")) == OUR_THREAD


def test_a_forged_token_opens_no_thread() -> None:
    forged = re.sub(r"\.[0-9a-z]{12}@", ".000000000000@", OUR_ID)
    assert forged != OUR_ID
    assert thread(In_Reply_To=forged) != OUR_THREAD
    other = message_id_of(
        msgspec.structs.replace(ACCOUNT, sign=lambda text: sign(f"other {text}")), OUR_MESSAGE, OUR_THREAD, "x"
    )
    assert thread(In_Reply_To=other) != OUR_THREAD


def test_a_thread_is_named_by_its_oldest_mail() -> None:
    first = thread(Message_ID="<first@x.test>")
    assert thread(Message_ID="<third@x.test>", References="<first@x.test> <second@x.test>") == first
    assert thread(Message_ID="<second@x.test>", In_Reply_To="<first@x.test>") == first
    assert thread(Message_ID="<other@x.test>") != first


def test_without_a_message_id_every_mail_is_its_own() -> None:
    one, two = message(written("one", Message_ID="")), message(written("two", Message_ID=""))
    assert one.thread != two.thread
    assert one.dedupe_key != two.dedupe_key


def test_the_same_mail_is_the_same_however_it_came() -> None:
    raw = written("words")
    key = item(raw).key
    assert item(b"Received: from a by b\r\nDelivered-To: x\r\n" + raw).key == key
    assert item(raw.replace(b"\r\n", b"\n")).key == key
    assert item(written("other words")).key != key  # Message-IDs are not always unique


# -- whatever else comes


def nested(depth: int) -> bytes:
    head = b"From: mina@customer.test\r\nTo: help@shop.test\r\nSubject: deep\r\nMessage-ID: <deep@x>\r\n"
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(depth)
    )
    closed = b"".join(b"\r\n--b%d--" % number for number in reversed(range(depth)))
    return head + opened + b"Content-Type: text/plain\r\n\r\ninnermost words" + closed


def mails_within_mails(depth: int) -> bytes:
    return written("x", Content_Type="message/rfc822", Content_Transfer_Encoding="") + (
        b"From: a@b.test\r\nContent-Type: message/rfc822\r\n\r\n" * depth
    )


ODD = {
    "nested 10": nested(10),
    "nested 1000": nested(1_000),
    "nested 10000": nested(10_000),
    "mails within mails": mails_within_mails(10_000),
    "many parts": mixed(*[b"Content-Type: text/plain\r\n\r\npart"] * 5_000),
    "many files": mixed(*[b"Content-Type: image/png\r\n\r\npng"] * 5_000),
    "nothing": b"",
    "newline": b"\r\n",
    "no headers": b"just words\r\n",
    "zeros": b"\0" * 1000,
    "garbage": bytes(range(256)) * 40,
    "cut": written(base64.encodebytes(SENTENCE.encode("cp949"))[:-7], "euc-kr", "base64"),
    "no end": mixed(b"Content-Type: text/plain\r\n\r\nwords")[:-12],
    "no boundary": written("words", Content_Type="multipart/mixed"),
    "empty boundary": written("words", Content_Type='multipart/mixed; boundary=""'),
    "odd charset": written("words", Content_Type="text/plain; charset=\x01\x02"),
    "charset idna": written("xn--" + "a" * 5000, Content_Type="text/plain; charset=idna"),
    "charset punycode": written("a-" + "9" * 5000, Content_Type="text/plain; charset=punycode"),
    "charset utf-7": written("+2AA-", Content_Type="text/plain; charset=utf-7"),
    "charset with nul": written("x", Content_Type=b"text/plain; charset=a\0b"),
    "odd continuations": written(
        "x", Content_Disposition="attachment; filename*=a''b; filename*0*=c; filename*1=d", Content_Type="image/png"
    ),
    "odd type": written("x", Content_Type=";;;/;="),
    "odd encoding": written("x", Content_Transfer_Encoding="x-uuencode"),
    "uuencode": written("begin 644 x\r\n#\xff\xff\xff\r\nend\r\n", Content_Transfer_Encoding="x-uuencode"),
    "odd date and ids": written(Date="\x00", Message_ID="<>", References="<<>> < > <a b>", In_Reply_To="<" * 5000),
    "odd words": written(Subject="=?utf-8?B?!?= =?utf-8?B?a?= =??B??= =?x?Q?=ZZ?= =?utf-8?X?a?="),
    "odd addresses": written(From="(((((" * 500 + "<a@b>", To='"' * 999, Cc="a@b" * 500),
    "long header": written(Subject="x" * 2_000_000),
    "many headers": b"X-A: b\r\n" * 100_000 + written(),
    "marked sections": written("<![foo[ <![if !x]> <!x <? words", Content_Type="text/html"),
    "deep html": written("<div>" * 30_000 + "words", Content_Type="text/html"),
    "deep formats": written("<b><p>" * 30_000, Content_Type="text/html"),
    "newlines": written("\n" * 300_000 + "words"),
    "spaces": written(" " * 300_000 + "words"),
    "on and on": written("On " + "a " * 150_000),
    "on wrote": written("On a wrote " * 30_000 + ":"),
    "on lines": written(("On " + "a " * 200 + "\n") * 1_000),
    "quote heads": written("2026년 3월 2일 " * 20_000),
    "outlook heads": written("From: a\nb\n" * 30_000),
    "quotes": written("> " * 100_000),
    "disclaimers": written("Warning: mail, " * 20_000),
    "short disclaimers": written(("Warning: " + "mail, " * 80 + "\n") * 39),
    "signatures": written("\n -- \n" * 40_000),
    "underscores": written(("_" * 32 + "\n\n") * 9_000),
    "controls": written(bytes(range(1, 32)) * 10_000),
    "wide": written("똠" * 300_000),
    "quote marks": written('"' * 300_000, Content_Type="text/html"),
    "ampersands": written("&" * 300_000, Content_Type="text/html"),
    "surrogates": written(b"\xed\xa0\x80 words"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_mails_are_read_in_time_and_fit_the_log(name: str) -> None:
    raw = ODD[name]
    began = time.process_time()
    found = item(raw)
    assert time.process_time() - began < 15  # far beyond what any takes; a pattern that runs away takes minutes
    assert found.files[-1].body == raw
    assert found.content is not None
    assert "\x00" not in found.content.text
    size = len(msgspec.json.encode(found.content)) + len(msgspec.json.encode(found.body))
    assert size * 4 / 3 < 990_000
    assert len(found.files) <= 21


def test_what_can_be_read_of_odd_mails_is() -> None:
    assert "innermost words" in said(ODD["nested 10"])
    assert "innermost words" in said(ODD["nested 1000"])
    deep = item(ODD["nested 10000"])
    assert deep.content is not None
    assert (deep.content.subject, message(ODD["nested 10000"]).identity.value) == ("deep", "mina@customer.test")
    assert said(ODD["no headers"]) == "just words"
    assert said(ODD["no boundary"]) == "words"
    assert said(ODD["cut"])[:2] == SENTENCE[:2]
    assert said(written("\n" * 3_000 + "words" + "\n" * 3_000)) == "words"
    assert said(ODD["many parts"]).startswith("part\npart")


def test_a_fault_of_ours_still_leaves_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(raw: bytes) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(mail, "parse", broken)
    raw = written("words")
    found = item(raw)
    assert message(raw).identity.value == "mina@customer.test"
    assert found.files == (File("original.eml", "message/rfc822", raw, "original"),)


SAMPLES = [
    *(raw for raw in ODD.values() if len(raw) < 3_000),
    report(OUR_ID),
    nested(5),
    mixed(
        b"Content-Type: text/plain; charset=ks_c_5601-1987\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(SENTENCE.encode("cp949")),
        b"Content-Type: text/html; charset=euc-kr\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + quopri.encodestring("<p>안녕 <img src=cid:x></p>".encode("cp949")),
        b"Content-Type: image/png; name*=utf-8''%EC%98%81\r\nContent-ID: <x>\r\n"
        b"Content-Disposition: attachment; filename*0*=UTF-8''%EC%98%81; filename*1=b\r\n\r\npng",
        b"Content-Type: message/rfc822\r\n\r\n" + written("inner"),
        Subject=worded(SENTENCE, "ks_c_5601-1987", "B", "cp949"),
        From=f"{worded('김미나', 'euc-kr', 'Q', 'cp949')} <mina@customer.test>",
        References=f"<a@b.test> {OUR_ID}",
        Reply_To='"a" <b@c.test>, d@e.test',
        Cc="team: a@b.test, c@d.test;",
        Date="Mon, 02 Mar 2026 09:00:00 +0900",
    ),
]
SPICE = [
    *(
        b"=?",
        b"?=",
        b"=?utf-8?b?",
        b"\r\n",
        b"\r\n\r\n",
        b"\n ",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b";",
        b'"',
        b"*",
        b"<",
    ),
    *(
        b">",
        b"(",
        b"\\",
        b"@",
        b"[",
        b"]",
        b":",
        b"--cut",
        b"--cut--",
        b"charset=",
        b"charset=idna",
        b"boundary=",
        b"%",
    ),
    *(
        b"filename*0*=",
        b"filename*=",
        b"''",
        b"Content-Type: ",
        b"From: ",
        b"message/rfc822",
        b"multipart/mixed",
        b"<![",
    ),
    *(
        b"Content-Transfer-Encoding: x-uuencode\r\n",
        b"begin 644 x\r\n",
        b"References: ",
        b"List-Id: ",
        b"&#xD800;",
        b"+2AA-",
    ),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample mail with bytes cut out, put in, doubled and changed."""
    raw = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 12))):
        at = draw(st.integers(0, len(raw)))
        end = min(len(raw), at + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(("cut", "spice", "bytes", "double", "move")))
        if how == "cut":
            del raw[at:end]
        elif how == "spice":
            raw[at:at] = draw(st.sampled_from(SPICE))
        elif how == "bytes":
            raw[at:end] = draw(st.binary(max_size=12))
        elif how == "double":
            raw[at:at] = raw[at:end]
        else:
            piece = bytes(raw[at:end])
            del raw[at:end]
            to = draw(st.integers(0, len(raw)))
            raw[to:to] = piece
    return bytes(raw)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=mutated() | st.binary(max_size=300))
def test_reading_is_total(raw: bytes) -> None:
    """Not even the net below it is needed: what it would catch is raised here."""
    understood(ACCOUNT, raw, {})
    for found in read(raw).items:
        msgspec.json.encode(found.body)
        if found.content is not None:
            msgspec.json.encode(found.content)
            assert found.files[-1].body == raw
        for file in found.files:
            assert file.name == mail.readable(file.name)
            assert file.name
            assert mail.MEDIA_TYPE.fullmatch(file.media_type)


# -- writing


def deliver(to: str = "mina@customer.test") -> Deliver:
    return Deliver(
        channel="mail",
        key=OUR_MESSAGE,
        conversation="conversation",
        contact="contact",
        thread=Thread(external=OUR_THREAD, kind="email"),
        identity=Identity(scope="email", kind="email", value=to),
    )


def outgoing(text: str = "네", subject: str | None = None, files: tuple[File, ...] = (), **more: Any) -> Outgoing:
    return Outgoing(Content(parts=(Text(text=text),), subject=subject), files, **more)


def sent(message: Outgoing, to: str = "mina@customer.test", **more: Any) -> bytes:
    return Email().write(account(**more), deliver(to), message, 1_772_409_600).raw


@pytest.mark.parametrize("name", ["Shop", "가게", "나루 문구 고객 상담실 " * 8, 'a "b" <c>', "Ünïcode, Inc."])
def test_our_name_arrives(name: str) -> None:
    raw = sent(outgoing(), from_name=name.strip())
    assert mail.address(mail.parse(raw), "From") == (name.strip(), OWN)
    theirs = str(make_header(decode_header(email.message_from_bytes(raw)["From"])))  # an independent reader
    assert name.strip() in theirs.replace("\\", "")


def test_what_we_write_reads_back_and_threads() -> None:
    long = "<PN2P287MB0123456789012345678901234567890123456789@PN2P287MB0123.INDP287.PROD.OUTLOOK.COM>"
    older = [f"<{number:040d}.{'x' * 40}@mail.customer.test>" for number in range(30)]
    last = {"message-id": long, "references": " ".join(older)}
    file = File("영수증 똠.png", "image/png", bytes(range(256)))
    raw = sent(outgoing("똠방각하\n\n둘째", None, (file,), last_subject="교환 문의 " * 12, last_headers=last))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    lines = raw.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ").split("\r\n")
    assert f"In-Reply-To: {long}" in lines
    assert f"References: {' '.join([*older[-20:], long])}" in lines
    assert f"Message-ID: {OUR_ID}" in lines
    assert mail.header(mail.parse(raw), "Subject") == parsed["Subject"] == ("Re: " + "교환 문의 " * 12).strip()
    assert mail.address(mail.parse(raw), "From") == ("가게 Shop", OWN)
    plain, _, [found] = mail.bodies(mail.parse(raw))
    assert plain.strip() == "똠방각하\n\n둘째"
    assert (found.name, found.media_type, found.body) == (file.name, file.media_type, file.body)
    reply = written(In_Reply_To=parsed["Message-ID"])
    assert message(reply).thread.external == OUR_THREAD


@pytest.mark.parametrize(
    ("given_subject", "last", "subject"),
    [
        ("새 제목", "옛 제목", "새 제목"),
        (None, "교환", "Re: 교환"),
        (None, "RE: 교환", "RE: 교환"),
        (None, None, "(no subject)"),
        ("a\r\nBcc: evil@x.test", None, "a Bcc: evil@x.test"),
    ],
)
def test_subjects(given_subject: str | None, last: str | None, subject: str) -> None:
    raw = sent(outgoing(subject=given_subject, last_subject=last))
    assert mail.header(mail.parse(raw), "Subject") == subject
    assert mail.parse(raw).get("Bcc") is None


@pytest.mark.parametrize(
    "file",
    [
        File("", "", b""),
        File("a\r\nX: y", "text/plain\r\nX: y", b"x"),
        File('q"u;o\\te.txt', "text/plain; charset=x", b"x"),
        File("mail.eml", "message/rfc822", written("x")),
        File("m", "multipart/mixed", b"x"),
        File("이름" * 90, "한글/글", b"x"),
    ],
)
def test_any_file_can_be_sent(file: File) -> None:
    raw = sent(outgoing(files=(file,)))
    parsed = mail.parse(raw)
    assert parsed.get("X") is None
    [found] = mail.bodies(parsed)[2]
    assert found.body == file.body


@pytest.mark.parametrize("to", [UNKNOWN, "", "nobody", "a@b\r\nBcc: c@d", "미나@고객.한국", "a@b, c@d"])
def test_what_is_no_address_is_told(to: str) -> None:
    with pytest.raises(Unsendable):
        sent(outgoing(), to)


LETTERS = st.characters(exclude_categories=["Cs"])


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(LETTERS, max_size=200),
    subject=st.none() | st.text(LETTERS, max_size=200),
    name=st.text(max_size=100),
    kind=st.text(max_size=30),
    last=st.text(LETTERS, max_size=100),
)
def test_writing_raises_nothing_but_unsendable(text: str, subject: str | None, name: str, kind: str, last: str) -> None:
    message = outgoing(text, subject, (File(name, kind, b"x"),), last_headers={"message-id": last, "references": last})
    try:
        raw = sent(message)
    except Unsendable:
        return
    assert b"\r\nBcc:" not in raw.partition(b"\r\n\r\n")[0]
