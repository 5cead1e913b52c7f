"""SMS as Twilio has it; signatures are compared with its own library in `tests/unit/test_signatures.py`, the whole path
is walked in `tests/integration/test_sms.py`."""

import pytest

from channels.base import Outgoing, Unsendable
from channels.providers.twilio_sms import TwilioSms
from router.effects import Deliver
from router.model import Content, Identity, Text, Thread
from support.channel import NOW, account

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
