"""The simulated carrier against a tiny voice application, with Twilio's own library as the judge of both ends."""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from naru.demo import carrier as module
from naru.demo.carrier import Call, Carrier, Webhook

SID, TOKEN = "AC" + "0" * 32, "a token"
ME, SHOP, AGENT = "+821011112222", "+8225550100", "+821099990000"
REST = f"/2010-04-01/Accounts/{SID}"


class Time:
    """A clock that moves only when told, and the sleep that goes with it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        await settle()
        end = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await settle()
        self.now = end


async def settle() -> None:
    for _ in range(150):
        await asyncio.sleep(0)


@dataclass
class Voice:
    """What the application answers, by path: TwiML, a whole response, or what makes one of the request's form."""

    answers: dict[str, str | Response | Callable[[dict[str, str]], str]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    hangs: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        signature = request.headers["x-twilio-signature"]
        assert RequestValidator(TOKEN).validate(str(request.url), form, signature), request.url
        self.asked.append((request.url.path, form | dict(request.query_params)))
        self.tokens.append(request.headers["i-twilio-idempotency-token"])
        if self.hangs:
            await self.released.wait()
        answer = self.answers.get(request.url.path, "")
        if isinstance(answer, Response):
            return answer
        body = answer if isinstance(answer, str) else answer(form)
        return Response(f"<Response>{body}</Response>", media_type="text/xml")

    def about(self, path: str) -> list[dict[str, str]]:
        return [form for asked, form in self.asked if asked == path]

    def __getitem__(self, path: str) -> dict[str, str]:
        """The only request for this path."""
        (form,) = self.about(path)
        return form


class Sdk(AsyncHttpClient):
    """Twilio's library, talking to the carrier in this process."""

    def __init__(self, rest: httpx2.AsyncClient) -> None:
        super().__init__(logging.getLogger("sdk"), True)
        self.rest = rest

    async def request(self, method: str, uri: str, **more: Any) -> TwilioResponse:
        more = {name: more.get(name) for name in ("params", "data", "headers", "auth")}
        answer = await self.rest.request(method, uri, **more)
        return TwilioResponse(answer.status_code, answer.text, dict(answer.headers))


@dataclass
class World:
    time: Time
    voice: Voice
    carrier: Carrier
    rest: httpx2.AsyncClient

    @property
    def sdk(self) -> Client:
        return Client(SID, TOKEN, http_client=Sdk(self.rest))

    async def dial(self, to: str = AGENT, **more: Any) -> str:
        more = {"url": "http://voice.test/leg", "status_callback": "http://voice.test/status"} | more
        made = await self.sdk.calls.create_async(to=to, from_=SHOP, **more)
        assert made.status == "queued"
        await settle()
        return str(made.sid)

    async def ring_in(self, answer: str, from_: str = ME, repeat: int = 1) -> Call:
        self.voice.answers["/voice"] = answer
        url, status = "http://voice.test/voice?line=1", "http://voice.test/status"
        sid = await self.carrier.call(from_, SHOP, url, status, repeat)
        await settle()
        return self.carrier.calls[sid]

    def codes(self) -> list[int]:
        return [fault.code for fault in self.carrier.errors]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    time, voice = Time(), Voice()
    app = Starlette(routes=[Route("/{path:path}", voice.__call__, methods=["GET", "POST"])])
    hooks = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    carrier = Carrier(
        SID, TOKEN, RequestValidator(TOKEN).compute_signature, lambda: time.now, sleep=time.sleep, client=hooks
    )
    rest = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=carrier.app), base_url="http://carrier.test", auth=(SID, TOKEN)
    )
    yield World(time, voice, carrier, rest)
    await carrier.close()
    await hooks.aclose()
    await rest.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Calls over REST


