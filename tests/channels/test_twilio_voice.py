"""Phone as TwiML has it: its documents are compared with the SDK's builder, and whole calls walked, in
`tests/integration/test_phone.py`. Here what an exchange may answer to an order."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from channels.base import Call, Calls, CallView, File, Result, Webhook
from channels.gateway import hook_routes
from channels.providers.twilio_voice import TwilioVoice
from channels.twilio import signature
from router.effects import EndCaller, HoldCaller, JoinCaller, RingLeg, SetManner
from router.inputs import LeaveLine, ReceiveMessage
from router.model import Elsewhere
from router.turn import Answer
from support.channel import NOW, account, hook, nobody


def test_a_success_without_a_name_is_uncertain() -> None:
    assert TwilioVoice().outcome(201, b'{"sid": "CA2"}').externals == ("CA2",)
    assert TwilioVoice().outcome(201, b"{}").kind == "uncertain"
    assert TwilioVoice().outcome(404, b'{"code": 20404, "message": "not found"}').kind == "rejected"


# -- waiting

MUSIC = "<Play>https://music.test/x.mp3</Play>"
WAITS = b"CallSid=CA1&CallStatus=in-progress&QueueTime="


def said_in(path: str, view: CallView | None, settings: dict[str, object] | None = None, waited: bytes = b"20") -> str:
    ours = account(TwilioVoice(), {"music_url": "https://music.test/x.mp3", **(settings or {})})
    reply = TwilioVoice().read(ours, hook(WAITS + waited, path=path), lambda call: view).reply
    return reply.body.partition("<Response>")[2].removesuffix("</Response>")


def test_the_place_in_line_is_said_in_the_callers_language_and_never_guessed() -> None:
    english = '<Say language="en-US">Please hold. You are number 3 in line.</Say>'
    assert said_in("wait", CallView("k", "queued", 3, "en"), {"language": "ko"}) == english + MUSIC
    assert said_in("wait", CallView("k", "queued", 3), {"language": "en-GB"}) == english + MUSIC
    assert "3번" in said_in("wait", CallView("k", "queued", 3))
    for unknown in (None, CallView("k", "queued", 0), CallView("k", "offered", 0)):
        assert said_in("wait", unknown) == MUSIC


def test_who_has_just_come_is_asked_about_again_before_the_music() -> None:
    """A track of music may last for minutes, and the place is said before it or not at all."""
    again = '<Pause length="1"/><Redirect method="POST">https://naru.example/hooks/abc/wait</Redirect>'
    for unknown in (None, CallView("k", "queued", 0)):
        assert said_in("wait", unknown, waited=b"0") == said_in("wait", unknown, waited=b"2") == again
        assert said_in("wait", unknown, waited=b"3") == said_in("wait", unknown, waited=b"x") == MUSIC
    assert said_in("wait", CallView("k", "offered", 0), waited=b"0") == MUSIC, "a telephone rings for him already"


def test_who_is_in_line_again_after_a_transfer_hears_the_place_and_who_is_held_does_not() -> None:
    hold = '<Redirect method="POST">https://naru.example/hooks/abc/hold</Redirect>'
    assert said_in("hold", CallView("k", "held", 0)) == MUSIC + hold
    assert "2번" in said_in("hold", CallView("k", "queued", 2))


# -- menus (each step is a recorded payload)


def test_what_a_menu_plays_is_an_address() -> None:
    keys = {"1": {}}
    assert TwilioVoice().settings_fault({"menu": {"play": "https://shop.test/hello.mp3", "keys": keys}}) is None
    fault = TwilioVoice().settings_fault({"menu": {"play": {"ko": "sound:custom/hello"}, "keys": keys}})
    assert fault is not None and fault.startswith("settings.menu: `play` takes the address")
    ours = account(TwilioVoice(), {"menu": {"play": "https://shop.test/a?b&c", "keys": keys}})
    assert "<Play>https://shop.test/a?b&amp;c</Play>" in TwilioVoice().read(ours, RINGS, nobody).reply.body


def test_a_menu_answers_so_nobody_can_be_refused_before_it() -> None:
    both = {"menu": {"say": {"ko": "x"}, "keys": {"1": {}}}, "refuse_when_full": True}
    assert "take one" in (TwilioVoice().settings_fault(both) or "")


def test_a_menu_that_was_taken_away_meanwhile_loses_nobody() -> None:
    reading = TwilioVoice().read(account(TwilioVoice()), hook(RINGS.body, path="menu"), nobody)
    assert len(reading.items) == 1 and "<Enqueue" in reading.reply.body


# -- recording, and who picks up


def test_a_recording_is_gone_on_with_or_begun_and_pauses_while_held() -> None:
    ours = account(TwilioVoice(), {"record": True, "account_sid": "AC1"})
    join = TwilioVoice().write(ours, JoinCaller(channel="c", contact="k", call="CA1"), None, 0)
    assert isinstance(join, Calls)
    [resume] = join.before
    begin = resume.otherwise
    assert begin is not None
    where = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1"
    assert (resume.url, resume.form) == (f"{where}/Recordings/Twilio.CURRENT.json", (("Status", "in-progress"),))
    assert (begin.url, begin.form) == (f"{where}/Recordings.json", ())
    assert join.call.url == f"{where}.json"
    hold = TwilioVoice().write(ours, HoldCaller(channel="c", contact="k", call="CA1"), None, 0)
    assert isinstance(hold, Calls)
    assert hold.before[0].form == (("Status", "paused"), ("PauseBehavior", "skip")), "before the caller is moved"
    without = TwilioVoice().write(account(TwilioVoice()), JoinCaller(channel="c", contact="k", call="CA1"), None, 0)
    assert isinstance(without, Call)


@pytest.mark.parametrize(("side", "records"), [("customer", True), ("agent", False), ("monitor", False)])
def test_a_customer_who_is_called_is_recorded_from_the_start(side: str, records: bool) -> None:
    """He is never joined by an effect: he comes into the room by picking up."""
    effect = RingLeg(channel="c", key="k", contact="k", side=side, address="+8210", timeout_s=20)
    call = TwilioVoice().write(account(TwilioVoice(), {"record": True}), effect, None, 0)
    assert isinstance(call, Call)
    assert (("Record", "true") in call.form) == records


@pytest.mark.parametrize(
    ("side", "wanted", "asks"), [("customer", True, True), ("agent", True, False), ("customer", False, False)]
)
def test_only_a_customers_phone_is_listened_to_and_only_if_the_owner_wants_it(
    side: str, wanted: bool, asks: bool
) -> None:
    ours = account(TwilioVoice(), {"detect_machines": wanted})
    effect = RingLeg(channel="c", key="k", contact="k", side=side, address="+8210", timeout_s=20)
    call = TwilioVoice().write(ours, effect, None, 0)
    assert isinstance(call, Call)
    assert (("MachineDetection", "Enable") in call.form) == asks


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ("human", "human"),
        ("machine_end_beep", "machine"),
        ("machine_end_other", "machine"),
        ("fax", "fax"),
        ("unknown", "unknown"),
        ("", None),
        ("martian", None),
    ],
)
def test_who_picked_up_in_the_words_of_the_core(said: str, by: str | None) -> None:
    body = f"CallSid=CA2&AnsweredBy={said}".encode()
    reading = TwilioVoice().read(account(TwilioVoice()), hook(body, path="leg", query={"key": "k"}), nobody)
    assert reading.items[0].body.answered_by == by  # type: ignore[union-attr]


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


# -- who leaves the line

KEYS = account(TwilioVoice(), {"keys": {"1": "callback", "2": "voicemail", "x": "callback", "3": "nothing"}})


def pressed(path: str, fields: dict[str, str], **query: str) -> Webhook:
    return Webhook(method="POST", url="", path=path, headers={}, query=query, body=urlencode(fields).encode(), t=NOW)


def waits(call: str) -> CallView:
    return CallView("k1", "queued", 3)


def test_whoever_waits_is_told_the_keys_and_may_press_one_at_any_time() -> None:
    body = TwilioVoice().read(KEYS, pressed("wait", {"CallSid": "CA1"}), waits).reply.body
    assert "3번" in body and "1번" in body and "2번을" in body
    assert body.index("<Gather") < body.index("<Say") < body.index("<Play") < body.index("</Gather>")
    plain = TwilioVoice().read(account(TwilioVoice()), pressed("wait", {"CallSid": "CA1"}), waits).reply.body
    assert "Gather" not in plain


@pytest.mark.parametrize(("digit", "to"), [("1", "callback"), ("2", "voicemail")])
def test_a_key_is_asked_of_the_engine_which_sends_the_caller_on(digit: str, to: str) -> None:
    reading = TwilioVoice().read(KEYS, pressed("key", {"CallSid": "CA1", "Digits": digit}), nobody)
    (item,) = reading.items
    assert item.body == LeaveLine(channel="c", call="CA1", to=to)  # type: ignore[arg-type]
    assert reading.refused is not None and "/wait</Redirect>" in reading.refused.body
    assert "<Pause" in reading.reply.body


@pytest.mark.parametrize("digit", ["", "3", "9", "x", "11"])
def test_a_key_that_means_nothing_leaves_the_caller_waiting(digit: str) -> None:
    reading = TwilioVoice().read(KEYS, pressed("key", {"CallSid": "CA1", "Digits": digit}), nobody)
    assert (len(reading.items) == 1) == (digit == "11"), "one key is one digit"
    assert "/wait</Redirect>" in reading.reply.body


def test_a_line_is_cut_after_the_words_for_it_in_the_callers_language() -> None:
    order = TwilioVoice().write(KEYS, EndCaller(channel="c", call="CA1", say="after_hours", language="en"), None, 0)
    assert ("Url", f"{KEYS.hook_url}/said?what=after_hours&language=en") in order.form
    reply = (
        TwilioVoice().read(KEYS, pressed("said", {"CallSid": "CA1"}, what="after_hours", language="en"), nobody).reply
    )
    assert '<Say language="en-US">We are closed now.' in reply.body and reply.body.endswith("<Hangup/></Response>")
    own = account(TwilioVoice(), {"words": {"after_hours": {"ko": "내일 <다시> 걸어 주세요."}}})
    reply = TwilioVoice().read(own, pressed("said", {"CallSid": "CA1"}, what="after_hours"), nobody).reply
    assert "내일 &lt;다시&gt; 걸어 주세요." in reply.body


def test_a_message_is_recorded_and_becomes_a_task_with_its_recording() -> None:
    reply = TwilioVoice().read(KEYS, pressed("said", {"CallSid": "CA1"}, what="voicemail"), nobody).reply
    assert '<Record maxLength="180" timeout="8" playBeep="true"' in reply.body and "/recorded" in reply.body
    fields = {"CallSid": "CA1", "From": "+821011112222", "RecordingSid": "RE1", "RecordingDuration": "7"}
    reading = TwilioVoice().read(KEYS, pressed("recorded", fields), nobody)
    (item,) = reading.items
    assert isinstance(item.body, ReceiveMessage) and item.content is not None
    assert (item.body.thread.kind, item.body.identity.value, item.key) == ("voicemail", "+821011112222", "RE1")
    (part,) = item.content.parts
    assert isinstance(part, Elsewhere)
    call = TwilioVoice().fetch(KEYS, part.ref)
    assert (call.method, call.url.rpartition("/Recordings/")[2]) == ("GET", "RE1.mp3")
    assert TwilioVoice().fetched(KEYS, part.ref, 200, "audio/mpeg", b"ID3") == File("", "audio/mpeg", b"ID3")
    soon = TwilioVoice().fetched(KEYS, part.ref, 404, "", b"")
    assert isinstance(soon, Result) and soon.kind == "retry", "it is told of before it can be had"


@pytest.mark.parametrize("fields", [{}, {"RecordingSid": "RE1", "RecordingDuration": "0"}, {"RecordingSid": "../x"}])
def test_who_hangs_up_at_the_tone_has_left_nothing(fields: dict[str, str]) -> None:
    reading = TwilioVoice().read(KEYS, pressed("recorded", {"CallSid": "CA1", **fields}), nobody)
    assert reading.items == () and "<Hangup/>" in reading.reply.body


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
