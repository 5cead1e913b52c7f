"""SMS as Twilio has it; signatures are compared with its own library in `tests/unit/test_signatures.py`, the whole path
is walked in `tests/integration/test_sms.py`."""

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from twilio.base import values
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.base import Outgoing, Unsendable
from channels.providers.twilio_sms import TwilioSms
from router.effects import Deliver
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account, asked

OURS = account(TwilioSms(), {"account_sid": "AC1", "number": "+8215880000"}, {"auth_token": "t"})
DELIVER = Deliver(
    channel="c",
    key="m1",
    conversation="v",
    contact="k",
    thread=Thread(external="+821012345678"),
    identity=Identity(scope="e164", kind="phone", value="+821012345678"),
)


def test_a_text_is_one_post() -> None:
    call = TwilioSms().write(OURS, DELIVER, Outgoing(Content(parts=(Text(text="내일 도착합니다."),))), NOW)
    assert call.url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
    assert dict(call.form)["Body"] == "내일 도착합니다."
    assert dict(call.form)["StatusCallback"].endswith("/status?message=m1")
    assert TwilioSms().outcome(201, b'{"sid": "SM9"}').externals == ("SM9",)


@pytest.mark.parametrize("text", ["", "  ", "x" * 1601])
def test_what_is_no_sms_is_said(text: str) -> None:
    with pytest.raises(Unsendable):
        TwilioSms().write(OURS, DELIVER, Outgoing(Content(parts=(Text(text=text),))), NOW)


class Overheard(HttpClient):
    """Twilio's library asks it, and it answers with nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    def request(self, method: str, url: str, params: Any = None, *_: Any, **__: Any) -> Response:
        self.asked.append((url, {name: str(value) for name, value in params.items() if value is not values.unset}))
        return Response(200, '{"messages": [], "meta": {"key": "messages"}}')


def test_what_it_asks_afterwards_is_what_twilios_own_library_asks() -> None:
    """Lists by number and time, both ways: what came, and what became of ours."""
    overheard = Overheard()
    messages = Client("AC1", "t", http_client=overheard).messages
    start, end = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (NOW - 3600, NOW + 1))
    messages.list(to="+8215880000", date_sent_after=start, date_sent_before=end, page_size=200)
    messages.list(from_="+8215880000", date_sent_after=start, date_sent_before=end, page_size=200)
    calls = asked(TwilioSms(), OURS)
    ours = [(call.url.partition("?")[0], dict(parse_qsl(urlsplit(call.url).query))) for call in calls]
    assert ours == overheard.asked
    assert all((call.method, call.basic) == ("GET", ("AC1", "t")) for call in calls)


NUMBERS = {"phone_number": "+8215880000", "sms_url": "https://naru.example/hooks/abc"}


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {"incoming_phone_numbers": [NUMBERS]}, None),
        (200, {"incoming_phone_numbers": [{**NUMBERS, "sms_url": "https://naru.example/hooks/abc#rc=2"}]}, None),
        (
            200,
            {"incoming_phone_numbers": [{**NUMBERS, "sms_url": "https://demo.twilio.com/welcome/sms/reply"}]},
            "its messaging webhook is 'https://demo.twilio.com/welcome/sms/reply', not https://naru.example/hooks/abc",
        ),
        (200, {"incoming_phone_numbers": []}, "the account has no number +8215880000"),
        (401, {"code": 20003, "message": "Authenticate"}, "401 Authenticate"),
    ],
)
def test_whether_the_numbers_webhook_is_ours(status: int, said: Any, fault: str | None) -> None:
    call = TwilioSms().ask_subscription(OURS, NOW)
    assert call.url.endswith("/Accounts/AC1/IncomingPhoneNumbers.json?PhoneNumber=%2B8215880000")
    assert TwilioSms().subscription(OURS, status, json.dumps(said).encode(), NOW) == fault