async def test_a_call_tells_every_step_it_was_asked_to_tell(world: World) -> None:
    world.carrier.phone(AGENT, 3)
    world.voice.answers["/leg"] = "<Say>hello</Say>"
    sid = await world.dial(status_callback_event=["initiated", "ringing", "answered", "completed"])
    assert world.carrier.calls[sid].where == "ringing"
    await world.time.advance(3)
    assert world.voice["/leg"]["CallStatus"] == "in-progress"
    assert world.voice["/leg"]["Direction"] == "outbound-api"
    await world.time.advance(2)
    told = world.voice.about("/status")
    assert [each["CallStatus"] for each in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [each["SequenceNumber"] for each in told] == ["0", "1", "2", "3"]
    assert told[-1]["CallDuration"] == "1"
    assert told[-1]["Timestamp"] == "Fri, 15 Jan 2027 08:00:04 +0000"
    assert {each["CallSid"] for each in told} == {sid}
    call = await world.sdk.calls(sid).fetch_async()
    assert (call.status, call.duration, call.direction) == ("completed", "1", "outbound-api")
    assert call.end_time.timestamp() == world.time.now - 1
    assert world.carrier.calls[sid].events == [
        "queued", "initiated", "ringing", "answered", "say hello", "completed"
    ]  # fmt: skip
    assert world.carrier.errors == []


async def test_only_the_end_is_told_unless_asked_for_more(world: World) -> None:
    world.carrier.phone(AGENT, 1)
    await world.dial(twiml="<Response><Pause/></Response>", url=None)
    await world.time.advance(2)
    assert world.voice["/status"]["CallStatus"] == "completed"
    assert world.voice["/status"]["SequenceNumber"] == "0"


async def test_an_unknown_event_costs_all_callbacks_and_shows_only_in_the_debugger(world: World) -> None:
    world.carrier.phone(AGENT, 1)
    await world.dial(status_callback_event=["initiated ringing"])
    await world.time.advance(2)
    assert world.voice.about("/status") == []
    assert world.codes() == [21626]


@pytest.mark.parametrize(
    ("phone", "status", "after_s"),
    [
        ({"answer_after_s": 1, "busy": True}, "busy", 0),
        ({"answer_after_s": 2, "reject": True}, "busy", 2),
        ({"answer_after_s": None, "reject": True}, "busy", 0),
        ({"answer_after_s": None}, "no-answer", 20),
        ({"answer_after_s": 30}, "no-answer", 20),
        (None, "failed", 0),
    ],
)
async def test_a_call_nobody_answers(world: World, phone: dict[str, Any] | None, status: str, after_s: int) -> None:
    if phone is not None:
        world.carrier.phone(AGENT, **phone)
    sid = await world.dial(timeout=20)
    if after_s:
        await world.time.advance(after_s - 0.1)
        assert world.carrier.calls[sid].status == "ringing"
    await world.time.advance(0.2)
    assert world.voice["/status"]["CallStatus"] == status
    assert world.voice["/status"]["CallDuration"] == "0"
    assert world.voice.about("/leg") == []
    assert world.carrier.calls[sid].where == "ended"


@pytest.mark.parametrize("status", ["canceled", "completed"])
async def test_a_ringing_call_is_called_off(world: World, status: str) -> None:
    world.carrier.phone(AGENT, 10)
    sid = await world.dial()
    answer = await world.sdk.calls(sid).update_async(status=status)
    assert answer.status == "canceled"
    await world.time.advance(60)
    assert world.voice["/status"]["CallStatus"] == "canceled"
    assert world.voice.about("/leg") == []


async def test_canceling_does_not_touch_a_live_call_and_completing_ends_it(world: World) -> None:
    world.carrier.phone(AGENT, 1)
    sid = await world.dial(twiml="<Response><Pause length='60'/></Response>", url=None)
    await world.time.advance(3)
    assert (await world.sdk.calls(sid).update_async(status="canceled")).status == "in-progress"
    assert (await world.sdk.calls(sid).update_async(status="completed")).status == "completed"
    await world.carrier.until(lambda: len(world.voice.about("/status")) == 1)
    assert world.voice["/status"]["CallDuration"] == "2"
    with pytest.raises(TwilioRestException) as refusal:
        await world.sdk.calls(sid).update_async(status="completed")
    assert (refusal.value.status, refusal.value.code) == (400, 21220)


async def test_a_telephone_by_hand(world: World) -> None:
    world.carrier.phone(AGENT, None)
    world.voice.answers["/leg"] = "<Pause length='60'/>"
    sid = await world.dial()
    world.carrier.answer(sid)
    await world.carrier.until(lambda: world.carrier.calls[sid].where == "document")
    with pytest.raises(ValueError, match="nothing to answer"):
        world.carrier.answer(sid)
    world.carrier.hang_up(sid)
    await world.carrier.until(lambda: world.voice.about("/status") != [])
    assert world.voice["/status"]["CallStatus"] == "completed"

    declined = await world.dial()
    world.carrier.hang_up(declined)
    await world.carrier.until(lambda: len(world.voice.about("/status")) == 2)
    assert world.voice.about("/status")[1]["CallStatus"] == "busy"


async def test_a_telephone_that_hangs_up_by_itself(world: World) -> None:
    world.carrier.phone(AGENT, 1, hang_up_after_s=7)
    world.voice.answers["/leg"] = "<Play loop='0'>http://voice.test/song.mp3</Play>"
    await world.dial()
    await world.time.advance(10)
    assert world.voice["/status"]["CallDuration"] == "7"


@pytest.mark.parametrize(
    ("path", "form", "status", "code"),
    [
        ("Calls.json", {"From": SHOP, "Url": "http://voice.test/leg"}, 400, 21201),
        ("Calls.json", {"To": ME, "Url": "http://voice.test/leg"}, 400, 21213),
        ("Calls.json", {"To": ME, "From": SHOP}, 400, 21205),
        ("Messages.json", {"From": SHOP, "Body": "hi"}, 400, 21604),
        ("Messages.json", {"To": ME, "Body": "hi"}, 400, 21603),
        ("Messages.json", {"To": ME, "From": SHOP, "Body": ""}, 400, 21602),
        ("Messages.json", {"To": ME, "From": SHOP, "Body": "x" * 1601}, 400, 21617),
        ("Calls/CAnobody.json", {"Status": "completed"}, 404, 20404),
        ("Nothing.json", {}, 404, 20404),
    ],
)
async def test_a_refusal_looks_like_twilios(
    world: World, path: str, form: dict[str, str], status: int, code: int
) -> None:
    answer = await world.rest.post(f"{REST}/{path}", data=form)
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status)
    assert body["message"]
    assert world.carrier.calls == {}


