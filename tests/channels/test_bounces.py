"""Reports as mail systems write them. The forms follow real ones (those of sisimai/set-of-emails, some 800 bounces, were read
while this was written: all of its failures in RFC 3464 form were known as such); the words are ours."""

import pytest

from channels import bounces, mail
from channels.bounces import Told

OURS = "<0f8fad5b-d9cb-469f-a165-70867728950e.a1b2c3d4e5f6.abcdefghijkl@shop.test>"


def told(raw: bytes) -> Told | None:
    return bounces.told(mail.parse(raw), raw)


def report(status: str, subject: str = "Undelivered Mail", kind: str = "delivery-status", end: str = "\r\n") -> bytes:
    lines = f"""\
From: MAILER-DAEMON@mail.test (Mail Delivery System)
Subject: {subject}
Content-Type: multipart/report; report-type={kind};
\tboundary="cut"

--cut
Content-Type: text/plain; charset=us-ascii

It could not be delivered. Action: none of yours.
--cut
{status}
--cut
Content-Type: message/rfc822

Message-ID: {OURS}
Status: 5.9.9
Action: failed

hello
--cut--
"""
    return lines.replace("\n", end).encode()


FAILED = """\
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.test
Arrival-Date: Mon, 2 Mar 2026 09:00:00 +0900

Final-Recipient: rfc822; mina@customer.test
Original-Recipient: rfc822;mina@customer.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <mina@customer.test>: Recipient address
    rejected: User unknown
"""
UNKNOWN_USER = "5.1.1 550 5.1.1 <mina@customer.test>: Recipient address rejected: User unknown"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_failure_as_postfix_writes_it(end: str) -> None:
    assert told(report(FAILED, end=end)) == Told("failed", UNKNOWN_USER)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        # Exchange: no space after the semicolon, a dotted code
        (
            "Content-Type: message/delivery-status\n\nReporting-MTA: dns;x.test\n\nFinal-recipient: RFC822;\n a@b.test\n"
            "Action: failed\nStatus: 5.1.10\nDiagnostic-code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound",
            "5.1.10 550 5.1.10 RESOLVER.ADR.RecipientNotFound",
        ),
        # RFC 6533, for addresses beyond ASCII
        (
            "Content-Type: message/global-delivery-status\n\nReporting-MTA: dns;x.test\n\n"
            "Final-Recipient: utf-8; 미나@고객.한국\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 없는 사용자",
            "5.1.1 550 없는 사용자",
        ),
        # spaces before colons, a comment after the status, another word for failed
        (
            "Content-Type: message/delivery-status; charset=UTF-8\n\nAction : expired\nStatus : 5.0.0 (other)",
            "5.0.0",
        ),
        # sendmail, which may leave out the action
        (
            "Content-Type: message/delivery-status\n\nReporting-MTA: x\n\nStatus: 5.3.0\nDiagnostic-Code: X-Unix; 77",
            "5.3.0 77",
        ),
        # one of an alias' members
        (
            "Content-Type: message/delivery-status\n\nX: y\n\nFinal-Recipient: rfc822;a\nAction: delivered\nStatus: 2.0.0\n\n"
            "Final-Recipient: rfc822;b\nAction: failed\nStatus: 5.2.2",
            "5.2.2",
        ),
        ("Content-Type: message/delivery-status\n\nAction: failed", "bounced"),
    ],
)
def test_other_failures(status: str, detail: str) -> None:
    assert told(report(status)) == Told("failed", detail)


@pytest.mark.parametrize("action", ["delayed", "Delayed", "relayed", "expanded", "deliverable", ""])
def test_what_is_no_end_says_nothing(action: str) -> None:
    status = FAILED.replace("Action: failed", f"Action: {action}").replace("Status: 5.1.1", "Status: 4.4.1")
    assert told(report(status, "Delivery Status Notification (Delay)")) is None


def test_a_delivery_is_told() -> None:
    assert told(report(FAILED.replace("failed", "delivered").replace("5.1.1", "2.0.0"))) == Told("delivered", None)


@pytest.mark.parametrize(
    ("disposition", "end"),
    [
        ("manual-action/MDN-sent-manually; displayed", Told("read", None)),
        ("automatic-action/MDN-sent-automatically; deleted", None),
    ],
)
def test_what_was_read_is_told(disposition: str, end: Told | None) -> None:
    part = f"Content-Type: message/disposition-notification\n\nOriginal-Message-ID: {OURS}\nDisposition: {disposition}"
    assert told(report(part, kind="disposition-notification")) == end


def test_complaints_are_no_bounces() -> None:
    part = "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1"
    assert told(report(part, "Complaint", "feedback-report")) is None


def plain(sender: str, subject: str, text: str, *headers: str) -> bytes:
    head = [f"From: {sender}", f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8", *headers]
    return "\r\n".join([*head, "", text, f"Message-ID: {OURS}"]).encode()


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (  # Exim
            plain(
                "Mail Delivery System <Mailer-Daemon@x.test>",
                "Mail delivery failed: returning message to sender",
                "a@b.test\r\n  SMTP error from remote mail server after RCPT TO:<a@b.test>:\r\n    550 5.1.1 User unknown",
                "X-Failed-Recipients: a@b.test",
            ),
            Told("failed", "550 5.1.1 User unknown"),
        ),
        (  # qmail
            plain(
                "MAILER-DAEMON@x.test",
                "failure notice",
                "Hi. This is the qmail-send program at x.test.\r\nI'm afraid I wasn't able to deliver your message.\r\n\r\n"
                "<a@b.test>:\r\nSorry, no mailbox here by that name. (#5.1.1)",
            ),
            Told("failed", "bounced"),
        ),
        (
            plain("Postmaster@x.test", "배달 실패", "다음 주소로 보낼 수 없습니다: 554 5.7.1 거부됨"),
            Told("failed", "554 5.7.1 거부됨"),
        ),
        (plain("Mailer-Daemon@x.test", "Warning: message delayed 24 hours", "550 x", "X-Failed-Recipients: a"), None),
        (plain("mailer-daemon@x.test", "Delayed Mail (still being retried)", "451 4.7.1 later"), None),
        (plain("mina@customer.test", "Re: order", "I have 550 of them"), None),
        (plain("mailer-daemon@x.test", "hello", "nothing to say"), None),
    ],
)
def test_forms_of_their_own(raw: bytes, end: Told | None) -> None:
    assert told(raw) == end
