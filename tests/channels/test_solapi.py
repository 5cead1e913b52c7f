"""Solapi: requests signed as its SDK signs them, bytes of EUC-KR, a picture uploaded first, results by webhook."""

import base64
import re
from typing import Any

import msgspec
import pytest

from channels.base import Result, Span, Unsendable
from channels.providers.solapi import Solapi
from channels.signatures import solapi
from router.model import ReplyPolicy
from support.channel import NOW, account, asked, hook
from support.sms import ANSWER, DELIVER, JPEG, body, said, written

PROVIDER = Solapi()
SECRETS = {"api_key": "K", "api_secret": "S", "webhook_secret": "new old"}
OURS = account(PROVIDER, {"number": "02-1588-0000"}, SECRETS)


def test_only_who_knows_the_secret_is_heard() -> None:
    assert PROVIDER.verify(OURS, hook(b"[]", path="old"))
    for path in ("", "other", "old/x"):
        assert PROVIDER.verify(OURS, hook(b"[]", path=path)) is False
    named = account(PROVIDER, {"number": "1", "webhook_header": "X-Shop"}, SECRETS)
    assert PROVIDER.verify(named, hook(b"[]", {"x-shop": "new"}))
    assert PROVIDER.verify(named, hook(b"[]", path="new")) is False


def test_a_text_is_one_signed_request() -> None:
    call = written(PROVIDER, OURS)
    assert call.url == "https://api.solapi.com/messages/v4/send-many/detail"
    assert body(call) == {
        "messages": [
            {
                "to": "01012345678",
                "from": "0215880000",
                "text": ANSWER,
                "type": "SMS",
                "autoTypeDetect": False,
                "country": "82",
                "customFields": {"naru": "m1"},
            }
        ],
        "allowDuplicates": False,
        "showMessageList": True,
    }
    found = re.fullmatch(
        r"HMAC-SHA256 ApiKey=K, Date=(\S+), salt=(\w{32}), signature=(\w{64})", call.headers["authorization"]
    )
    assert found and found[1] == "2023-11-14T22:13:20.000+00:00"
    assert found[3] == solapi("S", found[1], found[2])
    assert written(PROVIDER, OURS, now=NOW + 1).headers != call.headers  # another salt every time


@pytest.mark.parametrize(
    ("text", "subject", "kind"),
    [("가" * 45, None, "SMS"), ("가" * 45 + "a", None, "LMS"), ("가" * 1000, None, "LMS"), ("짧게", "제목", "LMS")],
)
def test_a_message_is_as_short_as_it_goes(text: str, subject: str | None, kind: str) -> None:
    [sent] = body(written(PROVIDER, OURS, said(text, subject)))["messages"]
    assert (sent["type"], sent.get("subject")) == (kind, subject)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (said(" "), "needs text"),
        (said("가" * 1001), "2000 bytes"),
        (said("감사합니다 😀"), "😀"),
        (said(uploads=("F1", "F2")), "one picture"),
    ],
)
def test_what_no_carrier_takes_is_said(message: Any, words: str) -> None:
    with pytest.raises(Unsendable, match=words):
        written(PROVIDER, OURS, message)


def test_only_korean_numbers_are_served() -> None:
    abroad = msgspec.structs.replace(DELIVER, identity=msgspec.structs.replace(DELIVER.identity, value="+14155550100"))
    with pytest.raises(Unsendable):
        PROVIDER.write(OURS, abroad, said(), NOW)


def test_the_engine_counts_as_the_carriers_do() -> None:
    assert PROVIDER.policy(OURS) == ReplyPolicy(max_length=2000, unit="bytes_euc_kr")


def test_a_picture_is_uploaded_and_named() -> None:
    call = PROVIDER.upload(OURS, JPEG, NOW)
    assert call.url == "https://api.solapi.com/storage/v1/files"
    assert body(call) == {"file": base64.b64encode(JPEG.body).decode(), "type": "MMS"}
    assert PROVIDER.uploaded(OURS, 200, b'{"fileId": "F1", "type": "MMS"}') == "F1"
    [sent] = body(written(PROVIDER, OURS, said(files=(JPEG,), uploads=("F1",))))["messages"]
    assert (sent["type"], sent["imageId"]) == ("MMS", "F1")


def test_other_files_are_refused_before_anything_is_uploaded() -> None:
    for file in (
        msgspec.structs.replace(JPEG, body=b"\x89PNG"),
        msgspec.structs.replace(JPEG, body=JPEG.body + bytes(200_000)),
    ):
        with pytest.raises(Unsendable):
            PROVIDER.upload(OURS, file, NOW)
    refused = PROVIDER.uploaded(OURS, 400, b'{"errorCode": "FileSizeOver", "errorMessage": "big"}')
    assert isinstance(refused, Result) and (refused.kind, refused.detail) == ("rejected", "400 FileSizeOver big")


@pytest.mark.parametrize(
    ("status", "answer", "kind", "detail"),
    [
        (200, {"failedMessageList": [], "messageList": [{"messageId": "u9", "statusCode": "2000"}]}, "accepted", None),
        (200, {"messageList": {"u9": {"messageId": "u9"}}}, "accepted", None),
        (200, {"groupInfo": {}}, "uncertain", "200 without a name of the message"),
        (
            200,
            {"failedMessageList": [{"statusCode": "1062", "statusMessage": "발신번호 미등록"}]},
            "rejected",
            "1062 발신번호 미등록",
        ),
        (403, {"errorCode": "SignatureDoesNotMatch", "errorMessage": "x"}, "rejected", "403 SignatureDoesNotMatch x"),
        (429, {}, "retry", "429 "),
        (500, [], "uncertain", "500 "),
    ],
)
def test_how_a_send_ends(status: int, answer: Any, kind: str, detail: str | None) -> None:
    result = PROVIDER.outcome(status, msgspec.json.encode(answer))
    assert (result.kind, result.detail) == (kind, detail)
    assert result.externals == (("u9",) if kind == "accepted" else ())


def test_results_that_were_lost_are_asked_for_by_signed_requests_each_with_another_salt() -> None:
    (first,) = asked(PROVIDER, OURS)
    answer = b'{"nextKey": "M4V1", "messageList": {"a": {"messageId": "a", "statusCode": "2000"}}}'
    (second,) = PROVIDER.found(OURS, first, Span(NOW - 3600, NOW), 200, answer, NOW).more
    salts = []
    for call in (first, second):
        assert (call.method, call.body) == ("GET", None)
        assert call.url.startswith("https://api.solapi.com/messages/v4/list?dateType=CREATED&startDate=2023-11-14T21")
        date, salt, made = re.fullmatch(  # type: ignore[union-attr]
            r"HMAC-SHA256 ApiKey=K, Date=(.*), salt=(.*), signature=(.*)", call.headers["authorization"]
        ).groups()
        assert made == solapi("S", date, salt)
        salts.append(salt)
    assert len(set(salts)) == 2
    assert PROVIDER.found(OURS, second, Span(0, 1), 200, b'{"nextKey": "M4V1", "messageList": {}}', NOW).more == ()