async def test_wrong_credentials_and_another_account(world: World) -> None:
    for auth in [(SID, "wrong"), ("AC1", TOKEN)]:
        answer = await world.rest.get(f"{REST}/Calls/CA1.json", auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)
        assert answer.headers["www-authenticate"].startswith("Basic")
    answer = await world.rest.get("/2010-04-01/Accounts/AC1/Calls/CA1.json")
    assert answer.status_code == 404


async def test_redirecting_needs_a_live_call_and_something_to_do(world: World) -> None:
    world.carrier.phone(AGENT, None)
    sid = await world.dial()
    for form, code in [({"Url": "http://voice.test/x"}, 21220), ({"Status": "odd"}, 20001), ({}, 20001)]:
        answer = await world.rest.post(f"{REST}/Calls/{sid}.json", data=form)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


# Callers


async def test_a_caller_waits_in_the_queue_and_leaves_it(world: World) -> None:
    def wait(form: dict[str, str]) -> str:
        return "<Leave/>" if int(form["QueueTime"]) >= 10 else "<Play>http://voice.test/song.mp3</Play>"

    world.voice.answers["/wait"] = wait
    world.voice.answers["/after"] = "<Say>bye</Say>"
    call = await world.ring_in("<Say>hi</Say><Enqueue waitUrl='/wait' action='after?x=1'>support</Enqueue>")
    assert world.voice["/voice"]["CallStatus"] == "ringing"
    assert world.voice["/voice"]["Direction"] == "inbound"
    assert world.voice["/voice"]["line"] == "1"
    assert call.status == "in-progress"
    await world.time.advance(1)
    second = await world.ring_in("<Enqueue waitUrl='/wait'>support</Enqueue>", from_="+821033334444")
    assert (call.where, second.where) == ("queue", "queue")
    last = world.voice.about("/wait")[-1]
    assert (last["QueuePosition"], last["CurrentQueueSize"], last["QueueTime"]) == ("2", "2", "0")
    world.carrier.hang_up(second.sid)
    await world.time.advance(11.5)
    assert [each["QueueTime"] for each in world.voice.about("/wait") if each["CallSid"] == call.sid] == ["0", "5", "10"]
    assert world.voice["/after"]["QueueResult"] == "leave"
    assert world.voice["/after"]["QueueTime"] == "10"
    assert world.voice["/after"]["QueueSid"] == last["QueueSid"]
    assert world.voice.about("/status")[-1]["CallStatus"] == "completed"
    assert world.codes() == []


async def test_a_caller_who_hangs_up_in_the_queue(world: World) -> None:
    world.voice.answers["/wait"] = "<Play>song</Play>"
    call = await world.ring_in("<Enqueue waitUrl='/wait' action='/after'>support</Enqueue>")
    world.carrier.hang_up(call.sid)
    assert call.where == "ended"
    await world.carrier.until(lambda: world.voice.about("/status") != [])
    assert [path for path, _ in world.voice.asked] == ["/voice", "/wait", "/after", "/status"]
    assert world.voice["/after"]["QueueResult"] == "hangup"
    assert world.voice["/after"]["CallStatus"] == "completed"


async def test_an_empty_wait_document_is_silence(world: World) -> None:
    await world.ring_in("<Enqueue waitUrl='/wait'>support</Enqueue>")
    await world.time.advance(4.5)
    assert len(world.voice.about("/wait")) == 5


