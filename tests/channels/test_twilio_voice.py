"""Phone as TwiML has it: its documents are compared with the SDK's builder, and whole calls walked, in
`tests/integration/test_phone.py`. Here what an exchange may answer to an order."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from channels.base import Webhook
from channels.gateway import hook_routes
from channels.providers.twilio_voice import TwilioVoice
from channels.twilio import signature
from router.effects import SetManner
from router.turn import Answer
from support.channel import NOW, account, nobody


def test_a_success_without_a_name_is_uncertain() -> None:
    assert TwilioVoice().outcome(201, b'{"sid": "CA2"}').externals == ("CA2",)
    assert TwilioVoice().outcome(201, b"{}").kind == "uncertain"
    assert TwilioVoice().outcome(404, b'{"code": 20404, "message": "not found"}').kind == "rejected"


# -- a caller whom no queue takes

RINGS = Webhook(
    method="POST",
    url="",
    path="",
    headers={},
    query={},
    body=b"CallSid=CA1&From=%2B821011112222&To=%2B8215880002&CallStatus=ringing",
    t=NOW,
)


def test_a_full_line_is_busy_before_it_is_answered_if_the_owner_wants_it_so() -> None:
    usual = TwilioVoice().read(account(TwilioVoice()), RINGS, nobody)
    assert usual.refused is None and "<Enqueue" in usual.reply.body
    reading = TwilioVoice().read(account(TwilioVoice(), {"refuse_when_full": True}), RINGS, nobody)
    assert reading.refused is not None and reading.refused.body.endswith('<Response><Reject reason="busy"/></Response>')
    assert reading.late == reading.reply == usual.reply


@pytest.mark.parametrize(
    ("answer", "verb"),
    [
        (Answer(contact="k"), "<Enqueue"),
        (Answer(code="duplicate", contact="k"), "<Enqueue"),
        (Answer(code="not-taken", contact="k"), "<Reject"),
        (Answer(status=404, code="unknown-channel"), "<Reject"),
        (None, "<Enqueue"),
    ],
)
async def test_the_router_decides_and_what_it_has_not_decided_in_time_waits(answer: Answer | None, verb: str) -> None:
    class Decides:
        async def ask(self, *_: object) -> Answer | None:
            return answer

    token, provider = "twilio-token", TwilioVoice()
    ours = account(provider, {"refuse_when_full": True}, {"auth_token": token})
    accounts: Any = SimpleNamespace(at=lambda hook: ours, providers={provider.name: provider})
    app = FastAPI()
    bus: Any = SimpleNamespace(pool=lambda workspace: None)
    app.include_router(hook_routes(accounts, Decides(), bus, lambda: NOW))  # type: ignore[arg-type]
    fields = {"CallSid": "CA1", "From": "+821011112222", "To": "+8215880002"}
    headers = {"x-twilio-signature": signature(token, ours.hook_url, fields)}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
        reply = await client.post("/hooks/abc", data=fields, headers=headers)
    assert (reply.status_code, verb in reply.text) == (200, True)


# -- a supervisor's leg is sent into the room again


def sent(manner: str) -> tuple[str, str]:
    """Where the leg is sent, and the document that it is given there."""
    ours, provider = account(TwilioVoice(), {"account_sid": "AC1", "number": "+82"}), TwilioVoice()
    effect = SetManner(channel="c", contact="k<1", leg="CA-s", manner=manner, owner_leg='CA"o')  # type: ignore[arg-type]
    order = provider.write(ours, effect, None, NOW)
    assert order.url.endswith("/Calls/CA-s.json")
    where = urlsplit(dict(order.form)["Url"])
    query = {name: values[0] for name, values in parse_qs(where.query).items()}
    hook = Webhook(
        method="POST", url="", path="room", headers={}, query=query, body=b"CallSid=CA-s", t=NOW,
    )  # fmt: skip
    reading = provider.read(ours, hook, nobody)
    assert reading.items == ()
    return where.path.rpartition("/")[2], reading.reply.body


@pytest.mark.parametrize(
    ("manner", "dial", "heard"),
    [
        ("listen", "<Dial>", ' muted="true"'),
        ("whisper", '<Dial action="https', " coach='CA\"o'"),
        ("barge", "<Dial>", ""),
    ],
)
def test_how_a_supervisor_is_heard_is_said_to_the_room(manner: str, dial: str, heard: str) -> None:
    path, document = sent(manner)
    assert path == "room" and f"<Response>{dial}" in document
    said = (
        f'<Conference beep="false"{heard} startConferenceOnEnter="true" endConferenceOnExit="false">k&lt;1</Conference>'
    )
    assert said in document
    assert ("manner=listen" in document) == (manner == "whisper"), "were the owner gone, one would listen"
