"""Authentication-Results: only what the server that the owner named has said, however it is written, and no forgery."""

import pytest

from channels import mail, verdicts

NAVER = "mx.naver.test; spf=pass (mx.naver.test: domain of a@b.test) smtp.mailfrom=a@b.test; dkim=pass header.i=@b.test"


def of(*headers: str, server: str = "mx.naver.test") -> dict[str, str]:
    raw = "\r\n".join([*headers, "From: a@b.test", "", "x"]).encode()
    return verdicts.of(mail.parse(raw), server)


def results(*values: str) -> list[str]:
    return [f"Authentication-Results: {value}" for value in values]


def test_what_the_named_server_found_is_said() -> None:
    assert of(*results(NAVER)) == {"mail.spf": "pass", "mail.dkim": "pass"}
    assert of(*results(NAVER), server="MX.Naver.Test") == {"mail.spf": "pass", "mail.dkim": "pass"}


def test_nobody_else_is_believed() -> None:
    assert of(*results(NAVER), server="") == {}
    assert of(*results(NAVER), server="naver.test") == {}
    assert of(*results("evil.test; dmarc=pass", "mx.naver.test.evil; dmarc=pass", NAVER)) == {
        "mail.spf": "pass",
        "mail.dkim": "pass",
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("mx.naver.test 1; dmarc=fail (p=REJECT (sp=none)) header.from=b.test", {"mail.dmarc": "fail"}),
        ("mx.naver.test;\r\n\tdkim=fail header.d=x.test;\r\n\tdkim=pass header.d=b.test", {"mail.dkim": "pass"}),
        ("mx.naver.test; dkim=neutral; dkim=fail", {"mail.dkim": "neutral"}),
        ("mx.naver.test; SPF/1 = SoftFail smtp.mailfrom=x", {"mail.spf": "softfail"}),
        ('mx.naver.test; spf=fail reason="x; dmarc=pass"', {"mail.spf": "fail"}),
        ("mx.naver.test; spf=fail (; dmarc=pass ;)", {"mail.spf": "fail"}),
        ("mx.naver.test; none", {}),
        ("mx.naver.test; spf=excellent; dkim=pass2; xdmarc=pass", {}),
        ("mx.naver.test", {}),
        ("", {}),
        ("((((((((((((; spf=pass", {}),
    ],
)
def test_as_rfc_8601_writes_it(value: str, found: dict[str, str]) -> None:
    assert of(*results(value)) == found


def test_what_came_with_the_mail_is_not_believed() -> None:
    """The server adds its own on top; what a sender wrote below its mark is not its."""
    forged = results("mx.naver.test; dmarc=pass; spf=pass")
    received = ["Received: from b.test by mx.naver.test"]
    own = results("mx.naver.test; spf=fail")
    assert of(*own, *received, *forged) == {"mail.spf": "fail"}
    assert of(*received, *own, *received, *forged) == {"mail.spf": "fail"}
    assert of(*own, *forged) == {"mail.spf": "fail", "mail.dmarc": "pass"}  # its server is to remove it (RFC 8601, 5)


def test_several_headers_of_one_server_are_taken_together() -> None:
    found = of(*results("mx.naver.test; dmarc=pass", "mx.naver.test; dkim=pass", "mx.naver.test; dkim=fail"))
    assert found == {"mail.dmarc": "pass", "mail.dkim": "pass"}