async def test_from_the_queue_into_a_conference_and_out_of_it(world: World) -> None:
    world.carrier.phone(AGENT, 2)
    room = "<Dial action='/gone'><Conference endConferenceOnExit='{}' beep='false'>r1</Conference></Dial>"
    world.voice.answers |= {"/leg": room.format("true"), "/meet": room.format("false"), "/after": "<Say>no</Say>"}
    call = await world.ring_in("<Enqueue action='/after'>support</Enqueue>")
    assert call.where == "queue"
    agent = await world.dial()
    await world.time.advance(2)
    assert world.carrier.calls[agent].where == "conference:r1"
    assert world.carrier.talking(agent) == set()
    await world.sdk.calls(call.sid).update_async(url="http://voice.test/meet", method="POST")
    await world.carrier.until(lambda: call.where == "conference:r1")
    assert call.conference == "r1"
    assert world.carrier.talking(call.sid) == {agent}
    assert world.carrier.talking(agent) == {call.sid}
    assert world.voice["/after"]["QueueResult"] == "redirected"
    assert "say no" not in call.events
    world.carrier.hang_up(agent)
    assert world.carrier.talking(call.sid) == set()
    await world.carrier.until(lambda: len(world.voice.about("/status")) == 2)
    assert [each["CallStatus"] for each in world.voice.about("/status")] == ["completed", "completed"]
    assert [each["DialCallStatus"] for each in world.voice.about("/gone")] == ["answered", "answered"]


async def test_nobody_talks_before_the_conference_has_started(world: World) -> None:
    quiet = "<Dial><Conference startConferenceOnEnter='false'>r</Conference></Dial>"
    one, two = await world.ring_in(quiet), await world.ring_in(quiet)
    assert one.where == "conference:r"
    assert world.carrier.talking(one.sid) == set()
    three = await world.ring_in("<Dial><Conference>r</Conference></Dial>")
    assert world.carrier.talking(one.sid) == {two.sid, three.sid}
    await world.sdk.calls(two.sid).update_async(twiml="<Response><Pause length='9'/></Response>")
    await world.carrier.until(lambda: two.where == "document")
    assert world.carrier.talking(one.sid) == {three.sid}


async def test_in_a_conference_one_is_heard_by_all_by_whom_one_coaches_or_by_nobody(world: World) -> None:
    one, two = [await world.ring_in("<Dial><Conference>r</Conference></Dial>") for _ in range(2)]
    heard_by = {"muted='true'": set(), "muted='false'": {one.sid, two.sid}, f"coach='{two.sid}'": {two.sid}}
    for said, heard in heard_by.items():
        three = await world.ring_in(f"<Dial><Conference {said}>r</Conference></Dial>")
        assert world.carrier.talking(three.sid) == heard
        assert world.carrier.talking(one.sid) == {two.sid, three.sid}, "whoever is heard by few hears all"
        world.carrier.hang_up(three.sid)
        await settle()
    assert world.codes() == []


async def test_nobody_is_coached_who_is_not_in_that_conference(world: World) -> None:
    one = await world.ring_in("<Dial><Conference startConferenceOnEnter='false'>r</Conference></Dial>")
    elsewhere = await world.ring_in("<Dial><Conference>other</Conference></Dial>")
    world.voice.answers["/gone"] = "<Dial><Conference muted='true'>r</Conference></Dial>"
    for times, coach in enumerate((one.sid, elsewhere.sid, "CA0"), 1):
        said = f"<Dial action='/gone'><Conference coach='{coach}'>r</Conference></Dial>"
        supervisor = await world.ring_in(said)
        assert world.codes() == [13240] * times
        assert world.voice.about("/gone")[-1]["DialCallStatus"] == "failed"
        assert supervisor.where == "conference:r", "the call goes on with the action"
        world.carrier.hang_up(supervisor.sid)
        await settle()


@pytest.mark.parametrize("said", ["muted='yes'", "hold='true'", "coaching='true'"])
async def test_what_a_conference_does_not_know_is_an_error(world: World, said: str) -> None:
    call = await world.ring_in(f"<Dial><Conference {said}>r</Conference></Dial>")
    assert world.codes() == [12200] and call.ended


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_caller_was_never_answered(world: World, reason: str, status: str) -> None:
    call = await world.ring_in(f"<Reject reason='{reason}'/><Say>never</Say>")
    assert world.voice["/status"]["CallStatus"] == status
    assert call.answered_at is None


async def test_a_caller_who_gives_up_before_the_first_answer(world: World) -> None:
    world.voice.hangs = True
    call = await world.ring_in("<Say>hi</Say>")
    world.voice.hangs = False
    world.carrier.hang_up(call.sid)
    await world.carrier.until(lambda: world.voice.about("/status") != [])
    assert world.voice["/status"]["CallStatus"] == "no-answer"
    assert len(world.carrier.log) == 1  # the first question still stands
    world.voice.released.set()
    await world.carrier.until(lambda: len(world.carrier.log) == 2)
    assert call.events == ["ringing", "no-answer"]


async def test_gather_pause_redirect_and_hangup(world: World) -> None:
    world.voice.answers["/next"] = "<Hangup/><Say>never</Say>"
    gather = "<Gather timeout='4' action='/digits'><Say>press 1</Say></Gather>"
    call = await world.ring_in(f"<Pause length='2'/>{gather}<Redirect method='GET'>next?a=b</Redirect>")
    assert call.status == "ringing"
    await world.time.advance(2)
    assert call.status == "in-progress"
    await world.time.advance(4)
    assert world.voice.about("/next") == []
    await world.time.advance(1)
    assert world.voice["/next"]["a"] == "b"
    assert world.voice["/next"]["CallStatus"] == "in-progress"
    assert world.voice["/status"]["CallDuration"] == "5"
    assert world.voice.about("/digits") == []


async def test_a_key_ends_what_is_said_and_goes_to_the_action(world: World) -> None:
    gather = "<Gather numDigits='1' finishOnKey='' action='/digits'><Play>long.mp3</Play></Gather>"
    call = await world.ring_in(f"{gather}<Say>never</Say>")
    world.voice.answers["/digits"] = "<Pause length='9'/>"
    await world.time.advance(1)
    world.carrier.press(call.sid, "#")
    await settle()
    assert world.voice["/digits"]["Digits"] == "#", "finishOnKey is empty, so it is a key like any other"
    world.carrier.press(call.sid, "7")
    assert call.events[-1] == "pressed 7 in vain", "nobody gathers any more"
    assert "say never" not in call.events


async def test_several_keys_are_gathered_to_the_last(world: World) -> None:
    call = await world.ring_in("<Gather action='/digits' timeout='3'/>")
    for key in "12":
        await world.time.advance(2)
        world.carrier.press(call.sid, key)
    await world.time.advance(2)
    assert world.voice.about("/digits") == []
    world.carrier.press(call.sid, "3#")
    await settle()
    assert world.voice["/digits"]["Digits"] == "123"
    quiet = await world.ring_in("<Gather timeout='3' actionOnEmptyResult='true' action='/none'/><Say>never</Say>")
    await world.time.advance(3)
    assert world.voice["/none"]["Digits"] == ""
    assert "say never" not in quiet.events


async def test_a_gather_is_cut_short_by_a_redirect_and_by_hanging_up(world: World) -> None:
    one = await world.ring_in("<Gather action='/digits'><Say>press</Say></Gather>")
    await world.sdk.calls(one.sid).update_async(twiml="<Response><Pause length='9'/></Response>")
    await settle()
    assert (one.gathers, one.where) == (False, "document")
    other = await world.ring_in("<Gather action='/digits'><Say>press</Say></Gather>")
    world.carrier.hang_up(other.sid)
    await settle()
    assert other.ended and world.voice.about("/digits") == []


async def test_a_recording_is_paused_gone_on_with_and_ends_with_its_call(world: World) -> None:
    call = await world.ring_in("<Pause length='60'/>")
    recordings = world.sdk.calls(call.sid).recordings
    with pytest.raises(TwilioRestException) as early:
        await recordings.create_async()
    assert early.value.code == 21220, "it has not been answered"
    await world.ring_in("<Say>hi</Say>")
    talk = await world.ring_in("<Say>hi</Say><Pause length='60'/>")
    recordings = world.sdk.calls(talk.sid).recordings
    with pytest.raises(TwilioRestException) as none:
        await recordings("Twilio.CURRENT").update_async(status="in-progress")
    assert none.value.status == 404
    made = await recordings.create_async()
    assert (made.call_sid, made.status) == (talk.sid, "in-progress")
    for status, behaviour in (("paused", "skip"), ("in-progress", None), ("in-progress", None)):
        more = {"pause_behavior": behaviour} if behaviour else {}
        assert (await recordings("Twilio.CURRENT").update_async(status=status, **more)).status == status
    world.carrier.hang_up(talk.sid)
    assert world.carrier.recordings[made.sid].spans == ["in-progress", "paused", "in-progress", "completed"]


async def test_two_recordings_of_a_call_have_no_current_one(world: World) -> None:
    talk = await world.ring_in("<Say>hi</Say><Pause length='60'/>")
    recordings = world.sdk.calls(talk.sid).recordings
    await recordings.create_async()
    await recordings.create_async()
    with pytest.raises(TwilioRestException) as both:
        await recordings("Twilio.CURRENT").update_async(status="paused")
    assert both.value.code == 16108


async def test_what_picked_up_is_told_before_the_first_document(world: World) -> None:
    world.carrier.phone(AGENT, 1, answered_by="machine_start")
    world.voice.answers["/leg"] = "<Say>hello</Say>"
    await world.dial(machine_detection="Enable")
    await world.time.advance(2)
    assert world.voice.about("/leg") == [], "it is still listened to"
    await world.time.advance(4)
    assert world.voice["/leg"]["AnsweredBy"] == "machine_start"
    with pytest.raises(TwilioRestException):
        await world.dial(machine_detection="perhaps")


async def test_a_webhook_twice_is_the_same_webhook(world: World) -> None:
    await world.ring_in("<Say>hi</Say>", repeat=3)
    assert len(world.voice.about("/voice")) == 3
    assert len(set(world.voice.tokens[:3])) == 1
    assert len({str(form) for form in world.voice.about("/voice")}) == 1
    await world.time.advance(1)
    assert world.voice.about("/status") != []


# Dialling from a document


async def test_dialling_a_number(world: World) -> None:
    world.carrier.phone(AGENT, 2, hang_up_after_s=6)
    number = "<Number statusCallback='/leg-status' statusCallbackEvent='ringing completed'>{}</Number>"
    call = await world.ring_in(f"<Dial action='/after' callerId='{SHOP}'>{number.format(AGENT)}</Dial><Say>never</Say>")
    await world.time.advance(2)
    (leg,) = (each for each in world.carrier.calls.values() if each is not call)
    assert (leg.direction, leg.from_, leg.parent) == ("outbound-dial", SHOP, call.sid)
    assert world.carrier.talking(call.sid) == {leg.sid}
    await world.time.advance(6)
    assert world.voice["/after"]["DialCallStatus"] == "completed"
    assert world.voice["/after"]["DialCallSid"] == leg.sid
    assert world.voice["/after"]["DialCallDuration"] == "6"
    assert [each["CallStatus"] for each in world.voice.about("/leg-status")] == ["ringing", "completed"]
    assert world.voice.about("/leg-status")[0]["ParentCallSid"] == call.sid
    assert world.voice["/status"]["CallStatus"] == "completed"


async def test_a_number_that_does_not_answer_lets_the_document_go_on(world: World) -> None:
    world.carrier.phone(AGENT, None)
    call = await world.ring_in(f"<Dial timeout='5'>{AGENT}</Dial><Say>sorry</Say>")
    await world.time.advance(5)
    assert call.events[-1] == "say sorry"
    assert {each.status for each in world.carrier.calls.values()} == {"no-answer", "in-progress"}


async def test_a_caller_who_hangs_up_takes_the_dialled_leg_along(world: World) -> None:
    world.carrier.phone(AGENT, 1)
    call = await world.ring_in(f"<Dial action='/after'>{AGENT}</Dial>")
    await world.time.advance(3)
    world.carrier.hang_up(call.sid)
    await world.carrier.until(lambda: world.voice.about("/status") != [])
    assert [each.status for each in world.carrier.calls.values()] == ["completed", "completed"]
    assert world.voice["/after"]["DialCallStatus"] == "completed"


async def test_a_redirected_child_lives_on_and_its_parent_moves_on(world: World) -> None:
    world.carrier.phone(AGENT, 1)
    call = await world.ring_in(f"<Dial>{AGENT}</Dial><Pause length='60'/>")
    await world.time.advance(2)
    (child,) = world.carrier.talking(call.sid)
    world.voice.answers["/new"] = "<Pause length='60'/>"
    await world.sdk.calls(child).update_async(url="http://voice.test/new")
    await world.carrier.until(lambda: call.where == "document" and world.voice.about("/new") != [])
    assert world.carrier.calls[child].status == "in-progress"
    assert world.carrier.talking(call.sid) == set()


async def test_dialling_a_queue(world: World) -> None:
    world.carrier.phone(AGENT, 0)
    caller = await world.ring_in("<Enqueue action='/after'>support</Enqueue>")
    await world.time.advance(8)
    agent = await world.dial(twiml="<Response><Dial><Queue>support</Queue></Dial></Response>", url=None)
    await world.time.advance(0)
    assert world.carrier.talking(agent) == {caller.sid}
    assert caller.where == "bridge"
    assert world.voice.about("/after") == []
    await world.time.advance(20)
    world.carrier.hang_up(agent)
    await world.carrier.until(lambda: world.voice.about("/after") != [])
    assert world.voice["/after"]["QueueResult"] == "bridged"
    assert world.voice["/after"]["QueueTime"] == "8"


async def test_dialling_an_empty_queue_waits_for_somebody_but_not_for_ever(world: World) -> None:
    first = await world.ring_in("<Enqueue>support</Enqueue>")
    world.carrier.hang_up(first.sid)
    one = await world.ring_in("<Dial timeout='10'><Queue>support</Queue></Dial>")
    await world.time.advance(5)
    caller = await world.ring_in("<Enqueue>support</Enqueue>")
    assert world.carrier.talking(one.sid) == {caller.sid}
    two = await world.ring_in("<Dial timeout='10' action='/after'><Queue>support</Queue></Dial>")
    await world.time.advance(10)
    assert world.voice["/after"]["DialCallStatus"] == "no-answer"
    assert two.where == "ended"


async def test_someone_who_hangs_up_while_being_taken_from_the_queue(world: World) -> None:
    caller = await world.ring_in("<Enqueue>support</Enqueue>")
    agent = await world.ring_in("<Pause length='5'/><Dial><Queue>support</Queue></Dial><Say>gone</Say>")
    seen = asyncio.create_task(world.carrier.until(lambda: agent.where == "bridge"))
    await world.time.advance(5)
    await seen
    world.carrier.hang_up(caller.sid)
    await world.carrier.until(lambda: "say gone" in agent.events)


# Bad answers


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response("oops", 500), 11200),
        (Response(status_code=302, headers={"location": "/x"}), 11200),
        (Response('{"a": 1}', media_type="application/json"), 12300),
        (Response("hello", media_type="text/plain"), 12300),
        (Response("", media_type="text/xml"), 12100),
        (Response("<Response><Say>", media_type="text/xml"), 12100),
        (Response("<!DOCTYPE r [<!ENTITY a 'b'>]><Response>&a;</Response>", media_type="text/xml"), 12100),
        (Response("<Twiml/>", media_type="text/xml"), 12102),
        ("<Speak>hi</Speak>", 12200),
        ("<say>hi</say>", 12200),
        ("<Leave/>", 12200),
        ("<Pause/>" * 65, 12200),
        ("<Say>x</Say>" + "<!-- -->" * 9000, 11750),
        ("<Enqueue/>", 12200),
        ("<Dial><Sip>sip:a@b</Sip></Dial>", 12200),
        ("<Gather><Dial>+1</Dial></Gather>", 12200),
        ("<Gather numDigits='0'/>", 12200),
        ("<Gather timeout='2.5'/>", 12200),
        ("<Gather finishOnKey='12'/>", 12200),
        ("<Gather tries='3'/>", 12200),
        ("<Enqueue waitUrl='/bad'>q</Enqueue>", 12200),
        ("<Redirect>http://[voice.test:port/</Redirect>", 11205),
    ],
)
async def test_a_bad_answer_ends_the_call_and_is_not_asked_again(
    world: World, answer: str | Response, code: int
) -> None:
    world.voice.answers["/bad"] = "<Dial>+1</Dial>"
    call = await world.ring_in(answer)  # type: ignore[arg-type]
    await world.carrier.until(lambda: world.voice.about("/status") != [])
    assert world.codes() == [code]
    assert world.carrier.errors[0].sid == call.sid
    assert world.voice["/status"]["CallStatus"] == "completed"
    assert len(world.voice.about("/voice")) == 1


async def test_a_broken_wait_document_is_told_to_the_action(world: World) -> None:
    world.voice.answers["/wait"] = Response("no", 404)
    call = await world.ring_in("<Enqueue waitUrl='/wait' action='/after'>q</Enqueue><Say>never</Say>")
    assert world.voice["/after"]["QueueResult"] == "error"
    assert call.where == "ended"


async def test_an_answer_that_does_not_come(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WEBHOOK_TIMEOUT_S", 0.0)
    world.voice.hangs = True
    call = await world.ring_in("<Say>hi</Say>")
    await world.carrier.until(lambda: call.where == "ended" and len(world.codes()) == 2)
    assert world.codes() == [11205, 11205]
    assert world.carrier.log[0].status == 0
    assert world.carrier.log[0].body.startswith("TimeoutError")


async def test_documents_that_lead_in_circles_are_cut_off(world: World) -> None:
    call = await world.ring_in("<Redirect/>")
    await world.carrier.until(lambda: call.where == "ended", 30)
    assert len(world.voice.about("/voice")) == 1000
    assert world.codes() == [12400]


async def test_a_bad_status_callback_changes_nothing(world: World) -> None:
    world.voice.answers["/status"] = Response("no", 503)
    world.carrier.phone(AGENT, 1)
    sid = await world.dial(status_callback_event=["initiated", "answered"])
    await world.time.advance(1)
    assert world.codes() == [11200, 11200]
    assert world.carrier.calls[sid].status == "completed"


# Texts


async def test_a_text_out(world: World) -> None:
    callback = "http://voice.test/sms-status"
    sent = await world.sdk.messages.create_async(to=ME, from_=SHOP, body="안녕", status_callback=callback)
    assert (sent.status, sent.direction) == ("queued", "outbound-api")
    await world.carrier.until(lambda: len(world.voice.about("/sms-status")) == 2)
    told = world.voice.about("/sms-status")
    assert [each["MessageStatus"] for each in told] == ["sent", "delivered"]
    assert {each["MessageSid"] for each in told} == {sent.sid}
    assert world.carrier.messages[sent.sid or ""].body == "안녕"


async def test_texts_are_listed_the_newest_first_by_number_and_time_page_by_page(world: World) -> None:
    sids = []
    for n in range(5):
        await world.time.advance(60)
        sids.append((await world.sdk.messages.create_async(to=ME if n < 4 else AGENT, from_=SHOP, body=str(n))).sid)
    since = datetime.fromtimestamp(world.time.now - 200, UTC)
    found = await world.sdk.messages.list_async(to=ME, date_sent_after=since, page_size=2)
    assert [one.sid for one in found] == [sids[3], sids[2], sids[1]]
    assert [one.sid for one in await world.sdk.messages.list_async(from_=SHOP, date_sent_before=since)] == [sids[0]]
    assert found[0].date_sent == datetime.fromtimestamp(world.time.now - 60, UTC)


async def test_a_text_to_a_number_that_is_gone(world: World) -> None:
    world.carrier.undeliverable.add(ME)
    callback = "http://voice.test/sms-status"
    await world.sdk.messages.create_async(to=ME, from_=SHOP, body="hi", status_callback=callback)
    await world.carrier.until(lambda: len(world.voice.about("/sms-status")) == 2)
    assert world.voice.about("/sms-status")[1]["MessageStatus"] == "undelivered"
    assert world.voice.about("/sms-status")[1]["ErrorCode"] == "30003"


async def test_a_text_in_twice_and_answered(world: World) -> None:
    world.voice.answers["/sms"] = "<Message>one</Message><Message><Body>two</Body></Message>"
    sid = await world.carrier.text(ME, SHOP, "hello & 안녕", "http://voice.test/sms?t=1", repeat=2)
    first, second = world.voice.about("/sms")
    assert first == second
    assert (first["MessageSid"], first["Body"], first["NumMedia"]) == (sid, "hello & 안녕", "0")
    assert len(set(world.voice.tokens)) == 1
    hook = world.carrier.log[0]
    assert isinstance(hook, Webhook)
    assert (hook.url, hook.status, hook.params["From"]) == ("http://voice.test/sms?t=1", 200, ME)
    replies = [each for each in world.carrier.messages.values() if each.direction == "outbound-reply"]
    assert [(each.body, each.to) for each in replies] == [("one", ME), ("two", ME)]


@pytest.mark.parametrize(
    ("answer", "codes", "replies"),
    [
        (Response(status_code=204), [], []),
        (Response("ok", media_type="text/plain"), [], ["ok"]),
        (Response("{}", media_type="application/json"), [12300], []),
        (Response("no", 500), [11200], []),
    ],
)
async def test_what_a_text_webhook_may_answer(
    world: World, answer: Response, codes: list[int], replies: list[str]
) -> None:
    world.voice.answers["/sms"] = answer
    await world.carrier.text(ME, SHOP, "hello", "http://voice.test/sms")
    assert world.codes() == codes
    assert [each.body for each in world.carrier.messages.values() if each.direction != "inbound"] == replies


# The carrier itself


async def test_closing_ends_everything(world: World) -> None:
    call = await world.ring_in("<Enqueue>support</Enqueue>")
    await world.dial()
    await world.carrier.close()
    assert {each.where for each in world.carrier.calls.values()} == {"ended"}
    assert call.status == "completed"


async def test_until_says_what_it_saw_when_it_gives_up(world: World) -> None:
    await world.ring_in("<Enqueue>support</Enqueue>")
    with pytest.raises(TimeoutError, match=r"inbound.*queue"):
        await world.carrier.until(lambda: False, 0)


async def test_sids_look_like_sids_and_never_repeat(world: World) -> None:
    sids = [(await world.ring_in("<Hangup/>")).sid for _ in range(5)]
    assert len(set(sids)) == 5
    assert all(len(sid) == 34 and sid.startswith("CA") for sid in sids)
